// Frees the disk space of chunks below their topic's trim point that are in tables already: whole
// tables are dropped, and when what is left exceeds a budget, one topic's dead range is compacted.
// One thread at a time; concurrently with everything else.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "broker/storage/rocks_handles.hpp"
#include "broker/storage/topic_table.hpp"
#include "broker/storage/trim_filter.hpp"

namespace brokerd::storage {

class space_reclaimer {
public:
    space_reclaimer(const rocks_database& database, const topic_table& topics,
                    const durable_trim_points& points, std::uint64_t dead_bytes_max)
        : database_(database), topics_(topics), points_(points), dead_bytes_max_(dead_bytes_max) {}

    // One bounded step. `tables` changes whenever a flush or compaction has written tables: only
    // then, or when trim points moved, is there anything new to look at.
    // Returns the removed topics that have nothing left in the log.
    [[nodiscard]] std::vector<topic_id> step(std::uint64_t tables);

    // A running step breaks off, and no later one compacts. Waits for it. Any thread.
    void cancel();

    // Dead bytes in tables at the end of the last step. An estimate.
    [[nodiscard]] std::uint64_t dead_bytes() const { return dead_bytes_; }

private:
    // What was looked at and found to have no dead bytes in tables.
    struct clean_state {
        offset_t first = 0;
        std::uint64_t tables = 0;
        bool operator==(const clean_state&) const = default;
    };

    // Dead bytes in tables, after dropping those that hold nothing else.
    [[nodiscard]] std::uint64_t drop_dead_tables(topic_id topic, offset_t first) const;
    [[nodiscard]] bool has_chunks(topic_id topic) const;
    void compact(topic_id topic, offset_t first) const;

    const rocks_database& database_;
    const topic_table& topics_;
    const durable_trim_points& points_;
    const std::uint64_t dead_bytes_max_;
    std::map<topic_id, clean_state> clean_;
    std::uint64_t dead_bytes_ = 0;
};

}  // namespace brokerd::storage
