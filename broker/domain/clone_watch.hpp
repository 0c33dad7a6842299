// What a clone of a queue has to know of the exceptions it copies, gathered while the queue goes
// on. What changes meanwhile is told here, so that nothing has to be looked up twice: what is told
// replaces what was read, what is read replaces nothing. Owner: the queue that is copied.
#pragma once

#include <cstddef>
#include <map>
#include <utility>

#include "broker/domain/mutation.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

// The record of an exception below the trim point.
struct kept_record {
    wall_time append_time{};
    shared_bytes record{};
};

class clone_watch {
public:
    using value_map = std::map<offset_t, exception_state>;
    using record_map = std::map<offset_t, kept_record>;

    // The exception has this value now.
    void put(offset_t offset, const exception_state& value) {
        forget_value(offset);
        attempts_bytes_ += bytes_of(values_.insert_or_assign(offset, value).first->second);
    }
    // It had this value in the store or in memory.
    void found(offset_t offset, exception_state value) {
        const auto [at, is_new] = values_.try_emplace(offset, std::move(value));
        attempts_bytes_ += is_new ? bytes_of(at->second) : 0;
    }
    // Records never change. The bytes are copied: else a record would keep its whole chunk.
    void keep(offset_t offset, wall_time append_time, byte_view record) {
        const auto [at, is_new] = records_.try_emplace(offset);
        if (is_new) {
            at->second = {append_time, copy_bytes(record)};
            record_bytes_ += record.size();
        }
    }
    // It is no exception any more.
    void erase(offset_t offset) {
        forget_value(offset);
        values_.erase(offset);
        if (const auto at = records_.find(offset); at != records_.end()) {
            record_bytes_ -= at->second.record.view.size();
            records_.erase(at);
        }
    }

    [[nodiscard]] const value_map& values() const { return values_; }
    [[nodiscard]] const record_map& records() const { return records_; }
    [[nodiscard]] std::size_t record_bytes() const { return record_bytes_; }
    [[nodiscard]] std::size_t attempts_bytes() const { return attempts_bytes_; }

    [[nodiscard]] value_map take_values() { return std::move(values_); }
    [[nodiscard]] record_map take_records() { return std::move(records_); }

private:
    [[nodiscard]] static std::size_t bytes_of(const exception_state& value) {
        constexpr std::size_t fixed = sizeof(attempt);
        std::size_t bytes = 0;
        for (const attempt& each : value.history) {
            bytes += fixed + each.consumer.size() + each.reason.size();
        }
        return bytes;
    }
    void forget_value(offset_t offset) {
        if (const auto at = values_.find(offset); at != values_.end()) {
            attempts_bytes_ -= bytes_of(at->second);
        }
    }

    value_map values_;
    record_map records_;
    std::size_t record_bytes_ = 0;
    std::size_t attempts_bytes_ = 0;
};

// Records that were copied with a commit which the store may not have yet: until then they can be
// read nowhere else.
struct copied_records {
    commit_number commit;
    clone_watch::record_map records;
};

}  // namespace brokerd::domain
