// The stores under test, each with what it is to restart and to crash, and the fixture over them
// that the suites build on. Header only.
#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include "broker/storage/memory_store.hpp"
#include "broker/storage/rocks_store.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd::test {

// A memory store, and what is left of it after a crash.
class memory_subject {
public:
    storage::store& store() { return store_; }
    void restart() { crash(); }
    void crash() { store_.crash(); }

private:
    storage::memory_store store_;
};

// A RocksDB store in a directory of its own; a crash leaves the files as a killed process does.
class rocks_subject {
public:
    rocks_subject() { open(); }

    storage::store& store() { return *store_; }
    void restart() {
        store_->close();
        open();
    }
    void crash() {
        store_->abandon();
        open();
    }

private:
    void open() {
        store_.reset();
        store_ = open_or_fail(small_options(directory_ / "data"));
    }

    temp_dir directory_;
    std::unique_ptr<storage::rocks_store> store_;
};

using store_subjects = testing::Types<memory_subject, rocks_subject>;

class store_subject_names {
public:
    template <typename Subject>
    static std::string GetName(int) {
        return std::is_same_v<Subject, memory_subject> ? "memory" : "rocks";
    }
};

template <typename Subject>
class store_fixture : public testing::Test {
protected:
    storage::store& store() { return subject_.store(); }

    void commit(const std::vector<domain::mutation>& batch, bool sync = true) {
        committer to(store(), last_);
        to.apply(batch, sync);
        last_ = to.last();
    }
    // Of the first message of `orders` that is not older.
    offset_t offset_at(wall_time time) {
        return answer<domain::offset_fetched>(store(), domain::fetch_offset{orders, time}).offset;
    }
    domain::loaded_state load() {
        auto state = store().load();
        EXPECT_TRUE(state) << state.error().text;
        return state.value_or(domain::loaded_state{});
    }

    Subject subject_;
    commit_number last_;
};

}  // namespace brokerd::test
