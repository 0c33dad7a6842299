// Puts the parts together: the order of opening, the one write per commit, what follows a sync.
#include "broker/storage/rocks_store.hpp"

#include <algorithm>
#include <fcntl.h>
#include <malloc.h>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include "broker/base/assert.hpp"
#include "broker/base/seeded_fault.hpp"
#include "broker/storage/catalog.hpp"
#include "broker/storage/commit_order.hpp"
#include "broker/storage/directory_lock.hpp"
#include "broker/storage/disk_space.hpp"
#include "broker/storage/file_io.hpp"
#include "broker/storage/format_file.hpp"
#include "broker/storage/marker.hpp"
#include "broker/storage/needs_space.hpp"
#include "broker/storage/reclaim.hpp"
#include "broker/storage/recovery.hpp"
#include "broker/storage/rocks_events.hpp"
#include "broker/storage/rocks_handles.hpp"
#include "broker/storage/rocks_options.hpp"
#include "broker/storage/rocks_reads.hpp"
#include "broker/storage/topic_table.hpp"
#include "broker/storage/trim_filter.hpp"
#include "broker/storage/values.hpp"
#include "broker/storage/wal_checksum.hpp"
#include "broker/storage/write_translation.hpp"

namespace brokerd::storage {

namespace fs = std::filesystem;

namespace {

// Small against any reserve, and large against what it costs to measure.
constexpr std::uint64_t disk_check_interval_bytes = std::uint64_t{4} << 20;

std::unexpected<open_error> wrap(std::string text) {
    return open_failed(open_failure::failed, std::move(text));
}

rocks_sizes sizes_of(const rocks_store_options& options) {
    return {.memtable_bytes = options.memtable_bytes, .wal_bytes_max = options.wal_bytes_max};
}

std::uint64_t bytes_of_directory(const fs::path& directory) {
    std::uint64_t bytes = 0;
    std::error_code error;
    fs::recursive_directory_iterator entries(directory, error);
    for (; !error && entries != fs::recursive_directory_iterator{}; entries.increment(error)) {
        std::error_code gone;  // files come and go meanwhile
        const auto size = entries->is_regular_file(gone) ? entries->file_size(gone) : 0;
        bytes += gone ? 0 : size;
    }
    return bytes;
}

}  // namespace

// The parts, in the order in which they depend on each other: destroyed from the last to the first.
struct rocks_store::impl {
    impl(rocks_store_options the_options, directory_lock the_lock, format_file the_format)
        : options(std::move(the_options)),
          lock(std::move(the_lock)),
          format(std::move(the_format)) {}

    rocks_store_options options;
    directory_lock lock;
    format_file format;
    std::unique_ptr<rocksdb::Env> own_env;  // only with a file system of its own
    std::shared_ptr<failure_latch> failed = std::make_shared<failure_latch>();
    std::shared_ptr<rocks_listener> listener = std::make_shared<rocks_listener>(failed);
    std::shared_ptr<durable_trim_points> points = std::make_shared<durable_trim_points>();
    // Before when message ids are forgotten.
    std::shared_ptr<durable_trim_points> id_points = std::make_shared<durable_trim_points>();
    topic_table topics;
    commit_order order;
    std::optional<disk_space> space;
    std::optional<rocks_database> database;
    std::optional<write_translation> translation;
    std::optional<rocks_reads> reads;
    std::optional<space_reclaimer> reclaimer;
    std::optional<marker_writer> marker;

    commit_number last;                                    // commit thread
    commit_number synced;                                  // commit thread
    std::uint64_t unchecked_bytes = 0;                     // commit thread; since the disk check
    std::vector<std::pair<topic_id, offset_t>> new_trims;  // commit thread; not synced yet
    std::vector<std::pair<topic_id, wall_time>> new_forgotten_ids;  // likewise

    std::atomic<std::uint64_t> wal_bytes_written = 0;
    std::atomic<std::uint64_t> wal_records = 0;  // since the last full flush
    std::atomic<std::uint64_t> disk_bytes = 0;
    std::uint64_t maintained_at = 0;  // wal_bytes_written at the last maintain
    std::atomic<bool> maintains = true;
    std::mutex gone_mutex;
    std::vector<topic_id> gone;  // guarded by gone_mutex; removed topics without a chunk left

    [[nodiscard]] rocksdb::Env* env() const {
        return own_env ? own_env.get() : rocksdb::Env::Default();
    }
    [[nodiscard]] fs::path database_directory() const { return options.directory / "db"; }

    [[nodiscard]] open_outcome<void> open();
    [[nodiscard]] open_outcome<found_marker> open_marker(const fs::path& path);
    void start_marker(const fs::path& path, found_marker found);
    [[nodiscard]] open_outcome<void> write_identity(const identity_value& identity);
    [[nodiscard]] open_outcome<void> load_topics();
    void measure(marker_state& state);
    void flush(bool wait);
    void flush_if_idle();
    void became_synced();
};

open_outcome<std::unique_ptr<rocks_store>> rocks_store::open(rocks_store_options options) {
    if (!wal_checksum_is_right()) {
        return wrap(
            "this program computes wrong checksums (CRC-32C), so it would not find what it "
            "has written: build it with -DBROKERD_WAL_CHECKSUM=OFF");
    }
    std::error_code error;
    fs::create_directories(options.directory, error);
    if (error) {
        return wrap(
            fmt::format("cannot create {}: {}", options.directory.string(), error.message()));
    }
    // Before the lock, which is a file: a directory that is refused stays as it is.
    if (const auto ours = format_file::check(options.directory); !ours) {
        return std::unexpected(ours.error());
    }
    auto lock = directory_lock::acquire(options.directory);
    if (!lock) {
        return std::unexpected(lock.error());
    }
    auto format = format_file::read_or_create(options.directory);
    if (!format) {
        return std::unexpected(format.error());
    }
    auto parts = std::make_unique<impl>(std::move(options), std::move(*lock), std::move(*format));
    if (auto opened = parts->open(); !opened) {
        return std::unexpected(opened.error());
    }
    return std::unique_ptr<rocks_store>(new rocks_store(std::move(parts)));
}

open_outcome<void> rocks_store::impl::open() {
    if (options.file_system) {
        own_env = rocksdb::NewCompositeEnv(options.file_system);
    }
    const rocks_sizes sizes = sizes_of(options);
    const std::uint64_t budget = memtable_budget_bytes(sizes);
    disk_limits limits;
    limits.reserve_bytes =
        options.disk_reserve_bytes.value_or(automatic_reserve(options.directory, budget));
    limits.tight_bytes = budget;
    limits.floor_bytes = std::min(limits.tight_bytes, limits.reserve_bytes / 2);
    limits.ballast_bytes = options.ballast_bytes;
    space.emplace(options.directory, limits, [this]() -> std::optional<std::uint64_t> {
        std::uint64_t bytes = 0;
        const auto status =
            env()->GetFileSystem()->GetFreeSpace(options.directory.string(), {}, &bytes, nullptr);
        return status.ok() ? std::optional(bytes) : std::nullopt;
    });

    const fs::path marker_path = options.directory / marker_file_name;
    auto found = open_marker(marker_path);
    if (!found) {
        return std::unexpected(found.error());
    }
    recovery_input input;
    input.database = database_directory();
    input.database_id = format.database_id;
    input.marker = found->state;
    input.sizes = sizes;
    input.parts.env = env();
    input.parts.info_log = std::make_shared<rocks_logger>(options.warn);
    input.parts.listener = listener;
    input.parts.wal_filter = &order;
    input.parts.trim_filter = std::make_shared<trim_filter_factory>(points);
    input.parts.expiry_filter = std::make_shared<expiry_filter_factory>(points);
    input.parts.message_id_filter = std::make_shared<message_id_filter_factory>(id_points);
    auto opened = open_database(input);
    if (!opened) {
        return std::unexpected(opened.error());
    }
    if ((opened->dropped_tail || order.stopped()) && options.warn) {
        options.warn(
            "the log ended in incomplete data that was never synced; it was dropped (of topics of "
            "durability os it may have been acknowledged)");
    }
    database.emplace(std::move(opened->database));
    const shard_facts& facts = opened->facts;
    // What was recovered has been flushed and synced.
    last = synced = facts.commit.number;
    identity_value identity = facts.identity;
    if (identity.database_id.empty()) {
        identity = {.database_id = format.database_id, .features = {}};
        if (auto written = write_identity(identity); !written) {
            return written;
        }
    }
    translation.emplace(*database, topics, std::move(identity), facts.next_id);
    reads.emplace(*database, topics);
    reclaimer.emplace(*database, topics, *points, options.dead_bytes_max);
    if (auto loaded = load_topics(); !loaded) {
        return loaded;
    }
    start_marker(marker_path, std::move(*found));
    return {};
}

open_outcome<found_marker> rocks_store::impl::open_marker(const fs::path& path) {
    auto found = read_marker(path);
    if (!found) {
        return std::unexpected(found.error());
    }
    if (!*found) {
        // Made before the database, so it may only be missing where there is none.
        std::error_code error;
        if (fs::exists(database_directory(), error)) {
            return open_failed(
                open_failure::refused,
                fmt::format("{} is missing, so it cannot be told whether the newest messages are "
                            "there. {}",
                            path.string(), refusal_advice));
        }
        if (auto created = create_marker(path, format.database_id); !created) {
            return wrap(created.error());
        }
        found_marker& fresh = found->emplace();
        fresh.state.database_id = format.database_id;
        fresh.generation = 1;
    }
    if ((*found)->state.database_id != format.database_id) {
        return open_failed(open_failure::refused,
                           fmt::format("{} belongs to database {}, but the directory is that of "
                                       "{}: files of two databases were mixed. {}",
                                       path.string(), (*found)->state.database_id,
                                       format.database_id, refusal_advice));
    }
    return std::move(**found);
}

void rocks_store::impl::start_marker(const fs::path& path, found_marker found) {
    auto file = open_file(path, O_WRONLY);
    if (!file) {
        failed->set(file.error());
        return;
    }
    marker.emplace(
        path, std::move(*file), std::move(found), [this](marker_state& state) { measure(state); },
        [this](const std::string& why) { failed->set(why); });
    marker->advance(synced);
}

open_outcome<void> rocks_store::impl::write_identity(const identity_value& identity) {
    // RocksDB syncs what is in its directory, but not that there is one.
    if (const auto durable = sync_directory(options.directory); !durable) {
        return wrap(durable.error());
    }
    std::string value;
    encode_value(value, identity);
    const auto status = database->db().Put(
        make_write_options(true), database->handle(family::meta),
        to_slice(meta_key::of_shard(meta_kind::identity).encode().view()), value);
    if (!status.ok()) {
        return wrap(fmt::format("cannot write to {}: {}", database_directory().string(),
                                status.ToString()));
    }
    return {};
}

// From here on the trim filter works.
open_outcome<void> rocks_store::impl::load_topics() {
    const auto removed = read_topics(*database, topics);
    if (!removed) {
        return open_failed(open_failure::refused, removed.error().text);
    }
    for (const auto& [topic, facts] : topics.all()) {
        if (facts.trim > 0) {
            points->advance(topic, facts.trim);
        }
    }
    for (const topic_id topic : *removed) {
        points->advance(topic, offset_end);
    }
    for (const auto& [topic, facts] : topics.all()) {
        id_points->advance(topic, id_point(facts.ids_forgotten_before));
    }
    points->activate();
    id_points->activate();
    return {};
}

void rocks_store::impl::measure(marker_state& state) {
    state.sequence = database->db().GetLatestSequenceNumber();
    std::unique_ptr<rocksdb::LogFile> wal;
    if (database->db().GetCurrentWalFile(&wal).ok() && wal) {
        state.wal_number = wal->LogNumber();
        state.wal_bytes = wal->SizeFileBytes();
    }
}

void rocks_store::impl::flush(bool wait) {
    rocksdb::FlushOptions how;
    how.wait = wait;
    how.allow_write_stall = !wait ? false : true;
    wal_records.store(0, std::memory_order_relaxed);
    // A failure is a background error, which the listener latches.
    (void)database->db().Flush(how, database->handles());
}

// Nothing was written since the last time: gives the memory back, and leaves a start after a kill
// little to replay. Whoever writes all the time never comes here, so what is consumed while it
// comes still never reaches a table.
void rocks_store::impl::flush_if_idle() {
    const std::uint64_t written = wal_bytes_written.load(std::memory_order_relaxed);
    if (std::exchange(maintained_at, written) != written || !maintains) {
        return;
    }
    std::uint64_t held = 0;
    (void)database->db().GetAggregatedIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables,
                                                  &held);
    if (held >= options.idle_memtable_bytes) {
        flush(true);
        ::malloc_trim(0);
    }
}

rocks_store::rocks_store(std::unique_ptr<impl> parts) : impl_(std::move(parts)) {}

rocks_store::~rocks_store() {
    close();
}

void rocks_store::close() {
    if (impl_ && !impl_->failed->is_set()) {
        impl_->flush(true);
    }
    impl_.reset();
}

void rocks_store::abandon(bool marked) {
    if (impl_->marker && !marked) {
        impl_->marker->abandon();
    }
    impl_.reset();
}

append_result rocks_store::apply(commit_number number, std::span<const domain::mutation> batch,
                                 bool sync) {
    impl& own = *impl_;
    BROKERD_ASSERT(number.value() == own.last.value() + 1, "commit {} after {}", number.value(),
                   own.last.value());
    if (own.failed->is_set()) {
        return {append_status::unknown, own.failed->text()};
    }
    if (own.space->below_floor() && needs_space(batch)) {
        return {append_status::no_space,
                fmt::format("{} has {} bytes free, less than the last {} bytes of the reserve",
                            own.options.directory.string(), own.space->free_bytes(),
                            own.space->limits().floor_bytes)};
    }
    own.translation->start(batch);
    {
        const std::lock_guard lock(own.gone_mutex);
        for (const topic_id topic : own.gone) {
            own.translation->forget_topic(topic);
            own.points->forget(topic);
            own.id_points->forget(topic);
        }
        own.gone.clear();
    }
    rocksdb::WriteBatch& writes = own.translation->finish({number, own.synced});
    const bool really =
        sync && !own.options.ephemeral && !base::seeded_fault(base::fault::ack_before_sync);
    const auto status = own.database->db().Write(make_write_options(really), &writes);
    if (!status.ok()) {
        own.failed->set(fmt::format("cannot write commit {} to {}: {}", number.value(),
                                    own.database_directory().string(), status.ToString()));
        return {append_status::unknown, own.failed->text()};
    }
    own.last = number;
    for (const auto& trim : own.translation->take_trims()) {
        // Not before the records that were copied out of the log can be read.
        own.topics.trim(trim.first, trim.second);
        own.new_trims.push_back(trim);
    }
    for (const auto& forgotten : own.translation->take_forgotten_ids()) {
        own.new_forgotten_ids.push_back(forgotten);
    }
    own.wal_bytes_written.fetch_add(writes.GetDataSize(), std::memory_order_relaxed);
    own.wal_records.fetch_add(writes.Count(), std::memory_order_relaxed);
    own.unchecked_bytes += writes.GetDataSize();
    if (own.unchecked_bytes >= disk_check_interval_bytes) {
        own.unchecked_bytes = 0;
        own.space->measure();
    }
    if (sync || own.options.ephemeral) {
        own.became_synced();
    }
    return {};
}

void rocks_store::impl::became_synced() {
    synced = last;
    for (const auto& [topic, first] : new_trims) {
        points->advance(topic, first);
    }
    new_trims.clear();
    for (const auto& [topic, before] : new_forgotten_ids) {
        id_points->advance(topic, id_point(before));
    }
    new_forgotten_ids.clear();
    if (marker && !options.ephemeral) {
        marker->advance(synced);
    }
}

outcome<domain::loaded_state> rocks_store::load() {
    return read_state(*impl_->database, impl_->topics);
}

domain::fetch_result rocks_store::read(const domain::fetch_body& what) {
    return impl_->reads->read(what);
}

void rocks_store::measure() {
    impl_->space->measure();
}

void rocks_store::stop_maintaining() {
    impl_->maintains = false;
    impl_->reclaimer->cancel();
}

void rocks_store::maintain() {
    impl& own = *impl_;
    own.reads->drop_old_cursors();
    if (own.failed->is_set()) {
        return;
    }
    if (own.wal_records.load(std::memory_order_relaxed) > own.options.wal_records_max) {
        own.flush(false);
    }
    own.flush_if_idle();
    auto gone = own.reclaimer->step(own.listener->tables_generation());
    own.disk_bytes.store(bytes_of_directory(own.options.directory), std::memory_order_relaxed);
    if (!gone.empty()) {
        const std::lock_guard lock(own.gone_mutex);
        own.gone = std::move(gone);
    }
}

disk_room rocks_store::room() const {
    const disk_space& space = *impl_->space;
    return {space.free_bytes(), space.limits().reserve_bytes, space.below_reserve()};
}

std::uint64_t rocks_store::bytes_written() const {
    const impl& own = *impl_;
    return own.wal_bytes_written.load(std::memory_order_relaxed) +
           own.listener->table_bytes_written();
}

store_statistics rocks_store::statistics() const {
    const impl& own = *impl_;
    store_statistics result;
    result.bytes_written = bytes_written();
    result.disk_bytes = own.disk_bytes.load(std::memory_order_relaxed);
    result.room = room();
    result.failure = own.failed->text();
    (void)own.database->db().GetAggregatedIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables,
                                                      &result.memtable_bytes);
    std::unique_ptr<rocksdb::LogFile> wal;
    if (own.database->db().GetCurrentWalFile(&wal).ok() && wal) {
        result.wal_bytes = wal->SizeFileBytes();
    }
    return result;
}

std::string rocks_store::database_id() const {
    return impl_->format.database_id;
}

std::string rocks_store::options_text() const {
    return describe_options(impl_->database->db(), impl_->database->handles());
}

}  // namespace brokerd::storage
