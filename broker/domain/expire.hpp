// Ending what has expired in a chunk; private to expire.cpp and expiry.cpp.
#pragma once

#include "broker/domain/chunk.hpp"
#include "broker/domain/core.hpp"
#include "broker/domain/interval_set.hpp"

namespace brokerd::domain {

struct swept {
    bool complete = true;             // false: this commit takes no more; once more with the next
    offset_t postponed = offset_end;  // expired from here on, but one gap too many for max_runs
    interval_set held;                // expired, but leased
};
// Ends the ready messages of one chunk that have expired and have never failed.
[[nodiscard]] swept sweep_chunk(core& c, turn& t, queue& q, const chunk& data);

}  // namespace brokerd::domain
