// One reader of a client: a position in one incarnation of a topic, what was read ahead, and one
// read under way at most, which the broker answers when there is something or the wait is over.
// Sans-I/O. Owner: the holder of the client's lock.
//
// Offsets name other messages in another incarnation, and in other data even the same incarnation
// is another topic. A reader that finds itself there is over: it hands out what it has read and
// then fails, until seek() says where to begin anew.
//
// Invariants: messages are handed out in offset order, none twice and none skipped, all of one
// incarnation; each waiter is called exactly once; there are waiters only while nothing is
// buffered.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "brokerd/options.hpp"
#include "brokerd/types.hpp"
#include "client/src/request_table.hpp"
#include "client/src/result.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::client_core {

class reader_state {
public:
    // `requests` must outlive it.
    reader_state(request_table& requests, std::string topic, log_position from,
                 const reader_options& options);
    ~reader_state();
    reader_state(const reader_state&) = delete;
    reader_state& operator=(const reader_state&) = delete;

    [[nodiscard]] std::optional<stored_message> take();
    // Calls with the next message; with nothing when none came within `timeout`. Returns a ticket
    // for cancel_wait().
    std::uint64_t wait(duration_us timeout, mono_time now,
                       callback<std::optional<stored_message>> done, calls& out);
    void cancel_wait(std::uint64_t ticket);
    void seek(log_position where);
    [[nodiscard]] std::uint64_t position() const;
    // The broker was reached again, with other data than before.
    void on_other_database(calls& out);
    // Wakes all waiters with nothing.
    void close(calls& out);

    mono_time tick(mono_time now, calls& out);

private:
    struct waiter {
        std::uint64_t ticket = 0;
        mono_time deadline{};
        bool one_look = false;  // an answer without a message is enough
        callback<std::optional<stored_message>> done;
    };

    void ask(mono_time now);
    void on_answer(const result<codec::frame>& frame, calls& out);
    void end(const error& why, calls& out);
    void fail_waiters(const error& why, calls& out);
    void end_wait(waiter& which, calls& out);

    request_table& requests_;
    std::string topic_;
    reader_options options_;
    log_position next_;     // where the next read begins
    topic_id incarnation_;  // 0 before the first answer
    std::optional<error> over_;
    std::deque<stored_message> buffer_;
    std::uint64_t asked_ = 0;  // ticket of the read under way
    std::deque<waiter> waiters_;
    std::uint64_t last_ticket_ = 0;
    mono_time now_{};  // of the last call that knew it
};

}  // namespace brokerd::client_core
