// What only the RocksDB store does: failing for good, a full disk, giving space back, options.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include "broker/storage/keys.hpp"
#include "broker/storage/rocks_events.hpp"
#include "broker/storage/rocks_handles.hpp"
#include "broker/storage/rocks_options.hpp"
#include "broker/storage/topic_table.hpp"
#include "broker/storage/values.hpp"
#include "broker/storage/write_translation.hpp"
#include "tests/support/faulty_file_system.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/unit/storage/open_database.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd::storage {

namespace {

namespace fs = std::filesystem;

using test::at;
using test::orders;
using testing::HasSubstr;

constexpr queue_id billing{2};
constexpr topic_id payments{7};

class rocks_store_test : public testing::Test {
protected:
    [[nodiscard]] rocks_store_options options() const {
        auto result = test::small_options(directory_ / "data");
        result.file_system = file_system_;
        return result;
    }
    static std::vector<domain::mutation> message(offset_t offset, std::size_t bytes = 100) {
        return {domain::appended{test::make_chunk(orders, offset, 1, at(0), bytes)}};
    }
    // The database itself, while no store has it open.
    [[nodiscard]] rocks_database open_database() const {
        return test::open_database(directory_ / "data/db");
    }
    static std::vector<domain::expiring_chunk> expiring_of(store& from) {
        return test::answer<domain::expiring_fetched>(
                   from, domain::fetch_expiring{orders, wall_never, 1000})
            .items;
    }
    [[nodiscard]] std::vector<std::string> families() const {
        std::vector<std::string> names;
        EXPECT_TRUE(
            rocksdb::DB::ListColumnFamilies({}, (directory_ / "data/db").string(), &names).ok());
        return names;
    }

    test::temp_dir directory_;
    std::shared_ptr<test::faulty_file_system> file_system_ =
        std::make_shared<test::faulty_file_system>(directory_ / "attic");
};

// Promise: durability.fail_stop
TEST_F(rocks_store_test, a_failed_sync_is_final_and_the_failed_commit_may_be_there) {
    {
        auto store = test::open_or_fail(options());
        test::committer to(*store);
        to.apply({test::new_topic(orders, "orders")});
        file_system_->fail_syncs(".log", 1);
        const auto failed = to.try_apply(message(0));
        EXPECT_EQ(failed.status, append_status::unknown);
        EXPECT_THAT(failed.text, HasSubstr("was told to fail"));
        file_system_->fail_syncs(".log", 0);
        EXPECT_EQ(to.try_apply(message(0)).status, append_status::unknown);
        EXPECT_FALSE(store->statistics().failure.empty());
    }
    auto store = test::open_or_fail(options());
    const auto state = store->load();
    ASSERT_TRUE(state);
    EXPECT_GE(state->last_commit, commit_number{1});
    EXPECT_LE(state->last_commit, commit_number{2});
}

TEST_F(rocks_store_test, a_start_knows_the_bytes_of_a_small_topic_exactly) {
    std::uint64_t bytes = 0;
    commit_number last;
    for (offset_t offset = 0; offset < 20; ++offset) {
        {
            auto store = test::open_or_fail(options());
            test::committer to(*store, last);
            if (offset == 0) {
                to.apply({test::new_topic(orders, "orders"), test::new_topic(payments, "other")});
            }
            to.apply(message(offset, 50 * (offset + 1)));
            to.apply({domain::appended{test::make_chunk(payments, offset, 1, at(0), 1000)}});
            last = to.last();
        }
        const auto chunk = test::make_chunk(orders, offset, 1, at(0), 50 * (offset + 1));
        bytes += chunk->bytes().size() - domain::chunk_header_bytes;
        auto store = test::open_or_fail(options());
        const auto state = store->load();
        ASSERT_TRUE(state);
        ASSERT_EQ(state->tails.size(), 2U);
        EXPECT_EQ(state->tails[0].unmarked_bytes, bytes) << "after " << offset + 1;
    }
    auto store = test::open_or_fail(options());
    test::committer to(*store, last);
    to.apply({domain::log_marked{orders, {{0, 0, at(0)}, {19, 900, at(0)}}}});
    const auto state = store->load();
    ASSERT_TRUE(state);
    EXPECT_EQ(
        state->tails[0].unmarked_bytes,
        test::make_chunk(orders, 19, 1, at(0), 1000)->bytes().size() - domain::chunk_header_bytes);
}

// Promise: durability.full_disk
TEST_F(rocks_store_test, says_when_the_reserve_is_reached_and_still_writes_what_was_taken) {
    auto limited = options();
    limited.disk_reserve_bytes = 1000;
    auto store = test::open_or_fail(limited);
    test::committer to(*store);
    to.apply({test::new_topic(orders, "orders")});
    file_system_->set_free_space(999);
    store->measure();
    EXPECT_TRUE(store->room().below_reserve);
    EXPECT_EQ(store->room().free_bytes, 999U);
    EXPECT_EQ(store->statistics().room.reserve_bytes, 1000U);
    to.apply(message(0));
    // It takes a tenth more than the reserve to leave.
    file_system_->set_free_space(1099);
    store->measure();
    EXPECT_TRUE(store->room().below_reserve);
    file_system_->set_free_space(1100);
    store->measure();
    EXPECT_FALSE(store->room().below_reserve);
}

TEST_F(rocks_store_test, of_the_last_half_of_the_reserve_only_what_needs_no_space_is_written) {
    auto limited = options();
    limited.disk_reserve_bytes = 1000;
    auto store = test::open_or_fail(limited);
    test::committer to(*store);
    to.apply({test::new_topic(orders, "orders"), test::new_queue(orders, billing, "billing")});
    file_system_->set_free_space(500);
    store->measure();
    to.apply(message(0));
    file_system_->set_free_space(499);
    store->measure();
    const auto refused = to.try_apply(message(1));
    EXPECT_EQ(refused.status, append_status::no_space);
    EXPECT_THAT(refused.text,
                HasSubstr("has 499 bytes free, less than the last 500 bytes of the reserve"));
    EXPECT_EQ(to.try_apply({test::make_schedule(orders, 1, at(5))}).status,
              append_status::no_space);
    to.apply({domain::queue_delta{orders, billing, 1, 1, 1, {}}, domain::trimmed{orders, 1}});
    to.apply({domain::schedule_erased{orders, 1, at(5)}, domain::schedule_totals{orders, 2}});
    to.apply({domain::expiry_moved{orders, 0, 1, at(5), at(6)}, domain::expiry_watched{orders}});
    file_system_->set_free_space(500);
    store->measure();
    to.apply(message(1));
}

TEST_F(rocks_store_test, notices_by_itself_that_what_it_writes_reaches_the_reserve) {
    auto limited = options();
    limited.disk_reserve_bytes = 1000;
    auto store = test::open_or_fail(limited);
    test::committer to(*store);
    to.apply({test::new_topic(orders, "orders")});
    file_system_->set_free_space(999);
    to.apply(message(0));
    EXPECT_FALSE(store->room().below_reserve) << "not measured yet";
    to.apply(message(1, std::size_t{5} << 20));
    EXPECT_TRUE(store->room().below_reserve);
}

TEST_F(rocks_store_test, a_new_directory_is_nothing_to_warn_of) {
    std::vector<std::string> warnings;
    auto fresh = test::small_options(directory_ / "fresh");
    fresh.warn = [&](std::string_view text) { warnings.emplace_back(text); };
    test::open_or_fail(fresh)->close();
    EXPECT_EQ(warnings, std::vector<std::string>());
}

TEST(rocks_logger, hands_on_all_but_the_line_of_a_new_directory) {
    std::vector<std::string> warnings;
    rocks_logger log([&](std::string_view text) { warnings.emplace_back(text); });
    rocksdb::Error(&log, "Error when reading %s dir %s\n", "d/db", "NotFound: ");
    EXPECT_EQ(warnings, std::vector<std::string>());
    rocksdb::Error(&log, "Error when reading %s dir %s\n", "d/db", "IO error: d/db: denied");
    rocksdb::Error(&log, "Error when reading %s file %s", "d/db/7.sst", "NotFound: ");
    rocksdb::Warn(&log, "Stalling writes");
    EXPECT_EQ(
        warnings,
        (std::vector<std::string>{
            "[ERROR] Error when reading d/db dir IO error: d/db: denied\n",
            "[ERROR] Error when reading d/db/7.sst file NotFound: ", "[WARN] Stalling writes"}));
}

TEST_F(rocks_store_test, the_ballast_goes_when_space_is_tight_and_comes_back) {
    auto limited = options();
    limited.ballast_bytes = 64 << 10;
    const auto ballast = directory_ / "data/ballast";
    file_system_->set_free_space(std::uint64_t{1} << 40);
    auto store = test::open_or_fail(limited);
    ASSERT_TRUE(fs::exists(ballast));
    EXPECT_EQ(fs::file_size(ballast), 64U << 10);
    file_system_->set_free_space(1000);
    store->measure();
    EXPECT_FALSE(fs::exists(ballast));
    file_system_->set_free_space(std::uint64_t{1} << 40);
    store->measure();
    EXPECT_TRUE(fs::exists(ballast));
}

TEST_F(rocks_store_test, a_ballast_that_was_not_finished_is_made_whole) {
    auto limited = options();
    limited.ballast_bytes = 64 << 10;
    test::open_or_fail(limited)->close();
    const auto ballast = directory_ / "data/ballast";
    fs::resize_file(ballast, 0);
    test::open_or_fail(limited)->close();
    EXPECT_EQ(fs::file_size(ballast), 64U << 10);
}

// Publishes 30 MB, 30 memtables, and consumes it; only the last commit may be synced.
void expect_space_given_back(store& of, bool sync) {
    test::committer to(of);
    to.apply({test::new_topic(orders, "orders")});
    constexpr std::size_t message_bytes = 100'000;
    constexpr offset_t messages = 300;
    for (offset_t offset = 0; offset < messages; ++offset) {
        to.apply({domain::appended{test::make_chunk(orders, offset, 1, at(0), message_bytes)}},
                 false);
    }
    of.maintain();
    EXPECT_GT(of.statistics().disk_bytes, messages * message_bytes);
    to.apply({domain::trimmed{orders, messages}}, sync);
    // RocksDB compacts when it likes, and what a compaction holds is not dropped before it ends.
    const auto given_back = [&] {
        of.maintain();
        return of.statistics().disk_bytes < 10 * test::small_memtable_bytes;
    };
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!given_back() && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    EXPECT_TRUE(given_back()) << of.statistics().disk_bytes;
}

// Promise: durability.space
TEST_F(rocks_store_test, gives_back_the_space_of_what_was_consumed) {
    expect_space_given_back(*test::open_or_fail(options()), true);
}

TEST_F(rocks_store_test, gives_it_back_when_nothing_is_to_outlive_the_process_too) {
    auto ephemeral = options();
    ephemeral.ephemeral = true;
    expect_space_given_back(*test::open_or_fail(ephemeral), false);
}

TEST_F(rocks_store_test, syncs_no_commit_when_nothing_is_to_outlive_the_process) {
    auto ephemeral = options();
    ephemeral.ephemeral = true;
    auto store = test::open_or_fail(ephemeral);
    test::committer to(*store);
    file_system_->fail_syncs(".log", 1);
    to.apply({test::new_topic(orders, "orders")});
    to.apply(message(0));
    store->abandon();
}

TEST_F(rocks_store_test, compacts_nothing_once_it_was_told_to_stop) {
    auto eager = options();
    eager.dead_bytes_max = 1000;
    commit_number last;
    {
        auto store = test::open_or_fail(eager);
        test::committer to(*store);
        to.apply({test::new_topic(orders, "orders")});
        for (offset_t offset = 0; offset < 10; ++offset) {
            to.apply(message(offset, 50'000));
        }
        last = to.last();
        store->close();  // all of it is in one table
    }
    const auto compacts = [&](bool stopped) {
        auto store = test::open_or_fail(eager);
        test::committer to(*store, last);
        to.apply({domain::trimmed{orders, 5}});
        last = to.last();
        if (stopped) {
            store->stop_maintaining();
        }
        const auto before = store->statistics().bytes_written;
        store->maintain();
        const bool compacted = store->statistics().bytes_written > before;
        store->abandon();
        return compacted;
    };
    EXPECT_FALSE(compacts(true));
    EXPECT_TRUE(compacts(false));
}

// Whatever lay in memtables is in tables when nobody has written from one maintain to the next.
TEST_F(rocks_store_test, holds_little_memory_once_nobody_writes) {
    auto eager = options();
    eager.memtable_bytes = std::size_t{64} << 20;
    eager.idle_memtable_bytes = std::size_t{1} << 20;
    auto store = test::open_or_fail(eager);
    test::committer to(*store);
    to.apply({test::new_topic(orders, "orders")});
    store->maintain();
    for (offset_t offset = 0; offset < 30; ++offset) {
        to.apply(message(offset, 100'000));
    }
    store->maintain();
    EXPECT_GT(store->statistics().memtable_bytes, 3'000'000U);
    store->maintain();
    EXPECT_LT(store->statistics().memtable_bytes, eager.idle_memtable_bytes);
    const auto written = store->statistics().bytes_written;
    store->maintain();
    EXPECT_EQ(store->statistics().bytes_written, written);
}

TEST_F(rocks_store_test, what_is_consumed_before_its_flush_never_reaches_a_table) {
    auto store = test::open_or_fail(options());
    test::committer to(*store);
    to.apply({test::new_topic(orders, "orders")});
    constexpr std::size_t message_bytes = 100'000;
    constexpr offset_t messages = 300;
    for (offset_t offset = 0; offset < messages; ++offset) {
        auto batch = message(offset, message_bytes);
        batch.emplace_back(domain::trimmed{orders, offset + 1});
        to.apply(batch);
    }
    // Written once, to the log: little more than the messages themselves.
    EXPECT_LT(store->statistics().bytes_written, messages * message_bytes * 12 / 10);
}

TEST_F(rocks_store_test, the_last_trace_of_a_removed_topic_goes_with_its_chunks) {
    const auto traced = [&] {
        rocksdb::DB* db = nullptr;
        EXPECT_TRUE(rocksdb::DB::OpenForReadOnly({}, (directory_ / "data/db").string(), &db).ok());
        const std::unique_ptr<rocksdb::DB> guard(db);
        std::string value;
        const auto key = meta_key{orders, meta_kind::trim, {}}.encode();
        return db->Get({}, to_slice(key.view()), &value).ok();
    };
    auto store = test::open_or_fail(options());
    test::committer to(*store);
    to.apply({test::new_topic(orders, "orders")});
    to.apply(message(0));
    to.apply({domain::topic_removed{orders}});
    store->maintain();
    to.apply({domain::epoch_started{broker_epoch{1}}});
    store->close();
    EXPECT_TRUE(traced());  // its chunk was in the memtable until the flush at the end
    store = test::open_or_fail(options());
    store->maintain();
    test::committer again(*store, to.last());
    again.apply({domain::epoch_started{broker_epoch{2}}});
    store->close();
    EXPECT_FALSE(traced());
}

// Promise: durability.restart_is_bounded
TEST_F(rocks_store_test, many_small_commits_are_flushed_to_bound_the_next_start) {
    auto bounded = options();
    bounded.wal_records_max = 50;
    auto store = test::open_or_fail(bounded);
    test::committer to(*store);
    to.apply({test::new_topic(orders, "orders")});
    for (offset_t offset = 0; offset < 100; ++offset) {
        to.apply(message(offset));
    }
    const auto before = store->statistics().memtable_bytes;
    store->maintain();
    store->close();
    store = test::open_or_fail(bounded);
    EXPECT_LE(store->statistics().memtable_bytes, before);
    EXPECT_EQ(test::read_log(*store, orders, 0).size(), 100U);
}

// As a killed brokerd that knew neither schedules nor times to live left it, its last commit in the
// log only.
// Promise: durability.earlier_data
TEST_F(rocks_store_test, a_database_without_the_later_families_is_opened_and_gets_them) {
    const auto plain = test::small_options(directory_ / "data");
    {
        auto store = test::open_or_fail(plain);
        test::committer(*store).apply({test::new_topic(orders, "orders")});
        store->close();
        auto database = open_database();
        for (const family later : {family::schedule, family::expiry}) {
            ASSERT_TRUE(database.db().DropColumnFamily(database.handle(later)).ok());
        }
        topic_table topics;
        write_translation translation(database, topics, {}, 2);
        translation.start(message(0));
        auto& writes = translation.finish({commit_number{2}, commit_number{1}});
        ASSERT_TRUE(database.db().Write(make_write_options(true), &writes).ok());
    }
    ASSERT_THAT(families(), testing::SizeIs(family_names.size() - 2));
    ASSERT_THAT(families(), testing::Not(testing::Contains("schedule")));
    ASSERT_THAT(families(), testing::Not(testing::Contains("expiry")));
    auto store = test::open_or_fail(plain);
    EXPECT_EQ(test::read_log(*store, orders, 0).size(), 1U);
    test::committer(*store, commit_number{2})
        .apply({test::make_schedule(orders, 1, at(5)),
                domain::appended{test::make_chunk_with_ttls(orders, 1, {{5}}, at(0))}});
    store->abandon();
    EXPECT_THAT(families(), testing::Contains("schedule"));
    EXPECT_THAT(families(), testing::Contains("expiry"));
    store = test::open_or_fail(plain);
    const auto found = test::answer<domain::schedules_fetched>(
        *store, domain::fetch_schedules{orders, {}, wall_never, 10, SIZE_MAX});
    EXPECT_EQ(found.items.size(), 1U);
    EXPECT_EQ(expiring_of(*store).size(), 1U);
    EXPECT_EQ(test::read_log(*store, orders, 0).size(), 2U);
}

// Of the ordinary kind: a brokerd that knew schedules, but no times to live.
TEST_F(rocks_store_test, a_database_without_the_family_of_the_expiry_index_gets_it) {
    const auto plain = test::small_options(directory_ / "data");
    {
        auto store = test::open_or_fail(plain);
        test::committer(*store).apply(
            {test::new_topic(orders, "orders"), test::make_schedule(orders, 1, at(5))});
        store->close();
        auto database = open_database();
        ASSERT_TRUE(database.db().DropColumnFamily(database.handle(family::expiry)).ok());
    }
    auto store = test::open_or_fail(plain);
    EXPECT_TRUE(expiring_of(*store).empty());
    test::committer(*store, commit_number{1})
        .apply({domain::expiry_moved{orders, 4, 5, wall_never, at(9)}});
    store->abandon();
    store = test::open_or_fail(plain);
    EXPECT_EQ(expiring_of(*store), (std::vector<domain::expiring_chunk>{{at(9), 4, 5}}));
}

TEST_F(rocks_store_test, a_damaged_entry_of_the_expiry_index_is_found_when_it_is_read) {
    const auto plain = test::small_options(directory_ / "data");
    {
        auto store = test::open_or_fail(plain);
        test::committer(*store).apply({test::new_topic(orders, "orders"),
                                       domain::expiry_moved{orders, 7, 1, wall_never, at(5)}});
        store->close();
        const auto database = open_database();
        const auto key = expiry_key{orders, at(5), 7}.encode();
        ASSERT_TRUE(database.db()
                        .Put(make_write_options(true), database.handle(family::expiry),
                             to_slice(key.view()), "?")
                        .ok());
    }
    auto store = test::open_or_fail(plain);
    const auto read = store->read(domain::fetch_expiring{orders, wall_never, 10});
    const auto* const failed = std::get_if<failure>(&read);
    ASSERT_NE(failed, nullptr);
    EXPECT_EQ(failed->code, error_code::bad_checksum);
    EXPECT_THAT(failed->text, HasSubstr("the expiry stored for orders@7 is damaged: "));
    const auto earlier =
        test::answer<domain::expiring_fetched>(*store, domain::fetch_expiring{orders, at(5), 10});
    EXPECT_TRUE(earlier.items.empty());
    EXPECT_EQ(earlier.next, at(5));
}

// Entries of messages that were consumed long before they expire.
TEST_F(rocks_store_test, the_expiry_index_loses_what_was_trimmed_before_its_flush) {
    const auto plain = test::small_options(directory_ / "data");
    constexpr std::uint64_t year_ms = 365ULL * 24 * 3600 * 1000;
    auto store = test::open_or_fail(plain);
    test::committer to(*store);
    to.apply({test::new_topic(orders, "orders")});
    for (offset_t offset = 0; offset < 100; ++offset) {
        to.apply({domain::appended{test::make_chunk_with_ttls(orders, offset, {{year_ms}}, at(0))}},
                 false);
    }
    to.apply({domain::trimmed{orders, 90}});
    store->close();  // flushes
    store = test::open_or_fail(plain);
    EXPECT_EQ(expiring_of(*store).size(), 10U);
}

TEST_F(rocks_store_test, a_damaged_batch_that_was_scheduled_is_found_when_it_is_read) {
    const auto plain = test::small_options(directory_ / "data");
    const auto damaged = test::make_schedule(orders, 7, at(5));
    {
        auto store = test::open_or_fail(plain);
        test::committer(*store).apply({test::new_topic(orders, "orders"),
                                       test::make_schedule(orders, 6, at(4)), damaged,
                                       test::make_schedule(orders, 8, at(6))});
        store->close();
        std::string value;
        encode_value(value, scheduled_value{as_text(damaged.batch.view)});
        value.back() = static_cast<char>(value.back() ^ 1);
        const auto database = open_database();
        const auto key = schedule_due_key{orders, at(5), 7}.encode();
        ASSERT_TRUE(database.db()
                        .Put(make_write_options(true), database.handle(family::schedule),
                             to_slice(key.view()), value)
                        .ok());
    }
    auto store = test::open_or_fail(plain);
    const auto before = test::answer<domain::schedules_fetched>(
        *store, domain::fetch_schedules{orders, {}, wall_never, 10, SIZE_MAX});
    EXPECT_EQ(before.items.size(), 1U) << "it holds up none before it";
    EXPECT_TRUE(before.more);
    const auto read =
        store->read(domain::fetch_schedules{orders, {at(5), 7}, wall_never, 10, SIZE_MAX});
    const auto* const failed = std::get_if<failure>(&read);
    ASSERT_NE(failed, nullptr);
    EXPECT_EQ(failed->code, error_code::bad_checksum);
    EXPECT_THAT(failed->text, HasSubstr("the batch stored for schedule 7 of orders is damaged: "));
    const auto others = test::answer<domain::schedules_fetched>(
        *store, domain::fetch_schedules{orders, {at(5), 8}, wall_never, 10, SIZE_MAX});
    EXPECT_EQ(others.items.size(), 1U);
    const auto known =
        test::answer<domain::schedules_fetched>(*store, domain::find_schedules{orders, {7, 8}});
    EXPECT_EQ(known.items.size(), 2U);
}

// The options in effect, so that a change or a new default of RocksDB does not go unnoticed.
// BROKERD_WRITE_GOLDEN=1 writes the file anew.
TEST_F(rocks_store_test, the_options_in_effect_are_the_golden_ones) {
    rocks_store_options defaults;
    defaults.directory = directory_ / "defaults";
    defaults.ballast_bytes = 0;
    const auto text = test::open_or_fail(defaults)->options_text();
    const char* const golden = "tests/golden/storage/rocksdb_options.txt";
    if (std::getenv("BROKERD_WRITE_GOLDEN") != nullptr) {  // NOLINT(concurrency-mt-unsafe)
        std::ofstream(golden) << text;
    }
    std::ifstream file(golden);
    // Not EXPECT_EQ: both are long.
    EXPECT_TRUE(text == std::string(std::istreambuf_iterator<char>(file), {}))
        << "write the golden file anew and look at what changed in it";
}

}  // namespace

}  // namespace brokerd::storage
