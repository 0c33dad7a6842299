// Ctrl-C and SIGTERM while messages are leased or followed: the command ends in order instead of
// dying with leases in hand. A second signal kills as usual. One object at a time.
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

}  // namespace brokerd::ctl
