// Assertions for programmer errors: evaluated in every build, fatal in every build.
//
//   BROKERD_ASSERT(floor <= next);
//   BROKERD_ASSERT(floor <= next, "queue {}: floor {} above next {}", name, floor, next);
//
// A failed one calls the fail handler (which logs; the default writes to standard error) and then
// aborts: a broken invariant must not reach the disk. Any thread.
#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace brokerd::base {

struct assertion {
    const char* file = nullptr;
    int line = 0;
    const char* expression = nullptr;
    std::string_view text;  // the formatted message, may be empty
};

// Called on the failing thread, at most once at a time per thread; may throw (tests) or exit.
using fail_handler = void (*)(const assertion& what);

// Installs a handler and returns the one before; nullptr restores the default.
fail_handler set_fail_handler(fail_handler handler) noexcept;

// Calls the handler, then aborts if that returns.
[[noreturn]] void fail(const char* file, int line, const char* expression, const std::string& text);

namespace detail {
inline std::string assert_text() {
    return {};
}
template <typename... Args>
std::string assert_text(fmt::format_string<Args...> format, Args&&... args) {
    return fmt::format(format, std::forward<Args>(args)...);
}
}  // namespace detail

}  // namespace brokerd::base

#define BROKERD_ASSERT(condition, ...)                                                \
    do {                                                                              \
        if (!(condition)) [[unlikely]] {                                              \
            ::brokerd::base::fail(__FILE__, __LINE__, #condition,                     \
                                  ::brokerd::base::detail::assert_text(__VA_ARGS__)); \
        }                                                                             \
    } while (false)
