// What only the RocksDB store does with the lanes of topics: the feature bit that keeps those away
// that do not know them, space that is given back, damage, reads while others write.
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include "broker/storage/keys.hpp"
#include "broker/storage/recovery.hpp"
#include "broker/storage/rocks_handles.hpp"
#include "broker/storage/rocks_options.hpp"
#include "broker/storage/topic_table.hpp"
#include "broker/storage/values.hpp"
#include "broker/storage/write_translation.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/unit/storage/open_database.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd::storage {

namespace {

using test::at;
using test::orders;
using testing::HasSubstr;

constexpr topic_id returned{orders.value() + 1};

class lanes_test : public testing::Test {
protected:
    [[nodiscard]] rocks_store_options options() const {
        return test::small_options(directory_ / "data");
    }
    // The database itself, while no store has it open.
    [[nodiscard]] rocks_database database() const {
        return test::open_database(directory_ / "data/db");
    }
    [[nodiscard]] identity_value identity() const {
        const auto opened = database();
        std::string bytes;
        EXPECT_TRUE(opened.db()
                        .Get({}, opened.handle(family::meta),
                             to_slice(meta_key::of_shard(meta_kind::identity).encode().view()),
                             &bytes)
                        .ok());
        identity_value value;
        EXPECT_TRUE(decode_value(bytes, value));
        return value;
    }
    void write_features(const feature_bits& features) const {
        identity_value value = identity();
        value.features = features;
        std::string bytes;
        encode_value(bytes, value);
        const auto opened = database();
        ASSERT_TRUE(opened.db()
                        .Put(make_write_options(true), opened.handle(family::meta),
                             to_slice(meta_key::of_shard(meta_kind::identity).encode().view()),
                             bytes)
                        .ok());
    }
    // The log's keys in tables, dead or alive.
    [[nodiscard]] std::uint64_t log_entries() const {
        const auto opened = database();
        rocksdb::TablePropertiesCollection tables;
        EXPECT_TRUE(opened.db().GetPropertiesOfAllTables(opened.handle(family::log), &tables).ok());
        std::uint64_t entries = 0;
        for (const auto& [name, properties] : tables) {
            EXPECT_EQ(properties->num_deletions + properties->num_range_deletions, 0U);
            entries += properties->num_entries;
        }
        return entries;
    }
    static domain::appended message(std::uint8_t lane, offset_t offset, std::size_t bytes = 100) {
        return {test::make_chunk(orders, offset, 1, at(0), bytes, lane)};
    }

    static constexpr feature_bits with_lanes{.incompatible = incompatible_feature::lanes};

    test::temp_dir directory_;
};

// Promise: durability.earlier_data
TEST_F(lanes_test, a_database_without_priorities_stays_open_to_those_who_do_not_know_lanes) {
    auto store = test::open_or_fail(options());
    test::committer to(*store);
    to.apply({test::new_topic(orders, "orders"), test::new_topic(returned, "returns", 1)});
    to.apply({message(0, 0)});
    const std::string id = store->database_id();
    store.reset();
    EXPECT_EQ(identity(), (identity_value{id, {}}));
}

// Promise: durability.earlier_data
TEST_F(lanes_test, a_database_with_priorities_is_refused_by_those_who_do_not_know_lanes) {
    commit_number last;
    {
        auto store = test::open_or_fail(options());
        test::committer to(*store);
        to.apply({test::new_topic(returned, "returns")});
        to.apply({test::new_topic(orders, "orders", 2)});
        last = to.last();
        store->abandon();
    }
    const std::string id = test::open_or_fail(options())->database_id();
    EXPECT_EQ(identity(), (identity_value{id, with_lanes}));
    EXPECT_EQ(known_features, with_lanes) << "this one does";
    {
        auto store = test::open_or_fail(options());
        test::committer to(*store, last);
        to.apply({domain::topic_removed{orders}});
        to.apply({test::new_topic(topic_id{8}, "orders", 3)});
        store->close();
    }
    EXPECT_EQ(identity(), (identity_value{id, with_lanes})) << "for ever";
}

// Puts of the identity in a batch.
class identity_puts : public rocksdb::WriteBatch::Handler {
public:
    rocksdb::Status PutCF(std::uint32_t family, const rocksdb::Slice& key,
                          const rocksdb::Slice& value) override {
        if (family == 0 && meta_key::parse(to_view(key))->kind == meta_kind::identity) {
            EXPECT_TRUE(decode_value(to_view(value), found_.emplace_back()));
        }
        return rocksdb::Status::OK();
    }
    [[nodiscard]] static std::vector<identity_value> in(const rocksdb::WriteBatch& batch) {
        identity_puts puts;
        EXPECT_TRUE(batch.Iterate(&puts).ok());
        return std::move(puts.found_);
    }

private:
    std::vector<identity_value> found_;
};

TEST_F(lanes_test, the_feature_is_written_with_the_first_topic_that_uses_it_and_keeps_the_others) {
    test::open_or_fail(options())->close();
    auto opened = database();
    topic_table topics;
    const identity_value before{"the id", {.compatible = 0x40}};
    const identity_value after{"the id", {incompatible_feature::lanes, 0, 0x40}};
    std::uint64_t number = 0;
    const auto written = [&](write_translation& by, std::vector<domain::mutation> batch) {
        by.start(batch);
        return identity_puts::in(by.finish({commit_number{++number}, {}}));
    };
    using puts = std::vector<identity_value>;
    write_translation translation(opened, topics, before, 1);
    EXPECT_EQ(written(translation, {test::new_topic(topic_id{1}, "one", 1)}), puts());
    EXPECT_EQ(written(translation, {test::new_topic(topic_id{2}, "two", 10),
                                    test::new_topic(topic_id{3}, "three", 2)}),
              puts{after});
    EXPECT_EQ(written(translation, {test::new_topic(topic_id{4}, "four", 10)}), puts());
    write_translation restarted(opened, topics, after, 5);
    EXPECT_EQ(written(restarted, {test::new_topic(topic_id{5}, "five", 10)}), puts());
}

TEST_F(lanes_test, a_database_that_uses_what_is_not_known_here_is_refused) {
    test::open_or_fail(options())->close();
    const auto refusal = [&](const feature_bits& features) {
        write_features(features);
        const auto store = rocks_store::open(options());
        EXPECT_FALSE(store);
        EXPECT_TRUE(store || store.error().kind == open_failure::refused);
        EXPECT_EQ(identity().features, features);
        return store ? std::string() : store.error().text;
    };
    EXPECT_THAT(refusal({.incompatible = incompatible_feature::lanes | 0x2}),
                HasSubstr("uses features this brokerd does not know (bits 0x2). Nothing was "
                          "changed; use the version that wrote it"));
    EXPECT_THAT(refusal({.read_only_compatible = 0x8}), HasSubstr("(bits 0x8)"));
    write_features({.incompatible = incompatible_feature::lanes, .compatible = 0x10});
    test::open_or_fail(options())->close();
    EXPECT_EQ(identity().features.compatible, 0x10U);
}

// Promise: durability.space
TEST_F(lanes_test, the_space_of_what_was_consumed_is_given_back_in_every_lane) {
    auto eager = options();
    eager.dead_bytes_max = 1000;
    // All is flushed into one table, so that nothing is compacted but by maintain.
    eager.memtable_bytes = 16 * test::small_memtable_bytes;
    eager.wal_bytes_max = 4 * eager.memtable_bytes;
    constexpr topic_id behind_it{returned.value() + 1};
    commit_number last;
    {
        auto store = test::open_or_fail(eager);
        test::committer to(*store);
        to.apply({test::new_topic(orders, "orders", 3), test::new_topic(returned, "returns", 2),
                  test::new_topic(behind_it, "behind it", 1)});
        for (offset_t offset = 0; offset < 18; ++offset) {
            const auto other = [&](topic_id topic, std::uint8_t lane) {
                return domain::appended{test::make_chunk(topic, offset, 1, at(0), 50'000, lane)};
            };
            to.apply({message(static_cast<std::uint8_t>(offset % 3), offset, 50'000),
                      other(returned, static_cast<std::uint8_t>(offset % 2)), other(behind_it, 0)});
        }
        last = to.last();
        store->close();
    }
    EXPECT_EQ(log_entries(), 54U);
    const auto after = [&](const domain::mutation& m) {
        auto store = test::open_or_fail(eager);
        test::committer to(*store, last);
        to.apply({m});
        store->maintain();
        const auto written = store->statistics().bytes_written;
        store->maintain();
        EXPECT_EQ(store->statistics().bytes_written, written) << "nothing dead is left";
        to.apply({domain::epoch_started{broker_epoch{1}}});
        last = to.last();
        store->abandon();
        return log_entries();
    };
    // What stays of one lane lies between what goes of it and of the next.
    EXPECT_EQ(after(domain::trimmed{orders, 13}), 36U + 5);
    EXPECT_EQ(after(domain::topic_removed{returned}), 18U + 5);
    const auto trace = meta_key{returned, meta_kind::trim, {}}.encode();
    std::string value;
    EXPECT_TRUE(database().db().Get({}, to_slice(trace.view()), &value).IsNotFound());
    const auto store = test::open_or_fail(eager);
    EXPECT_EQ(test::read_log(*store, orders, 0).size(), 5U);
    EXPECT_EQ(test::read_lane(*store, orders, 1, 0).size(), 2U);
}

TEST_F(lanes_test, whole_tables_of_any_lane_are_dropped) {
    auto lazy = options();
    lazy.dead_bytes_max = std::uint64_t{1} << 40;  // nothing is compacted
    {
        auto store = test::open_or_fail(lazy);
        test::committer(*store).apply({test::new_topic(orders, "orders", 3)});
        store->close();
        const auto opened = database();
        const auto log = opened.handle(family::log);
        for (std::uint8_t lane = 0; lane < 3; ++lane) {
            for (offset_t offset = lane * 10U; offset < lane * 10U + 10; ++offset) {
                const auto chunk = message(lane, offset, 50'000).data;
                ASSERT_TRUE(opened.db()
                                .Put({}, log,
                                     to_slice(log_key{orders, offset, lane}.encode().view()),
                                     to_slice(as_text(chunk->bytes())))
                                .ok());
            }
            ASSERT_TRUE(opened.db().Flush({}, log).ok());
            const auto first = lane_prefix(orders, lane);
            const auto end = behind(first);
            const rocksdb::Slice begin = to_slice(first.view());
            const rocksdb::Slice limit = to_slice(end.view());
            ASSERT_TRUE(opened.db().CompactRange({}, log, &begin, &limit).ok());
        }
    }
    EXPECT_EQ(log_entries(), 30U);
    const auto after = [&](offset_t trim, commit_number last) {
        auto store = test::open_or_fail(lazy);
        test::committer(*store, last).apply({domain::trimmed{orders, trim}});
        store->maintain();
        store->abandon();
        return log_entries();
    };
    EXPECT_EQ(after(9, commit_number{1}), 30U) << "no table is dead as a whole";
    EXPECT_EQ(after(25, commit_number{2}), 10U);
    EXPECT_EQ(after(30, commit_number{3}), 0U);
}

// Promise: durability.damage
TEST_F(lanes_test, a_chunk_that_lies_in_another_lane_is_found_when_it_is_read) {
    {
        auto store = test::open_or_fail(options());
        test::committer(*store).apply(
            {test::new_topic(orders, "orders", 3), message(1, 0), message(2, 1)});
        store->close();
        const auto opened = database();
        const auto misplaced = test::make_chunk(orders, 0, 1, at(0), 100, 1);
        ASSERT_TRUE(opened.db()
                        .Put(make_write_options(true), opened.handle(family::log),
                             to_slice(log_key{orders, 0, 2}.encode().view()),
                             to_slice(as_text(misplaced->bytes())))
                        .ok());
    }
    const auto store = test::open_or_fail(options());
    EXPECT_EQ(test::read_lane(*store, orders, 1, 0).size(), 1U);
    const auto read = store->read(domain::fetch_log{orders, 0, 0, 0, 2});
    const auto* const failed = std::get_if<failure>(&read);
    ASSERT_NE(failed, nullptr);
    EXPECT_EQ(failed->code, error_code::bad_checksum);
    EXPECT_THAT(failed->text, HasSubstr("the chunk stored for orders@0 is damaged: the chunk does "
                                        "not belong to its key"));
}

TEST_F(lanes_test, a_start_knows_the_bytes_of_a_small_topic_with_lanes_exactly) {
    std::uint64_t bytes = 0;
    std::uint64_t marked = 0;
    {
        auto store = test::open_or_fail(options());
        test::committer to(*store);
        to.apply({test::new_topic(orders, "orders", 4), test::new_topic(returned, "returns", 4)});
        for (offset_t offset = 0; offset < 20; ++offset) {
            const auto appended =
                message(static_cast<std::uint8_t>(offset * 5 % 4), offset, 50 * (offset + 1));
            const std::size_t size = appended.data->bytes().size() - domain::chunk_header_bytes;
            bytes += size;
            marked += offset < 13 ? size : 0;
            to.apply(
                {appended, domain::appended{test::make_chunk(returned, offset, 1, at(0), 900, 3)}});
        }
        store->abandon();
    }
    const auto unmarked = [](store& of) {
        const auto state = of.load();
        return state ? state->tails.at(0).unmarked_bytes : 0;
    };
    auto store = test::open_or_fail(options());
    EXPECT_EQ(unmarked(*store), bytes);
    test::committer to(*store, commit_number{21});
    to.apply({domain::log_marked{orders, {{0, 0, at(0)}, {13, 900, at(0)}}}});
    EXPECT_EQ(unmarked(*store), bytes - marked);
}

// More than are kept: those that read last go on where they were.
TEST_F(lanes_test, many_readers_of_many_lanes_all_get_on) {
    auto store = test::open_or_fail(options());
    test::committer to(*store);
    to.apply({test::new_topic(orders, "orders", 10)});
    for (offset_t offset = 0; offset < 40; ++offset) {
        to.apply({message(static_cast<std::uint8_t>(offset % 10), offset)});
    }
    for (offset_t offset = 0; offset < 40; ++offset) {
        for (std::uint64_t reader = 1; reader <= 20; ++reader) {
            const auto all = test::read_log(*store, orders, offset, 0, reader);
            ASSERT_EQ(all.size(), 1U);
            ASSERT_EQ(all[0]->base_offset(), offset);
            const auto lane = static_cast<std::uint8_t>(offset % 10);
            const auto one = test::read_lane(*store, orders, lane, offset, 0, reader);
            ASSERT_EQ(one.size(), 1U);
            ASSERT_EQ(one[0]->base_offset(), offset);
        }
    }
}

// A chunk of one lane must not be seen before those of other lanes that came before it.
TEST_F(lanes_test, a_read_has_no_holes_while_chunks_are_appended) {
    constexpr offset_t messages = 10'000;
    auto store = test::open_or_fail(options());
    test::committer to(*store);
    to.apply({test::new_topic(orders, "orders", 10)});
    std::atomic<bool> all_written = false;
    std::thread writer([&] {
        for (offset_t offset = 0; offset < messages; ++offset) {
            to.apply({message(static_cast<std::uint8_t>(offset * 7 % 10), offset)}, false);
        }
        all_written = true;
    });
    offset_t next = 0;
    bool whole = true;
    for (bool last = false; !last;) {
        last = all_written;
        std::vector<domain::chunk_ptr> read;
        do {
            read = test::read_log(*store, orders, next);
            for (const auto& chunk : read) {
                whole = whole && chunk->base_offset() == next;
                next = chunk->end_offset();
            }
        } while (!read.empty());
    }
    writer.join();
    EXPECT_EQ(next, messages);
    EXPECT_TRUE(whole);
}

}  // namespace

}  // namespace brokerd::storage
