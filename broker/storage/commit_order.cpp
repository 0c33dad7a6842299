// Reads the commit's number from the end of each batch, where write_translation puts it.
#include "broker/storage/commit_order.hpp"

#include <string_view>

#include <rocksdb/write_batch.h>

#include "broker/storage/values.hpp"

namespace brokerd::storage {

void commit_order::ColumnFamilyLogNumberMap(
    const std::map<std::uint32_t, std::uint64_t>& /*log_numbers*/,
    const std::map<std::string, std::uint32_t>& /*family_ids*/) {
    last_ = {};
    stopped_ = false;
}

rocksdb::WalFilter::WalProcessingOption commit_order::LogRecordFound(
    unsigned long long /*log_number*/, const std::string& /*log_name*/,
    const rocksdb::WriteBatch& batch, rocksdb::WriteBatch* /*new_batch*/, bool* /*batch_changed*/) {
    const std::string_view bytes = batch.Data();
    commit_value commit;
    if (bytes.size() < commit_value::bytes ||
        !decode_value(bytes.substr(bytes.size() - commit_value::bytes), commit)) {
        return WalProcessingOption::kContinueProcessing;  // no commit, such as the identity
    }
    if (last_ != commit_number{} && commit.number.value() != last_.value() + 1) {
        stopped_ = true;
        return WalProcessingOption::kStopReplay;
    }
    last_ = commit.number;
    return WalProcessingOption::kContinueProcessing;
}

}  // namespace brokerd::storage
