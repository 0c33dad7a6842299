// Signal handlers that set a flag once.
#include "tools/brokerctl/interruption.hpp"

#include <csignal>

namespace brokerd::ctl {
namespace {

volatile std::sig_atomic_t signalled = 0;  // lock-free and the only thing a handler may write

void on_signal(int number) {
    signalled = 1;
    std::signal(number, SIG_DFL);
}

}  // namespace

interruption::interruption() {
    signalled = 0;
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
}

interruption::~interruption() {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
}

bool interruption::requested() const {
    return signalled != 0;
}

void outlive_closed_output() {
    std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace brokerd::ctl
