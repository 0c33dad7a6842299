// The time at which the tests of what people read take place. Header only.
#pragma once

#include <chrono>

#include <brokerd/types.hpp>

namespace brokerd::ctl {

inline constexpr timestamp now =
    std::chrono::sys_days{std::chrono::year{2026} / 3 / 1} + std::chrono::hours{12};

}  // namespace brokerd::ctl
