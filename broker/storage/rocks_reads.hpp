// Answers fetches from RocksDB. Any thread, concurrently with the commit thread.
//
// Readers that walk through a backlog name themselves by a number; their cursor, of each lane they
// read by itself or of all together, is kept between reads, because opening one costs far more than
// moving it. A kept cursor pins tables and memtables, so it is dropped after some seconds, and
// there are few of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "broker/domain/command.hpp"
#include "broker/domain/effects.hpp"
#include "broker/storage/log_cursor.hpp"
#include "broker/storage/rocks_handles.hpp"
#include "broker/storage/topic_table.hpp"

namespace brokerd::storage {

class rocks_reads {
public:
    rocks_reads(const rocks_database& database, const topic_table& topics)
        : database_(database), topics_(topics) {}

    [[nodiscard]] domain::fetch_result read(const domain::fetch_body& what);

    // Drops the cursors that were kept too long.
    void drop_old_cursors();

private:
    using cursor_ptr = std::unique_ptr<log_cursor>;
    struct kept_cursor {
        cursor_ptr cursor;
        std::chrono::steady_clock::time_point opened;
        offset_t next = 0;  // where it stands: at the first chunk from here on
    };
    // Who keeps it, and the lane that is read by itself.
    using keeper = std::pair<std::uint64_t, std::optional<std::uint8_t>>;

    outcome<domain::log_fetched> read_one(const domain::fetch_log& what);
    outcome<domain::exceptions_fetched> read_one(const domain::fetch_exceptions& what);
    outcome<domain::exceptions_fetched> read_one(const domain::scan_exceptions& what);
    outcome<domain::due_fetched> read_one(const domain::fetch_due& what);
    outcome<domain::times_fetched> read_one(const domain::fetch_times& what);
    outcome<domain::offset_fetched> read_one(const domain::fetch_offset& what);
    outcome<domain::schedules_fetched> read_one(const domain::fetch_schedules& what);
    outcome<domain::schedules_fetched> read_one(const domain::find_schedules& what);
    outcome<domain::expiring_fetched> read_one(const domain::fetch_expiring& what);
    outcome<domain::message_ids_fetched> read_one(const domain::fetch_message_ids& what);

    [[nodiscard]] cursor_ptr open_log(topic_id topic) const;  // of all its lanes, for lookups
    // Empty if none was kept that can still be used.
    kept_cursor take_cursor(const keeper& who, topic_id topic);
    void keep_cursor(const keeper& who, kept_cursor cursor);

    // The chunk the cursor stands on, verified. Errors: bad_checksum, naming the place.
    outcome<domain::chunk_ptr> chunk_at(const log_cursor& log) const;
    // The scheduled batch the iterator stands on, verified and copied. Errors: bad_checksum, naming
    // the schedule.
    outcome<domain::scheduled_batch> schedule_at(const rocksdb::Iterator& it, topic_id topic) const;
    outcome<void> check(const rocksdb::Status& status, topic_id topic, offset_t offset) const;
    // The record of an exception, from the log or from the kept ones; empty if it is nowhere.
    outcome<void> add_record(topic_id topic, queue_id queue, domain::exception_entry& entry,
                             log_cursor& log, domain::chunk_ptr& recent) const;

    const rocks_database& database_;
    const topic_table& topics_;
    std::mutex mutex_;
    std::map<keeper, kept_cursor> kept_;  // guarded by mutex_; not those in use
    std::size_t iterators_kept_ = 0;      // guarded by mutex_; of all kept_
};

}  // namespace brokerd::storage
