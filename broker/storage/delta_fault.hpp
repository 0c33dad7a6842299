// The seeded fault drop_cursor_range, shared by both stores. Header only.
#pragma once

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/mutation.hpp"

namespace brokerd::storage {

// Whether this delta is one of those that lose their runs.
[[nodiscard]] inline bool loses_runs(const domain::queue_delta& delta) {
    return base::seeded_fault(base::fault::drop_cursor_range) && delta.number % 4 == 3;
}

[[nodiscard]] inline domain::queue_delta without_runs(domain::queue_delta delta) {
    delta.runs.clear();
    return delta;
}

}  // namespace brokerd::storage
