// brokerctl: the process around run().
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string_view>
#include <unistd.h>

#include "tools/brokerctl/run.hpp"

namespace {

bool wants_colours() {
    // https://no-color.org: present and not empty, whatever its value.
    const char* const no_color = std::getenv("NO_COLOR");
    const char* const term = std::getenv("TERM");
    return ::isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0') &&
           term != nullptr && std::string_view(term) != "dumb";
}

}  // namespace

int main(int argc, char** argv) {
    constexpr int failed = 1;
    std::ios::sync_with_stdio(false);
    std::cin.tie(nullptr);
    try {
        return brokerd::ctl::run(argc, argv,
                                 {.in = std::cin,
                                  .out = std::cout,
                                  .err = std::cerr,
                                  .in_terminal = ::isatty(STDIN_FILENO) == 1,
                                  .out_terminal = ::isatty(STDOUT_FILENO) == 1,
                                  .err_terminal = ::isatty(STDERR_FILENO) == 1,
                                  .colours = wants_colours()});
    } catch (const std::exception& failure) {
        std::cerr << "brokerctl: " << failure.what() << '\n';
        return failed;
    }
}
