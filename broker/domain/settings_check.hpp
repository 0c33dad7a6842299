// What creating and changing topics and queues share: bounds of settings, and which settings
// differ. Header only; pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "protocol/types/error.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

// Names of the fields in which two settings differ.
template <typename Settings>
[[nodiscard]] std::vector<std::string> differing(const Settings& asked, const Settings& in_force) {
    std::vector<std::string> names;
    std::apply(
        [&](const auto&... each) {
            ((asked.*each.member == in_force.*each.member ? void()
                                                          : void(names.emplace_back(each.name))),
             ...);
        },
        Settings::fields());
    return names;
}

[[nodiscard]] inline std::string setting_text(duration_us value) {
    return fmt::format("{} ms", value.count() / 1000);
}
[[nodiscard]] inline std::string setting_text(std::uint64_t value) {
    return fmt::format("{}", value);
}

template <typename Value>
[[nodiscard]] outcome<void> check_bounds(std::string_view name, Value value, Value low,
                                         Value high) {
    if (value >= low && value <= high) {
        return {};
    }
    return refuse(error_code::invalid_setting,
                  fmt::format("{} = {} is out of bounds: {} to {} is allowed", name,
                              setting_text(value), setting_text(low), setting_text(high)));
}

}  // namespace brokerd::domain
