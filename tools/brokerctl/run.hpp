// brokerctl as a function: everything but the process around it.
#pragma once

#include <iosfwd>

namespace brokerd::ctl {

// The standard streams and what is at their other ends.
struct streams {
    std::istream& in;
    std::ostream& out;
    std::ostream& err;
    bool in_terminal = false;
    bool out_terminal = false;
    bool err_terminal = false;
    bool colours = false;
};

// Parses the command line, runs the command, reports its failure. Returns the exit code.
[[nodiscard]] int run(int argc, const char* const* argv, const streams& io);

}  // namespace brokerd::ctl
