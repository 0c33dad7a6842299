// An open database with the handles of its column families; closes them in the right order.
// Header only. Owner: rocks_store.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <rocksdb/db.h>

#include "broker/storage/keys.hpp"

namespace brokerd::storage {

[[nodiscard]] inline rocksdb::Slice to_slice(std::string_view bytes) {
    return {bytes.data(), bytes.size()};
}
[[nodiscard]] inline std::string_view to_view(const rocksdb::Slice& slice) {
    return {slice.data(), slice.size()};
}

class rocks_database {
public:
    rocks_database(std::unique_ptr<rocksdb::DB> db,
                   std::vector<rocksdb::ColumnFamilyHandle*> handles)
        : db_(std::move(db)), handles_(std::move(handles)) {}
    rocks_database(rocks_database&&) noexcept = default;
    rocks_database& operator=(rocks_database&&) = delete;
    ~rocks_database() {
        if (db_) {
            for (rocksdb::ColumnFamilyHandle* const handle : handles_) {
                (void)db_->DestroyColumnFamilyHandle(handle);
            }
            (void)db_->Close();
        }
    }

    [[nodiscard]] rocksdb::DB& db() const { return *db_; }
    [[nodiscard]] rocksdb::ColumnFamilyHandle* handle(family which) const {
        return handles_[static_cast<std::size_t>(which)];
    }
    [[nodiscard]] const std::vector<rocksdb::ColumnFamilyHandle*>& handles() const {
        return handles_;
    }

private:
    std::unique_ptr<rocksdb::DB> db_;
    std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

}  // namespace brokerd::storage
