// Drops dead tables with DeleteFilesInRanges, then compacts the topic with most dead bytes.
#include "broker/storage/reclaim.hpp"

#include <memory>
#include <utility>

#include <rocksdb/convenience.h>

#include "broker/storage/catalog.hpp"
#include "broker/storage/keys.hpp"
#include "broker/storage/rocks_options.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::storage {

namespace {

// The keys of the chunks below a trim point, as RocksDB wants ranges: one for each lane, or one for
// all keys of a topic that was removed. They begin with whole keys: RocksDB shortens the last key
// of a block in its index, to what may be the mere prefix of the next lane or topic, and a range
// from there on would count that block.
class dead_ranges {
public:
    dead_ranges(topic_id topic, offset_t first, std::uint8_t lanes) {
        const log_key highest{topic, offset_end, limits::priorities_max - 1};
        if (first == offset_end) {
            keys_.emplace_back(log_key{topic, 0}.encode(), highest.encode());
        }
        for (std::uint8_t lane = 0; first != offset_end && lane < lanes; ++lane) {
            keys_.emplace_back(log_key{topic, 0, lane}.encode(),
                               log_key{topic, first, lane}.encode());
        }
        for (const auto& [begin, end] : keys_) {
            ranges_.emplace_back(to_slice(begin.view()), to_slice(end.view()));
        }
    }
    dead_ranges(const dead_ranges&) = delete;
    dead_ranges& operator=(const dead_ranges&) = delete;

    // The end of each is readable: not part of it.
    [[nodiscard]] const std::vector<rocksdb::Range>& all() const { return ranges_; }

private:
    std::vector<std::pair<key_bytes, key_bytes>> keys_;
    std::vector<rocksdb::Range> ranges_;  // of keys_
};

}  // namespace

std::vector<topic_id> space_reclaimer::step(std::uint64_t tables) {
    std::vector<topic_id> gone;
    std::pair<topic_id, offset_t> worst;
    std::uint64_t worst_bytes = 0;
    dead_bytes_ = 0;
    // Held by name: in the head of the loop it would be gone before the first turn.
    const auto points = points_.snapshot();
    for (const auto& [topic, first] : *points) {
        const clean_state now{first, tables};
        if (clean_[topic] == now) {
            continue;
        }
        const std::uint64_t bytes = drop_dead_tables(topic, first);
        dead_bytes_ += bytes;
        if (bytes > worst_bytes) {
            worst = {topic, first};
            worst_bytes = bytes;
        }
        if (bytes == 0) {
            clean_[topic] = now;
            if (first == offset_end && !has_chunks(topic)) {
                clean_.erase(topic);
                gone.push_back(topic);
            }
        }
    }
    if (dead_bytes_ > dead_bytes_max_) {
        compact(worst.first, worst.second);
    }
    return gone;
}

std::uint64_t space_reclaimer::drop_dead_tables(topic_id topic, offset_t first) const {
    const dead_ranges dead(topic, first, topics_.lanes(topic));
    if (log_bytes(database_, dead.all(), false) == 0) {
        return 0;
    }
    std::vector<rocksdb::RangePtr> ranges;
    for (const rocksdb::Range& range : dead.all()) {
        ranges.emplace_back(&range.start, &range.limit);
    }
    // A failure shows up as a background error or leaves the tables for the next step.
    (void)rocksdb::DeleteFilesInRanges(&database_.db(), database_.handle(family::log),
                                       ranges.data(), ranges.size(), false);
    return log_bytes(database_, dead.all(), false);
}

void space_reclaimer::cancel() {
    // Ends it between two entries. One that waits for a compaction RocksDB began by itself is not
    // reached before that is done.
    database_.db().DisableManualCompaction();
}

void space_reclaimer::compact(topic_id topic, offset_t first) const {
    const dead_ranges dead(topic, first, topics_.lanes(topic));
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    for (const rocksdb::Range& range : dead.all()) {
        // That of another lane may have rewritten the tables of this one.
        if (log_bytes(database_, {&range, 1}, false) > 0) {
            (void)database_.db().CompactRange(options, database_.handle(family::log), &range.start,
                                              &range.limit);
        }
    }
}

bool space_reclaimer::has_chunks(topic_id topic) const {
    const auto end = behind(topic_prefix(topic));
    const rocksdb::Slice upper = to_slice(end.view());
    auto options = make_read_options();
    options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> it(
        database_.db().NewIterator(options, database_.handle(family::log)));
    it->Seek(to_slice(topic_prefix(topic).view()));
    return it->Valid();
}

}  // namespace brokerd::storage
