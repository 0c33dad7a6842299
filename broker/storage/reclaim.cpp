// Drops dead tables with DeleteFilesInRange, then compacts the topic with most dead bytes.
#include "broker/storage/reclaim.hpp"

#include <memory>
#include <utility>

#include <rocksdb/convenience.h>

#include "broker/storage/catalog.hpp"
#include "broker/storage/keys.hpp"
#include "broker/storage/rocks_options.hpp"

namespace brokerd::storage {

namespace {

// The keys of the chunks below a trim point, as RocksDB wants a range.
struct dead_range {
    dead_range(topic_id topic, offset_t first)
        : begin_key(log_key{topic, 0}.encode()),
          end_key(log_key{topic, first}.encode()),
          begin(to_slice(begin_key.view())),
          end(to_slice(end_key.view())) {}
    dead_range(const dead_range&) = delete;
    dead_range& operator=(const dead_range&) = delete;

    key_bytes begin_key;
    key_bytes end_key;
    rocksdb::Slice begin;
    rocksdb::Slice end;  // readable: not part of the range
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
    if (log_bytes(database_, topic, 0, first, false) == 0) {
        return 0;
    }
    const dead_range range(topic, first);
    // A failure shows up as a background error or leaves the tables for the next step.
    (void)rocksdb::DeleteFilesInRange(&database_.db(), database_.handle(family::log), &range.begin,
                                      &range.end, false);
    return log_bytes(database_, topic, 0, first, false);
}

void space_reclaimer::cancel() {
    // Ends it between two entries. One that waits for a compaction RocksDB began by itself is not
    // reached before that is done.
    database_.db().DisableManualCompaction();
}

void space_reclaimer::compact(topic_id topic, offset_t first) const {
    const dead_range range(topic, first);
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    (void)database_.db().CompactRange(options, database_.handle(family::log), &range.begin,
                                      &range.end);
}

bool space_reclaimer::has_chunks(topic_id topic) const {
    const dead_range range(topic, offset_end);
    auto options = make_read_options();
    options.iterate_upper_bound = &range.end;
    const std::unique_ptr<rocksdb::Iterator> it(
        database_.db().NewIterator(options, database_.handle(family::log)));
    it->Seek(range.begin);
    return it->Valid();
}

}  // namespace brokerd::storage
