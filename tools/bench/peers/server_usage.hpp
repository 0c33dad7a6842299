// What the processes of a server have used, from /proc. Linux; no thread affinity.
#pragma once

#include <cstdint>
#include <sys/types.h>

namespace brokerd::peers {

struct server_usage {
    double cpu_seconds = 0;
    std::uint64_t resident_bytes = 0;

    // Of all processes in the session that `leader` began, added up. Throws when there is none.
    [[nodiscard]] static server_usage of_session(pid_t leader);
};

}  // namespace brokerd::peers
