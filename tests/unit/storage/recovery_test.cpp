// What the store does about data that is not as it was left: it starts only if nothing that was
// synced is missing, and a refusal changes nothing.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/write_batch.h>

#include "broker/base/seeded_fault.hpp"
#include "broker/storage/commit_order.hpp"
#include "broker/storage/values.hpp"
#include "tests/support/faulty_file_system.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd::storage {

namespace {

namespace fs = std::filesystem;

using test::at;
using test::orders;
using testing::HasSubstr;

std::string contents_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

class recovery : public testing::Test {
protected:
    [[nodiscard]] fs::path data() const { return directory_ / "data"; }

    // Commits `count` batches of one message and leaves as a killed process does. With `marked`
    // the marker had time to see them all.
    void fill(std::uint64_t count, bool marked, std::size_t payload_bytes = 200) {
        auto store = test::open_or_fail(test::small_options(data()));
        test::committer to(*store);
        to.apply({test::new_topic(orders, "orders")});
        for (offset_t offset = 0; offset < count; ++offset) {
            to.apply({domain::appended{test::make_chunk(orders, offset, 1, at(0), payload_bytes)}});
        }
        store->abandon(marked);
    }
    // The live WAL: the newest log file that holds anything.
    [[nodiscard]] fs::path wal() const {
        fs::path newest;
        for (const auto& entry : fs::directory_iterator(data() / "db")) {
            if (entry.path().extension() == ".log" && entry.file_size() > 0) {
                newest = std::max(newest, entry.path());
            }
        }
        return newest;
    }
    static void flip(const fs::path& path, std::uint64_t position) {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(static_cast<std::streamoff>(position));
        const int byte = file.get();
        file.seekp(static_cast<std::streamoff>(position));
        file.put(static_cast<char>(byte ^ 1));
    }
    // All files but the lock, which names the process that was refused.
    [[nodiscard]] std::map<std::string, std::string> files() const {
        std::map<std::string, std::string> all;
        for (const auto& entry : fs::recursive_directory_iterator(data())) {
            if (entry.is_regular_file() && entry.path().filename() != "lock") {
                all[entry.path().string()] = contents_of(entry.path());
            }
        }
        return all;
    }
    // Opens, expecting a refusal that changes nothing; returns its text.
    std::string refusal() {
        const auto before = files();
        auto opened = rocks_store::open(test::small_options(data()));
        if (opened) {
            return "it was opened";
        }
        EXPECT_EQ(opened.error().kind, open_failure::refused) << opened.error().text;
        EXPECT_TRUE(before == files()) << "the refusal changed files";
        EXPECT_THAT(opened.error().text, HasSubstr("a copy of the whole directory"));
        EXPECT_THAT(opened.error().text, testing::Not(HasSubstr("brokerctl")))
            << "no command of it goes past a refusal";
        return opened.error().text;
    }
    // Opens and returns how many messages are there.
    std::uint64_t messages() {
        auto opened = rocks_store::open(test::small_options(data()));
        EXPECT_TRUE(opened) << opened.error().text;
        return opened ? test::read_log(**opened, orders, 0).size() : 0;
    }

    test::temp_dir directory_;
};

TEST_F(recovery, after_a_kill_everything_is_there) {
    fill(100, true);
    EXPECT_EQ(messages(), 100U);
    EXPECT_EQ(messages(), 100U);
}

// Promise: durability.loss_is_refused
TEST_F(recovery, a_truncated_log_is_refused_when_synced_commits_are_missing) {
    fill(100, true);
    fs::resize_file(wal(), fs::file_size(wal()) / 2);
    const auto text = refusal();
    EXPECT_THAT(text, HasSubstr("commits up to 101 had been synced"));
    EXPECT_THAT(text, HasSubstr("acknowledged messages are missing; the log file"));
}

// Promise: durability.loss_is_refused
TEST_F(recovery, a_removed_log_is_refused) {
    fill(100, true);
    fs::remove(wal());
    EXPECT_THAT(refusal(), HasSubstr("is gone"));
}

TEST_F(recovery, a_flipped_bit_in_what_was_synced_is_refused_even_without_the_marker) {
    // The commits behind the damage say what had been synced before them.
    fill(100, false);
    flip(wal(), fs::file_size(wal()) / 2);
    EXPECT_THAT(refusal(), HasSubstr("commits up to 100 had been synced"));
}

// Anyone who may publish can write what looks like a commit that knew everything to be synced.
TEST_F(recovery, a_message_that_looks_like_a_commit_is_only_a_message) {
    std::string forged;
    const commit_number far{std::uint64_t{1} << 40};
    encode_value(forged, commit_value{far, far});
    std::string many;
    while (many.size() < 100'000) {  // over several blocks of the log
        many += forged;
    }
    offset_t offset = 0;
    {
        auto store = test::open_or_fail(test::small_options(data()));
        test::committer to(*store);
        to.apply({test::new_topic(orders, "orders")});
        to.apply({domain::appended{test::make_chunk_of(orders, offset++, forged, at(0))}});
        // Each begins at another place of its block: some block ends with a forged commit.
        for (std::size_t before = 0; before < commit_value::bytes; ++before) {
            const auto payload = std::string(before, 'x') + many;
            to.apply({domain::appended{test::make_chunk_of(orders, offset++, payload, at(0))}});
        }
        store->abandon(true);
    }
    EXPECT_EQ(messages(), offset);
}

TEST_F(recovery, default_wal_recovery_would_lose_it_silently) {
    if (!base::seeded_faults_compiled_in) {
        GTEST_SKIP() << "built without BROKERD_SEEDED_FAULTS";
    }
    fill(100, true);
    flip(wal(), fs::file_size(wal()) / 2);
    const base::planted_fault_scope scope(base::fault::default_wal_recovery);
    EXPECT_LT(messages(), 100U);
}

// Promise: durability.damage
TEST_F(recovery, every_place_of_damage_in_the_log_is_found_or_harmless) {
    fill(40, true);
    const auto path = wal();
    const auto whole = contents_of(path);
    for (std::size_t position = 3; position < whole.size(); position += 251) {
        flip(path, position);
        refusal();
        EXPECT_THAT(refusal(), HasSubstr("missing")) << position;
        flip(path, position);
    }
    EXPECT_EQ(messages(), 40U);
}

TEST_F(recovery, a_database_older_than_the_marker_is_refused) {
    fill(10, true);
    (void)messages();
    fs::copy(data() / "db", directory_ / "older", fs::copy_options::recursive);
    {
        auto store = test::open_or_fail(test::small_options(data()));
        test::committer to(*store, commit_number{11});
        to.apply({domain::appended{test::make_chunk(orders, 10, 1, at(0))}});
        store->close();
    }
    fs::remove_all(data() / "db");
    fs::rename(directory_ / "older", data() / "db");
    EXPECT_THAT(refusal(), HasSubstr("ends at commit 11, but commits up to 12"));
}

TEST_F(recovery, a_removed_database_is_refused) {
    fill(10, true);
    fs::remove_all(data() / "db");
    EXPECT_THAT(refusal(), HasSubstr("ends at commit 0"));
}

TEST_F(recovery, a_removed_or_foreign_marker_is_refused) {
    fill(10, true);
    const auto marker = contents_of(data() / "marker");
    fs::remove(data() / "marker");
    EXPECT_THAT(refusal(), HasSubstr("marker is missing"));
    std::ofstream(data() / "marker") << marker;
    const auto format = contents_of(data() / "BROKERD");
    auto other = format;
    other[40] = other[40] == 'a' ? 'b' : 'a';
    std::ofstream(data() / "BROKERD") << other;
    EXPECT_THAT(refusal(), HasSubstr("mixed"));
    std::ofstream(data() / "BROKERD") << format;
    EXPECT_EQ(messages(), 10U);
}

// Promise: durability.damage
TEST_F(recovery, damaged_tables_and_manifests_are_found) {
    fill(50, true);
    (void)messages();  // everything is in tables now
    const auto before = files();
    for (const auto& [name, text] : before) {
        const auto file = fs::path(name).filename().string();
        if (!file.starts_with("MANIFEST") && file != "CURRENT" && !file.ends_with(".sst")) {
            continue;
        }
        for (std::size_t position = 1; position < text.size(); position += text.size() / 7 + 1) {
            flip(name, position);
            auto opened = rocks_store::open(test::small_options(data()));
            if (opened) {
                // It may only show when the damaged part is read; wrong bytes are never served.
                const auto read = (*opened)->read(domain::fetch_log{orders, 0, SIZE_MAX, 0});
                if (const auto* log = std::get_if<domain::log_fetched>(&read)) {
                    EXPECT_EQ(log->chunks.size(), 50U) << file << " at " << position;
                }
                (*opened)->abandon();
            }
            // Opening writes new files beside; start again from the same ones.
            fs::remove_all(data() / "db");
            fs::create_directory(data() / "db");
            for (const auto& [each, bytes] : before) {
                std::ofstream(each, std::ios::binary) << bytes;
            }
        }
    }
}

TEST_F(recovery, a_removed_file_of_the_database_is_refused) {
    fill(50, true);
    (void)messages();  // everything is in tables now
    const auto before = files();
    for (const auto& [name, text] : before) {
        const auto file = fs::path(name).filename().string();
        if (file.starts_with("MANIFEST") || file == "CURRENT" || file.ends_with(".sst")) {
            fs::remove(name);
            EXPECT_THAT(refusal(), HasSubstr("is damaged")) << file;
            std::ofstream(name, std::ios::binary) << text;
        }
    }
    EXPECT_EQ(messages(), 50U);
}

// ---- what a power cut may leave behind synced commits ----

// Appends one large commit that was not synced to what was, and cuts the power.
class unsynced_tail : public recovery {
protected:
    // Returns the WAL and where the unsynced commit begins in it.
    std::pair<fs::path, std::uint64_t> fill_with_tail() {
        auto store = test::open_or_fail(test::small_options(data()));
        test::committer to(*store);
        to.apply({test::new_topic(orders, "orders")});
        for (offset_t offset = 0; offset < 10; ++offset) {
            to.apply({domain::appended{test::make_chunk(orders, offset, 1, at(0))}});
        }
        const auto path = wal();
        const auto synced = fs::file_size(path);
        to.apply({domain::appended{test::make_chunk(orders, 10, 1, at(0), 60'000)}}, false);
        store->abandon(true);
        return {path, synced};
    }
};

// Promise: durability.torn_tail
TEST_F(unsynced_tail, that_is_torn_is_dropped) {
    const auto [path, synced] = fill_with_tail();
    fs::resize_file(path, synced + 30'000);
    EXPECT_EQ(messages(), 10U);
}

// Promise: durability.torn_tail
TEST_F(unsynced_tail, with_a_lost_page_and_later_ones_there_is_dropped) {
    const auto [path, synced] = fill_with_tail();
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>((synced / 4096 + 2) * 4096));
        const std::string page(4096, '\0');
        file.write(page.data(), static_cast<std::streamsize>(page.size()));
    }
    EXPECT_EQ(messages(), 10U);
    // And the store goes on from there.
    auto store = test::open_or_fail(test::small_options(data()));
    test::committer to(*store, commit_number{11});
    to.apply({domain::appended{test::make_chunk(orders, 10, 1, at(0))}});
    store.reset();
    EXPECT_EQ(messages(), 11U);
}

// A cut may take the end of one log file and leave the next: RocksDB would read on there.
TEST(commit_order, ends_recovery_before_a_missing_commit) {
    using option = rocksdb::WalFilter::WalProcessingOption;
    commit_order order;
    const auto found = [&](std::uint64_t number) {
        rocksdb::WriteBatch batch;
        std::string value;
        encode_value(value, commit_value{commit_number{number}, {}});
        EXPECT_TRUE(batch.Put("another key", "another value").ok());
        EXPECT_TRUE(batch.Put("key", value).ok());
        return order.LogRecordFound(1, "", batch, nullptr, nullptr);
    };
    for (int recovery = 0; recovery < 2; ++recovery) {
        order.ColumnFamilyLogNumberMap({}, {});
        EXPECT_FALSE(order.stopped());
        EXPECT_EQ(found(7), option::kContinueProcessing);
        EXPECT_EQ(found(8), option::kContinueProcessing);
        rocksdb::WriteBatch other;
        EXPECT_TRUE(other.Put("no", "commit").ok());
        EXPECT_EQ(order.LogRecordFound(1, "", other, nullptr, nullptr),
                  option::kContinueProcessing);
        EXPECT_EQ(found(9), option::kContinueProcessing);
        EXPECT_EQ(found(11), option::kStopReplay);
        EXPECT_TRUE(order.stopped());
    }
}

TEST_F(unsynced_tail, that_is_whole_is_kept) {
    (void)fill_with_tail();
    EXPECT_EQ(messages(), 11U);
}

}  // namespace

}  // namespace brokerd::storage
