// Answers fetches from RocksDB. Any thread, concurrently with the commit thread.
//
// Readers that walk through a backlog name themselves by a number; their iterator is kept between
// reads, because opening one costs far more than moving it. A kept iterator pins tables and
// memtables, so it is dropped after some seconds, and there are few of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "broker/domain/command.hpp"
#include "broker/domain/effects.hpp"
#include "broker/storage/rocks_handles.hpp"
#include "broker/storage/topic_table.hpp"

namespace brokerd::storage {

class rocks_reads {
public:
    rocks_reads(const rocks_database& database, const topic_table& topics)
        : database_(database), topics_(topics) {}

    [[nodiscard]] domain::fetch_result read(const domain::fetch_body& what);

    // Drops the iterators that were kept too long.
    void drop_old_iterators();

private:
    // An iterator over the log of one topic.
    struct log_iterator {
        topic_id topic;
        std::chrono::steady_clock::time_point opened;
        offset_t next = 0;  // where it stands, if it was moved
        std::string upper_bytes;
        rocksdb::Slice upper;  // must live as long as the iterator: destroyed after it
        std::unique_ptr<rocksdb::Iterator> it;
    };
    using log_iterator_ptr = std::unique_ptr<log_iterator>;

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

    [[nodiscard]] log_iterator_ptr open_log(topic_id topic, bool backlog) const;
    log_iterator_ptr take_iterator(std::uint64_t reader, topic_id topic);
    void keep_iterator(std::uint64_t reader, log_iterator_ptr iterator);

    // The chunk the iterator stands on, verified. Errors: bad_checksum, naming the place.
    outcome<domain::chunk_ptr> chunk_at(const log_iterator& log) const;
    // The scheduled batch the iterator stands on, verified and copied. Errors: bad_checksum, naming
    // the schedule.
    outcome<domain::scheduled_batch> schedule_at(const rocksdb::Iterator& it, topic_id topic) const;
    outcome<void> status_of(const rocksdb::Iterator& it, topic_id topic, offset_t offset) const;
    // The record of an exception, from the log or from the kept ones; empty if it is nowhere.
    outcome<void> add_record(topic_id topic, queue_id queue, domain::exception_entry& entry,
                             log_iterator& log, domain::chunk_ptr& recent) const;

    const rocks_database& database_;
    const topic_table& topics_;
    std::mutex mutex_;
    std::map<std::uint64_t, log_iterator_ptr> kept_;  // guarded by mutex_; not those in use
};

}  // namespace brokerd::storage
