// Which batches are refused when the disk is full. Header only.
#pragma once

#include <algorithm>
#include <span>
#include <variant>

#include "broker/domain/mutation.hpp"

namespace brokerd::storage {

// A batch that only settles, removes or administers may still be written: that is what frees space.
[[nodiscard]] inline bool needs_space(std::span<const domain::mutation> mutations) {
    return std::ranges::any_of(mutations, [](const domain::mutation& m) {
        return std::holds_alternative<domain::appended>(m) ||
               std::holds_alternative<domain::schedule_put>(m);
    });
}

}  // namespace brokerd::storage
