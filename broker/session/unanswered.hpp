// The requests of one connection that are not answered yet: how many, and how large they and their
// answers may become together. Each goes to the engine under a tag, the client's request id and
// what it was counted as, and the answer brings the tag back. So every answer takes off exactly
// what its request put on, also where a client uses an id twice or an uncounted request is refused.
// Owner: the session's thread. Pure. Header only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "broker/base/assert.hpp"
#include "broker/session/session_settings.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::session {

enum class answer_kind : std::uint8_t {
    none,      // not counted: it may stay without an answer
    soon,      // of the engine
    detach,    // soon; its ok ends a consumer
    waiting,   // of the engine, perhaps only when there is something to read
    question,  // of the server
    reply,     // of a responder, perhaps only after the longest time there is
};

// What a request has to expect. `bytes`: what its answer may hold in memory until it is written,
// and what the request itself holds until then, where that is much.
struct expected_answer {
    answer_kind kind = answer_kind::none;
    std::size_t bytes = 0;
};

// Of answers without a list or a message in them.
inline constexpr std::size_t small_answer_bytes = 4 * limits::kib;

class unanswered_requests {
public:
    // Returns the tag; without an answer to count it is the request id itself.
    std::uint64_t open(std::uint32_t request, expected_answer expected) {
        if (expected.kind == answer_kind::none) {
            return request;
        }
        const std::uint64_t bytes = std::min<std::uint64_t>(expected.bytes, bytes_max);
        ++count_of(expected.kind);
        bytes_ += bytes;
        return bytes << bytes_shift |
               std::uint64_t{static_cast<std::uint8_t>(expected.kind)} << kind_shift | request;
    }
    [[nodiscard]] static answer_kind kind_of(std::uint64_t tag) {
        return static_cast<answer_kind>(tag >> kind_shift & kind_mask);
    }
    // Returns the client's request id.
    std::uint32_t close(std::uint64_t tag) {
        const auto kind = kind_of(tag);
        if (kind != answer_kind::none) {
            auto& count = count_of(kind);
            const std::uint64_t bytes = tag >> bytes_shift;
            BROKERD_ASSERT(count > 0 && bytes_ >= bytes, "request {} was not open",
                           static_cast<std::uint32_t>(tag));
            --count;
            bytes_ -= bytes;
        }
        return static_cast<std::uint32_t>(tag);
    }

    // No further request, please. That is soon over: it never is for the sake of reads alone that
    // may wait as long as they like.
    [[nodiscard]] bool full() const {
        return soon_ >= requests_unanswered_max || waiting_ > limits::waiting_reads_max ||
               (bytes_ > limits::outbox_bytes_max && soon_ + questions_ > 0);
    }
    [[nodiscard]] std::uint64_t soon() const { return soon_; }
    [[nodiscard]] std::uint64_t questions() const { return questions_; }
    // Bounded by who opens them: a connection that asks may be the one that is to reply.
    [[nodiscard]] std::uint64_t replies() const { return replies_; }

private:
    static constexpr unsigned kind_shift = 32;
    static constexpr std::uint64_t kind_mask = 7;
    static constexpr unsigned bytes_shift = 35;
    static constexpr std::uint64_t bytes_max = (std::uint64_t{1} << (64 - bytes_shift)) - 1;
    static_assert(limits::frame_bytes_max <= bytes_max);

    [[nodiscard]] std::uint64_t& count_of(answer_kind kind) {
        return kind == answer_kind::waiting    ? waiting_
               : kind == answer_kind::question ? questions_
               : kind == answer_kind::reply    ? replies_
                                               : soon_;
    }

    std::uint64_t soon_ = 0;
    std::uint64_t waiting_ = 0;
    std::uint64_t questions_ = 0;
    std::uint64_t replies_ = 0;
    std::uint64_t bytes_ = 0;  // of all of them
};

}  // namespace brokerd::session
