// Walks the chunks of a topic in the order of their offsets: those of all its lanes, or of one.
//
// A lane is a range of keys with an iterator of its own. All of them see the database as it was
// when the cursor was made: else one could show a chunk and another not yet the one before it, and
// the offsets between would look as if no message had them. So what a cursor shows is the log up to
// some commit. A cursor over one lane is one iterator, and the order is that of its keys.
//
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "broker/storage/rocks_handles.hpp"
#include "broker/storage/values.hpp"
#include "protocol/types/error.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::storage {

// Of a topic, from `first` on and before `end`; not empty.
struct lane_range {
    std::uint8_t first = 0;
    std::uint8_t end = 1;
    bool operator==(const lane_range&) const = default;
};

// What a cursor is for: single chunks, or to read on through many.
enum class cursor_use : std::uint8_t { lookups, backlog };

// The header of the chunk stored under a key, checked against the key. Errors: storage_failed or
// bad_checksum with what is wrong; what names the chunk is the caller's part.
[[nodiscard]] outcome<chunk_place> place_of(std::string_view key, std::string_view value);

class log_cursor {
public:
    log_cursor(const rocks_database& database, topic_id topic, lane_range lanes, cursor_use use);
    log_cursor(const log_cursor&) = delete;
    log_cursor& operator=(const log_cursor&) = delete;

    // Stands then on the chunk that holds the offset, or the first one behind it. Only after a seek
    // does the cursor stand anywhere.
    void seek(offset_t offset);
    // Only if valid.
    void next();
    // False behind the last chunk, and when a read failed: see status.
    [[nodiscard]] bool valid() const { return current_ != nullptr; }
    [[nodiscard]] rocksdb::Status status() const { return status_; }

    // Of the chunk it stands on; valid until it moves.
    [[nodiscard]] std::string_view key() const { return to_view(current_->key()); }
    [[nodiscard]] std::string_view value() const { return to_view(current_->value()); }
    [[nodiscard]] outcome<chunk_place> place() const { return place_of(key(), value()); }

    [[nodiscard]] topic_id topic() const { return topic_; }
    [[nodiscard]] lane_range lanes() const { return lanes_; }
    // What it costs to keep one.
    [[nodiscard]] std::size_t iterators() const { return iterators_.size(); }

private:
    // Each reads its bound where that is, so they never move.
    struct bounded_lane {
        key_bytes end;
        rocksdb::Slice upper;
        std::unique_ptr<rocksdb::Iterator> it;
    };

    // Stands on the first of the chunks that the lanes stand on.
    void choose();

    topic_id topic_;
    lane_range lanes_;
    std::vector<bounded_lane> iterators_;
    rocksdb::Iterator* current_ = nullptr;  // one of them
    rocksdb::Status status_;
};

}  // namespace brokerd::storage
