// Sees to it that recovery ends at the first commit that is missing. RocksDB recovers log file by
// log file: when a power cut takes the unsynced end of one but leaves the beginning of the next, it
// goes on there, and a commit in between is gone. As nothing behind a missing commit can have been
// synced, the right thing is to stop before it.
//
// RocksDB asks on the thread that opens the database; one instance per database.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <rocksdb/wal_filter.h>

#include "protocol/types/ids.hpp"

namespace brokerd::storage {

class commit_order : public rocksdb::WalFilter {
public:
    // The beginning of a recovery.
    void ColumnFamilyLogNumberMap(const std::map<std::uint32_t, std::uint64_t>& log_numbers,
                                  const std::map<std::string, std::uint32_t>& family_ids) override;
    WalProcessingOption LogRecordFound(unsigned long long log_number, const std::string& log_name,
                                       const rocksdb::WriteBatch& batch,
                                       rocksdb::WriteBatch* new_batch,
                                       bool* batch_changed) override;
    [[nodiscard]] const char* Name() const override { return "brokerd.commit_order"; }

    // Whether the last recovery stopped before a gap.
    [[nodiscard]] bool stopped() const { return stopped_; }

private:
    commit_number last_;  // seen in this recovery; 0: none yet
    bool stopped_ = false;
};

}  // namespace brokerd::storage
