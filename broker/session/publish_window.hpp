// The publishes of one connection that are not answered yet, and its credit. Each publish gets a
// number of our own, under which the domain answers it: the client's request ids need not be
// unique. Owner: the session's thread. Pure.
//
// Invariants
//   * credit left + credit of unanswered publishes = what was granted in hello;
//   * a number is used again once its publish is answered: there are as many places as publishes
//     were in flight at once, which credit bounds, however slow one of them is.
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
        bool in_flight = false;
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

    [[nodiscard]] bool empty() const { return free_.size() == places_.size(); }
    [[nodiscard]] std::int64_t credit_messages() const { return credit_messages_; }
    [[nodiscard]] std::int64_t credit_bytes() const { return credit_bytes_; }

private:
    std::int64_t credit_messages_;  // negative only while one large publish is in flight
    std::int64_t credit_bytes_;
    std::vector<entry> places_;        // of number n: places_[n - 1]
    std::vector<std::uint32_t> free_;  // numbers
};

}  // namespace brokerd::session
