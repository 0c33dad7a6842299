// The store in memory: for the simulator, and the model that RocksDB is compared with. What was
// not synced is lost by crash(). Deterministic.
//
// Any thread; one mutex.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "broker/storage/store.hpp"

namespace brokerd::storage {

// The state a sequence of mutations leads to. Copying shares the chunks.
class memory_image {
public:
    void apply(commit_number number, std::span<const domain::mutation> batch);

    [[nodiscard]] domain::loaded_state load() const;
    [[nodiscard]] domain::fetch_result read(const domain::fetch_body& what) const;
    [[nodiscard]] commit_number last_commit() const { return last_commit_; }
    [[nodiscard]] std::uint64_t stored_bytes() const;

    void operator()(const domain::epoch_started& m);
    void operator()(const domain::topic_created& m);
    void operator()(const domain::topic_changed& m);
    void operator()(const domain::topic_removed& m);
    void operator()(const domain::queue_created& m);
    void operator()(const domain::queue_changed& m);
    void operator()(const domain::queue_removed& m);
    void operator()(const domain::appended& m);
    void operator()(const domain::trimmed& m);
    void operator()(const domain::queue_delta& m);
    void operator()(const domain::queue_snapshot& m);
    void operator()(const domain::exception_put& m);
    void operator()(const domain::exception_erased& m);
    void operator()(const domain::kept_put& m);
    void operator()(const domain::kept_erased& m);
    void operator()(const domain::producer_put& m);
    void operator()(const domain::producer_erased& m);
    void operator()(const domain::retry_clock& m);
    void operator()(const domain::done_marks& m);
    void operator()(const domain::schedule_put& m);
    void operator()(const domain::schedule_erased& m);
    void operator()(const domain::schedule_totals& m);
    void operator()(const domain::expiry_moved& m);
    void operator()(const domain::expiry_watched& m);
    void operator()(const domain::message_id_put& m);
    void operator()(const domain::message_ids_forgotten& m);
    void operator()(const domain::offsets_reserved& m);
    void operator()(const domain::offsets_skipped& m);
    void operator()(const domain::log_marked& m);
    void operator()(const domain::messages_dropped& m);
    void operator()(const domain::pattern_put& m);
    void operator()(const domain::pattern_erased& m);

private:
    struct queue_image {
        domain::queue_created created;
        std::optional<domain::queue_changed> changed;
        std::optional<domain::queue_snapshot> snapshot;
        std::map<std::uint64_t, domain::queue_delta> deltas;
        std::map<offset_t, domain::exception_state> exceptions;
        std::set<std::pair<wall_time, offset_t>> due;
        std::map<offset_t, domain::kept_put> kept;
    };
    struct topic_image {
        domain::topic_created created;
        std::optional<domain::topic_changed> changed;
        std::optional<domain::trimmed> trim;
        std::optional<domain::done_marks> done;
        std::map<offset_t, domain::chunk_ptr> log;  // of all lanes, by last offset
        offset_t next_offset = 0;
        wall_time last_append{};
        std::map<queue_id, queue_image> queues;
        std::map<domain::schedule_key, shared_bytes> schedules;
        std::map<std::uint64_t, wall_time> schedule_dues;  // by id
        std::optional<domain::schedule_totals> scheduled;
        // Number of messages by time and last offset. The trim point takes none: which of those
        // below it RocksDB has left out already is not said.
        std::map<std::pair<wall_time, offset_t>, std::uint32_t> expiry;
        std::optional<domain::expiry_watched> watched;
        // Those that are forgotten stay: which of them RocksDB has left out already is not said.
        std::map<std::string, domain::message_id_entry> message_ids;
        std::optional<domain::message_ids_forgotten> forgotten_ids;
        std::optional<domain::offsets_reserved> reserved;
        std::optional<domain::offsets_skipped> skipped;
        std::optional<domain::log_marked> marks;
        std::optional<domain::messages_dropped> drops;

        [[nodiscard]] offset_t first() const { return trim ? trim->first : 0; }
        // Of the batches from the last mark of the log on (topic_tail); a chunk that the trim point
        // lies in counts as a whole.
        [[nodiscard]] std::uint64_t unmarked_bytes() const;
        // The chunk that holds an offset, if it is there and readable.
        [[nodiscard]] domain::chunk_ptr chunk_with(offset_t offset) const;
    };

    using producer_slot = std::tuple<topic_id, queue_id, producer_id, std::uint32_t>;

    topic_image& topic(topic_id id);
    queue_image& queue(topic_id id, queue_id queue);
    [[nodiscard]] const topic_image* find(topic_id id) const;
    [[nodiscard]] const queue_image* find(topic_id id, queue_id queue) const;
    void use_id(std::uint64_t id) { next_id_ = std::max(next_id_, id + 1); }

    [[nodiscard]] domain::log_fetched read_one(const domain::fetch_log& what) const;
    [[nodiscard]] domain::exceptions_fetched read_one(const domain::fetch_exceptions& what) const;
    [[nodiscard]] domain::exceptions_fetched read_one(const domain::scan_exceptions& what) const;
    [[nodiscard]] domain::due_fetched read_one(const domain::fetch_due& what) const;
    [[nodiscard]] domain::times_fetched read_one(const domain::fetch_times& what) const;
    [[nodiscard]] domain::offset_fetched read_one(const domain::fetch_offset& what) const;
    [[nodiscard]] domain::schedules_fetched read_one(const domain::fetch_schedules& what) const;
    [[nodiscard]] domain::schedules_fetched read_one(const domain::find_schedules& what) const;
    [[nodiscard]] domain::expiring_fetched read_one(const domain::fetch_expiring& what) const;
    [[nodiscard]] domain::message_ids_fetched read_one(const domain::fetch_message_ids& what) const;

    broker_epoch epoch_;
    commit_number last_commit_;
    std::uint64_t next_id_ = 1;
    wall_time retry_clock_{};
    std::map<pattern_id, domain::pattern_put> patterns_;
    std::map<topic_id, topic_image> topics_;
    std::map<producer_slot, domain::producer_put> producers_;  // topic 0: of transactions
};

class memory_store : public store {
public:
    [[nodiscard]] outcome<domain::loaded_state> load() override;
    [[nodiscard]] append_result apply(commit_number number, std::span<const domain::mutation> batch,
                                      bool sync) override;
    [[nodiscard]] domain::fetch_result read(const domain::fetch_body& what) override;
    void measure() override {}
    void maintain() override {}
    void stop_maintaining() override {}
    [[nodiscard]] disk_room room() const override;
    [[nodiscard]] store_statistics statistics() const override;
    [[nodiscard]] std::string database_id() const override;

    // As a power cut: everything since the last synced commit is lost, except its first
    // `unsynced_kept` commits, which had reached the disk by themselves.
    void crash(std::size_t unsynced_kept = 0);
    [[nodiscard]] std::size_t unsynced_commits() const;

    // How full the disk is from now on.
    enum class disk_level : std::uint8_t {
        roomy,
        below_reserve,
        full,  // what needs space is not written any more
    };
    void set_disk(disk_level level);
    // The next apply fails as a disk does: unknown, and every later one too, until crash().
    // With `applied` the batch is there afterwards, although not synced.
    void fail_next(bool applied);

private:
    struct unsynced_commit {
        commit_number number;
        std::vector<domain::mutation> mutations;
    };

    mutable std::mutex mutex_;  // guards all below
    memory_image live_;
    memory_image durable_;                   // at the last synced commit
    std::vector<unsynced_commit> unsynced_;  // applied to live_ since
    disk_level disk_ = disk_level::roomy;
    bool fail_next_ = false;
    bool fail_applied_ = false;
    bool failed_ = false;
};

}  // namespace brokerd::storage
