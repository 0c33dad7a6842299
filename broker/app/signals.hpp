// SIGTERM and SIGINT as something to wait for. Blocked in every thread, so that exactly one place
// takes them. Owner: the main thread, before it starts any other.
#pragma once

namespace brokerd::app {

// Blocks the stop signals in this and every thread started later; ignores SIGPIPE.
void block_stop_signals();
// Waits for one; returns its number.
int wait_for_stop_signal();
// From now on a stop signal ends the process at once.
void let_next_signal_kill();

}  // namespace brokerd::app
