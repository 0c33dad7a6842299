// Who waits in the application for the next message or request, the longest waiting first; each is
// called exactly once. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "client/src/result.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::client_core {

template <typename Handed>
class waiting_line {
public:
    using taken = std::optional<Handed>;  // nothing: there is no more, or the time is over

    // Returns a ticket to cancel it with.
    std::uint64_t add(mono_time deadline, callback<taken> done) {
        waiters_.push_back({++last_ticket_, deadline, std::move(done)});
        return last_ticket_;
    }
    void cancel(std::uint64_t ticket) {
        std::erase_if(waiters_, [&](const waiter& each) { return each.ticket == ticket; });
    }
    // Gives them what `take()` has for them; when it has nothing and it is `over()`, the end, which
    // is `why` if that is told.
    template <typename Take, typename Over>
    void serve(Take&& take, Over&& over, const std::optional<error>& why, calls& out) {
        while (!waiters_.empty()) {
            taken next = take();
            if (!next && !over()) {
                return;
            }
            waiter first = std::move(waiters_.front());
            waiters_.pop_front();
            if (!next && why) {
                finish<taken>(out, first.done, std::unexpected(*why));
            } else {
                finish<taken>(out, first.done, std::move(next));
            }
        }
    }
    // Ends the waits whose time is over.
    void expire(mono_time now, calls& out) {
        std::erase_if(waiters_, [&](waiter& each) {
            const bool late = each.deadline <= now;
            if (late) {
                finish<taken>(out, each.done, taken());
            }
            return late;
        });
    }
    [[nodiscard]] mono_time deadline() const {
        mono_time next = mono_never;
        for (const waiter& each : waiters_) {
            next = std::min(next, each.deadline);
        }
        return next;
    }

private:
    struct waiter {
        std::uint64_t ticket = 0;
        mono_time deadline{};
        callback<taken> done;
    };

    std::deque<waiter> waiters_;
    std::uint64_t last_ticket_ = 0;
};

}  // namespace brokerd::client_core
