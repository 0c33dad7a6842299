// Which messages of a queue a request is about, and how many of them a slice takes. Owner: the
// engine strand.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "broker/domain/mutation.hpp"
#include "protocol/filter/filter.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/error.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

class selection {
public:
    static constexpr std::uint32_t slice_max = 1000;  // exceptions looked at in one slice

    // An empty filter selects all. `limit`: most messages of one slice, 0 = no limit.
    [[nodiscard]] static outcome<selection> parse(std::string_view filter, std::uint32_t limit);

    [[nodiscard]] bool has_filter() const { return filter_.has_value(); }
    // It has to see more of an exception than its state and attempts.
    [[nodiscard]] bool needs_record() const;
    [[nodiscard]] std::uint64_t limit() const { return limit_; }
    // Exceptions worth loading for a slice.
    [[nodiscard]] std::uint64_t looked_at_max() const {
        return filter_ ? slice_max : std::min<std::uint64_t>(limit_, slice_max);
    }

    struct candidate {
        offset_t offset = 0;
        message_state state = message_state::ready;
        wall_time append_time{};
        byte_view record{};
        const exception_state* exception = nullptr;  // of a message that has one
    };
    [[nodiscard]] bool takes(const candidate& message, wall_time now) const;

private:
    std::optional<filters::filter> filter_;
    std::uint64_t limit_ = 0;
};

}  // namespace brokerd::domain
