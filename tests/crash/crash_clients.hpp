// What the clients of all crash runs have in common.
#pragma once

#include <charconv>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <brokerd/options.hpp>
#include <brokerd/types.hpp>

namespace brokerd::crash {

// Payloads are numbers.
[[nodiscard]] inline std::uint64_t content_of(std::string_view payload) {
    std::uint64_t content = 0;
    std::from_chars(payload.data(), payload.data() + payload.size(), content);
    return content;
}

// Never gives up, and comes back fast.
[[nodiscard]] inline client_options patient() {
    client_options options;
    options.give_up_after = forever;
    options.backoff_initial = std::chrono::milliseconds{5};
    options.backoff_max = std::chrono::milliseconds{50};
    return options;
}

}  // namespace brokerd::crash
