// The messages a consumer holds: delivered and not answered, of which some are buffered and the
// others handed out. Knows until when each lease lasts and which are to be renewed.
// Sans-I/O. Owner: the holder of the client's lock.
//
// Invariants: a message is handed out at most once, in the order of delivery, and not after its
// lease has run out by our clock; a lease is open until it is answered, released or gone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "client/src/delivery.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::client_core {

class delivery_buffer {
public:
    // `max_hold`: see consume_options.
    delivery_buffer(delivery_origin origin, duration_us max_hold)
        : origin_(std::make_shared<const delivery_origin>(std::move(origin))),
          max_hold_(max_hold) {}

    // Takes a run in; `lease` = how long leases last. False if its records are not what it says.
    [[nodiscard]] bool add(const codec::delivery_run& run, const shared_bytes& body,
                           duration_us lease, mono_time now);
    // The next buffered message.
    [[nodiscard]] std::optional<handed_message> take(mono_time now);

    // The message is answered or not ours any more.
    void close(delivery& of, std::uint32_t index);
    void close_gone(const std::vector<lease_run>& gone);
    // Closes buffered messages whose leases are over: others have them by now.
    void close_expired(mono_time now);
    // Closes all of them, buffered or handed out.
    void clear();

    struct renewal {
        std::vector<lease_run> renewed;
        // Buffered for too long: to be released, so that they do not fail.
        std::vector<std::pair<std::shared_ptr<delivery>, std::uint32_t>> given_back;
    };
    // What to renew now; assumes that it is done.
    [[nodiscard]] renewal renew(duration_us lease, mono_time now);
    // All leases last for `lease` from now: they were taken up again.
    void restart_leases(duration_us lease, mono_time now);
    [[nodiscard]] std::vector<lease_run> open_runs() const;

    [[nodiscard]] std::size_t open() const { return open_; }
    [[nodiscard]] std::size_t buffered() const { return buffered_open_; }

private:
    std::shared_ptr<const delivery_origin> origin_;
    duration_us max_hold_;
    std::list<std::shared_ptr<delivery>> held_;       // with open slots
    std::deque<std::shared_ptr<delivery>> buffered_;  // with slots not handed out
    std::size_t open_ = 0;
    std::size_t buffered_open_ = 0;
};

}  // namespace brokerd::client_core
