// Ctrl-C and SIGTERM while messages are leased or followed, or something is measured: the command
// ends in order instead of dying with leases in hand. A second signal kills as usual. One object at
// a time.
#pragma once

namespace brokerd::ctl {

class interruption {
public:
    interruption();
    ~interruption();
    interruption(const interruption&) = delete;
    interruption& operator=(const interruption&) = delete;

    [[nodiscard]] bool requested() const;
};

// A reader of our output that goes away must not kill us: it shows when the output is flushed.
void outlive_closed_output();

}  // namespace brokerd::ctl
