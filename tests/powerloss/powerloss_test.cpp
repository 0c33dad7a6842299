// Cuts the power under the real RocksDB store at random moments, takes away and reorders what was
// not synced, and checks after the restart: every synced commit is there, nothing is half there.
//
// BROKERD_POWERLOSS_SEEDS=N runs N seeds instead of the usual few; BROKERD_POWERLOSS_FIRST=S begins
// with seed S.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/base/random.hpp"
#include "broker/base/seeded_fault.hpp"
#include "broker/storage/memory_store.hpp"
#include "broker/storage/rocks_store.hpp"
#include "tests/support/faulty_file_system.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/unit/storage/content_digest.hpp"
#include "tests/unit/storage/random_workload.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd {

namespace {

using base::fault;
using storage::append_status;
using storage::rocks_store;

constexpr int cuts_per_seed = 3;
constexpr int databases_at_once = 8;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
    const char* const text = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe)
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// The first line in which two texts differ.
std::string first_difference(const std::string& is, const std::string& should_be) {
    const auto at = static_cast<std::size_t>(std::ranges::mismatch(is, should_be).in1 - is.begin());
    const auto line = [&](const std::string& text) {
        const auto begin = text.rfind('\n', at) + 1;
        return text.substr(begin, text.find('\n', begin) - begin);
    };
    return "'" + line(is) + "' instead of '" + line(should_be) + "'";
}

// One database through several power cuts. `planted` is at work while the store runs, not while it
// is checked.
class power_cuts {
public:
    power_cuts(std::uint64_t seed, fault planted) : random_(seed), seed_(seed), planted_(planted) {}

    // Nothing: all was well. Else what was wrong.
    std::optional<std::string> run() {
        for (int cut = 0; cut < cuts_per_seed; ++cut) {
            if (auto wrong = one_cut()) {
                return "cut " + std::to_string(cut) + ": " + *wrong;
            }
        }
        return std::nullopt;
    }

private:
    std::optional<std::string> one_cut() {
        const base::planted_fault_scope scope(planted_);
        auto opened = open_through_cuts();
        if (!opened) {
            return "refused: " + opened.error().text;
        }
        if (auto wrong = audit(**opened)) {
            return wrong;
        }
        file_system_->cut_after(random_.below(400));
        work(**opened);
        file_system_->cut_after(0);
        (*opened)->abandon();
        file_system_->lose(random_());
        return std::nullopt;
    }

    // The power may also go while the store recovers.
    storage::open_outcome<std::unique_ptr<rocks_store>> open_through_cuts() {
        if (random_.chance(1, 2)) {
            file_system_->cut_after(random_.below(60));
        }
        auto opened = open();
        if (!opened && file_system_->is_cut()) {
            file_system_->lose(random_());
            opened = open();
        } else if (opened && file_system_->is_cut()) {
            (*opened)->abandon();
            file_system_->lose(random_());
            opened = open();
        }
        file_system_->cut_after(UINT64_MAX);
        return opened;
    }

    storage::open_outcome<std::unique_ptr<rocks_store>> open() {
        auto options = test::small_options(directory_ / "data");
        options.memtable_bytes = std::size_t{128} << 10;  // flushes and compacts all the time
        options.wal_bytes_max = std::size_t{256} << 10;
        options.dead_bytes_max = std::size_t{64} << 10;
        options.file_system = file_system_;
        return rocks_store::open(std::move(options));
    }

    // Commits until the power goes.
    void work(rocks_store& store) {
        for (int i = 0; i < 400; ++i) {
            if (attempted_.size() == last_) {
                attempted_.push_back(workload_.next());
            }
            const bool sync = random_.chance(1, 2);
            const commit_number number{last_ + 1};
            if (store.apply(number, attempted_[last_], sync).status != append_status::done) {
                ++last_;  // it may be there or not
                return;
            }
            ++last_;
            if (sync) {
                synced_ = last_;
            }
            if (random_.chance(1, 20)) {
                store.maintain();
            }
        }
    }

    std::optional<std::string> audit(rocks_store& store) {
        base::plant_fault(fault::none);
        const auto state = store.load();
        if (!state) {
            return "cannot load: " + state.error().text;
        }
        const std::uint64_t found = state->last_commit.value();
        if (found < synced_ || found > last_) {
            return "found commit " + std::to_string(found) + ", synced " + std::to_string(synced_) +
                   ", attempted " + std::to_string(last_);
        }
        storage::memory_store model;
        for (std::uint64_t i = 0; i < found; ++i) {
            (void)model.apply(commit_number{i + 1}, attempted_[i], true);
        }
        const std::string is = test::content_digest(store);
        const std::string should_be = test::content_digest(model);
        if (is != should_be) {
            return "at commit " + std::to_string(found) +
                   " the content is not that of the model: " + first_difference(is, should_be);
        }
        base::plant_fault(planted_);
        // What was lost did not happen; the workload goes on from what is there.
        attempted_.resize(found);
        last_ = synced_ = found;
        workload_ = test::random_workload(seed_);
        for (std::uint64_t i = 0; i < found; ++i) {
            attempted_[i] = workload_.next();
        }
        return std::nullopt;
    }

    test::temp_dir directory_;
    std::shared_ptr<test::faulty_file_system> file_system_ =
        std::make_shared<test::faulty_file_system>(directory_ / "attic");
    base::random random_;
    std::uint64_t seed_;
    fault planted_;
    test::random_workload workload_{seed_};
    std::vector<std::vector<domain::mutation>> attempted_;  // all commits, by number - 1
    std::uint64_t last_ = 0;                                // the last one that was attempted
    std::uint64_t synced_ = 0;
};

// Side by side, as RocksDB waits for a second after each background error.
// Promise: durability.disk
TEST(powerloss, every_synced_commit_survives_and_nothing_is_half_there) {
    const std::uint64_t first = number_from("BROKERD_POWERLOSS_FIRST", 1);
    const std::uint64_t end = first + number_from("BROKERD_POWERLOSS_SEEDS", 16);
    std::atomic<std::uint64_t> next = first;
    std::mutex mutex;
    std::vector<std::string> wrong;
    std::vector<std::jthread> threads;
    for (int i = 0; i < databases_at_once; ++i) {
        threads.emplace_back([&] {
            for (std::uint64_t seed = next++; seed < end; seed = next++) {
                if (const auto found = power_cuts(seed, fault::none).run()) {
                    const std::lock_guard lock(mutex);
                    wrong.push_back("seed " + std::to_string(seed) + ": " + *found);
                }
            }
        });
    }
    threads.clear();
    EXPECT_THAT(wrong, testing::IsEmpty());
}

// The test must be able to find what it looks for.
class powerloss_of_fault : public testing::TestWithParam<fault> {};

TEST_P(powerloss_of_fault, is_caught) {
    if (!base::seeded_faults_compiled_in) {
        GTEST_SKIP() << "built without BROKERD_SEEDED_FAULTS";
    }
    bool caught = false;
    for (std::uint64_t seed = 1; seed <= 40 && !caught; ++seed) {
        caught = power_cuts(seed, GetParam()).run().has_value();
    }
    EXPECT_TRUE(caught);
}

INSTANTIATE_TEST_SUITE_P(seeded, powerloss_of_fault,
                         testing::Values(fault::ack_before_sync, fault::drop_cursor_range,
                                         fault::filter_active_in_recovery),
                         [](const auto& each) {
                             for (const auto& [which, name] : base::fault_names) {
                                 if (which == each.param) return std::string(name);
                             }
                             return std::string("unknown");
                         });

}  // namespace

}  // namespace brokerd
