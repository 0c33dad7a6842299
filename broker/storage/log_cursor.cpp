// The lanes are few, so the first of them is found by looking at each.
#include "broker/storage/log_cursor.hpp"

#include <algorithm>
#include <optional>

#include <rocksdb/snapshot.h>

#include "broker/base/assert.hpp"
#include "broker/storage/keys.hpp"
#include "broker/storage/rocks_options.hpp"

namespace brokerd::storage {

namespace {

// Of a cursor; its iterators share it, as each holds so much memory of every table it reads.
constexpr std::size_t readahead_bytes = std::size_t{512} << 10;

// What keys of lanes of one topic are ordered by: the last offset of the chunk.
std::string_view order_of(const rocksdb::Iterator& it) {
    return to_view(it.key()).substr(log_key::prefix_bytes);
}

}  // namespace

outcome<chunk_place> place_of(std::string_view key, std::string_view value) {
    const auto parsed = log_key::parse(key);
    chunk_place place;
    if (auto decoded = decode_value(value, place); !decoded) {
        return std::unexpected(decoded.error());
    }
    if (!parsed || parsed->topic != place.topic || parsed->lane != place.lane ||
        parsed->last_offset + 1 != place.base_offset + place.count) {
        return refuse(error_code::bad_checksum, "the chunk does not belong to its key");
    }
    return place;
}

log_cursor::log_cursor(const rocks_database& database, topic_id topic, lane_range lanes,
                       cursor_use use)
    : topic_(topic), lanes_(lanes), iterators_(std::size_t{lanes.end} - lanes.first) {
    BROKERD_ASSERT(lanes.first < lanes.end, "no lanes from {} to {}", lanes.first, lanes.end);
    auto options = make_read_options();
    if (use == cursor_use::backlog) {
        // Read once, in order: it would only push useful blocks out of the cache.
        options.fill_cache = false;
        options.readahead_size = readahead_bytes / iterators_.size();
    }
    // An iterator needs it only while it is made.
    std::optional<rocksdb::ManagedSnapshot> snapshot;
    if (iterators_.size() > 1) {
        snapshot.emplace(&database.db());
        options.snapshot = snapshot->snapshot();
    }
    std::uint8_t lane = lanes.first;
    for (bounded_lane& each : iterators_) {
        each.end = behind(lane_prefix(topic, lane++));
        each.upper = to_slice(each.end.view());
        options.iterate_upper_bound = &each.upper;
        each.it.reset(database.db().NewIterator(options, database.handle(family::log)));
    }
}

void log_cursor::seek(offset_t offset) {
    std::uint8_t lane = lanes_.first;
    for (const bounded_lane& each : iterators_) {
        each.it->Seek(to_slice(log_key{topic_, offset, lane++}.encode().view()));
    }
    choose();
}

void log_cursor::next() {
    current_->Next();
    choose();
}

void log_cursor::choose() {
    current_ = nullptr;
    status_ = rocksdb::Status::OK();
    for (const bounded_lane& each : iterators_) {
        if (each.it->Valid()) {
            if (current_ == nullptr || order_of(*each.it) < order_of(*current_)) {
                current_ = each.it.get();
            }
        } else if (const auto status = each.it->status(); !status.ok()) {
            // What this lane has is not known, so nothing is known to be the next one.
            status_ = status;
            current_ = nullptr;
            return;
        }
    }
}

}  // namespace brokerd::storage
