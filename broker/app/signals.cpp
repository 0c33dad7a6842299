// Signals by sigwait: no handlers, nothing asynchronous.
#include "broker/app/signals.hpp"

#include <pthread.h>
#include <signal.h>

namespace brokerd::app {
namespace {

sigset_t stop_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

}  // namespace

void block_stop_signals() {
    const auto set = stop_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
}

int wait_for_stop_signal() {
    const auto set = stop_signals();
    int number = 0;
    sigwait(&set, &number);
    return number;
}

void let_next_signal_kill() {
    const auto set = stop_signals();
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace brokerd::app
