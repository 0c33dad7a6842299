// The publishes of one connection that are not answered yet, and its credit. Each publish gets a
// number of our own, under which the domain answers it: the client's request ids need not be
// unique. Owner: the session's thread. Pure.
//
// Invariant: credit left + credit of unanswered publishes = what was granted in hello.
#pragma once

#include <cstdint>
#include <vector>

#include "protocol/types/error.hpp"

namespace brokerd::session {

class publish_window {
public:
    struct entry {
        std::uint32_t request = 0;  // the client's
        std::uint32_t messages = 0;
        std::uint64_t bytes = 0;
        bool answered = true;
    };

    publish_window(std::uint32_t credit_messages, std::uint64_t credit_bytes)
        : credit_messages_(credit_messages),
          credit_bytes_(static_cast<std::int64_t>(credit_bytes)) {}

    // Takes the credit of a publish and returns its number. Without any publish in flight one of
    // any size may come (a message may be larger than the credit). Error: credit_overrun.
    [[nodiscard]] outcome<std::uint32_t> open(std::uint32_t request, std::uint32_t messages,
                                              std::uint64_t bytes);
    // Gives the credit back and returns what was opened under this number.
    entry close(std::uint32_t number);

    [[nodiscard]] bool empty() const { return unanswered_ == 0; }
    [[nodiscard]] std::int64_t credit_messages() const { return credit_messages_; }
    [[nodiscard]] std::int64_t credit_bytes() const { return credit_bytes_; }

private:
    [[nodiscard]] entry& at(std::uint32_t number) { return ring_[number & (ring_.size() - 1)]; }
    void grow();

    std::int64_t credit_messages_;  // negative only while one large publish is in flight
    std::int64_t credit_bytes_;
    std::vector<entry> ring_;  // size a power of two; numbers first_ .. next_-1
    std::uint32_t first_ = 1;  // the oldest that is not answered
    std::uint32_t next_ = 1;
    std::uint32_t unanswered_ = 0;
};

}  // namespace brokerd::session
