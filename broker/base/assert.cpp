// What happens when an assertion fails.
#include "broker/base/assert.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace brokerd::base {
namespace {

void write_to_stderr(const assertion& what) {
    std::fprintf(stderr, "assertion failed: %s:%d: %s%s%.*s\n", what.file, what.line,
                 what.expression, what.text.empty() ? "" : ": ", static_cast<int>(what.text.size()),
                 what.text.data());
    std::fflush(stderr);
}

std::atomic<fail_handler> handler{&write_to_stderr};

}  // namespace

fail_handler set_fail_handler(fail_handler wanted) noexcept {
    return handler.exchange(wanted != nullptr ? wanted : &write_to_stderr);
}

void fail(const char* file, int line, const char* expression, const std::string& text) {
    handler.load()(assertion{file, line, expression, text});
    std::abort();
}

}  // namespace brokerd::base
