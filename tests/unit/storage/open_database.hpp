// The database of a store itself, opened with the store's options while no store has it open;
// created if there is none.
#pragma once

#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include "broker/storage/rocks_handles.hpp"
#include "broker/storage/rocks_options.hpp"

namespace brokerd::test {

[[nodiscard]] inline storage::rocks_database open_database(const std::filesystem::path& directory,
                                                           storage::rocks_parts parts = {}) {
    parts.env = rocksdb::Env::Default();
    auto options = storage::make_db_options(
        {}, parts, rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords);
    options.create_if_missing = true;
    options.listeners.clear();
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::Open(options, directory.string(),
                                          storage::make_families({}, parts), &handles, &db);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return {std::unique_ptr<rocksdb::DB>(db), std::move(handles)};
}

}  // namespace brokerd::test
