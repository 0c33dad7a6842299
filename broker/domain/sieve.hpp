// What of its topic is for a queue: what its filter takes, up to its end. A message that is not is
// done for the queue as soon as it is appended. Owner: the queue; null for one that takes all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/chunk.hpp"
#include "broker/domain/interval_set.hpp"
#include "broker/domain/read_window.hpp"
#include "protocol/filter/filter.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

struct sieve {
    sieve(std::optional<filters::filter> which, offset_t end, std::size_t& window_bytes)
        : filter(std::move(which)), until(end), window(window_bytes) {}

    [[nodiscard]] bool takes(const chunk& data, offset_t offset) const {
        if (base::seeded_fault(base::fault::deliver_unmatched)) {
            return true;
        }
        return offset < until && (!filter || filter->matches({.record = data.record(offset),
                                                              .offset = offset,
                                                              .time = data.append_time()}));
    }

    std::optional<filters::filter> filter;
    offset_t until;  // offset_end: none

    // ---- what was appended before there was this filter, or was one gap too many ----
    interval_set unsifted;          // may hold ready messages that are not for the queue
    offset_t durable = offset_end;  // the store knows: from here on
    offset_t at = 0;                // below, this pass has looked at all of it; end: no pass
    bool left_some = false;         // one was one gap too many: all from there on is left for later
    bool reading = false;
    std::string read_error;  // empty = reads succeed
    mono_time again{};       // no slice before
    read_window window;
    std::uint64_t looked_in = 0;  // the dispatch that has looked at so many
    std::uint64_t looked = 0;
};

}  // namespace brokerd::domain
