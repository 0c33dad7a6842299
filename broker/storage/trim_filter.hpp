// Deletion by trim point: while RocksDB writes a table of the log, at flush and at compaction, the
// chunks that lie wholly below their topic's trim point are left out. Nothing is written to delete
// them, and what was consumed before its flush never reaches a table at all.
//
// Only trim points that a completed sync covers count: one that a power cut takes back must not
// have removed anything. While the database recovers no trim point is known, so nothing is removed
// until activate().
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <rocksdb/compaction_filter.h>

#include "protocol/types/ids.hpp"

namespace brokerd::storage {

// The durable trim point of each topic. Written on the commit thread, read by RocksDB's threads.
class durable_trim_points {
public:
    using table = std::vector<std::pair<topic_id, offset_t>>;  // ascending by topic

    // From now on filters see the points; called once all of them were loaded.
    void activate() { active_.store(true, std::memory_order_release); }
    [[nodiscard]] bool active() const { return active_.load(std::memory_order_acquire); }

    // Points only move up; offset_end = the topic was removed.
    void advance(topic_id topic, offset_t first);
    // The topic left nothing behind in the log.
    void forget(topic_id topic);
    [[nodiscard]] std::shared_ptr<const table> snapshot() const;

private:
    std::atomic<bool> active_ = false;
    mutable std::mutex mutex_;
    table points_;                                 // guarded by mutex_
    mutable std::shared_ptr<const table> shared_;  // guarded by mutex_; null: points_ changed
};

// Makes the filter of one flush or compaction of the log.
class trim_filter_factory : public rocksdb::CompactionFilterFactory {
public:
    explicit trim_filter_factory(std::shared_ptr<const durable_trim_points> points)
        : points_(std::move(points)) {}

    [[nodiscard]] bool ShouldFilterTableFileCreation(
        rocksdb::TableFileCreationReason reason) const override;
    std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
        const rocksdb::CompactionFilter::Context& context) override;
    [[nodiscard]] const char* Name() const override { return "brokerd.trim_filter"; }

private:
    std::shared_ptr<const durable_trim_points> points_;
};

}  // namespace brokerd::storage
