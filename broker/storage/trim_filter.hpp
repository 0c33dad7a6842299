// Deletion by trim point: while RocksDB writes a table of the log, at flush and at compaction, the
// chunks that lie wholly below their topic's trim point are left out. Nothing is written to delete
// them, and what was consumed before its flush never reaches a table at all. The entries of the
// expiry index that belong to such chunks are left out in the same way.
//
// Only trim points that a completed sync covers count: one that a power cut takes back must not
// have removed anything. While the database recovers no trim point is known, so nothing is removed
// until activate().
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <rocksdb/compaction_filter.h>

#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

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

// Makes the filter of one flush or compaction of a family.
class trim_point_filter_factory : public rocksdb::CompactionFilterFactory {
public:
    explicit trim_point_filter_factory(std::shared_ptr<const durable_trim_points> points)
        : points_(std::move(points)) {}

    [[nodiscard]] bool ShouldFilterTableFileCreation(
        rocksdb::TableFileCreationReason reason) const override;
    std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
        const rocksdb::CompactionFilter::Context& context) override;

private:
    // `unknown` is the trim point of topics that have none.
    [[nodiscard]] virtual std::unique_ptr<rocksdb::CompactionFilter> make(
        std::shared_ptr<const durable_trim_points::table> points, offset_t unknown) const = 0;

    std::shared_ptr<const durable_trim_points> points_;
};

// Of the log: leaves out chunks.
class trim_filter_factory : public trim_point_filter_factory {
public:
    using trim_point_filter_factory::trim_point_filter_factory;
    [[nodiscard]] const char* Name() const override { return "brokerd.trim_filter"; }

private:
    [[nodiscard]] std::unique_ptr<rocksdb::CompactionFilter> make(
        std::shared_ptr<const durable_trim_points::table> points, offset_t unknown) const override;
};

// Of the expiry index: leaves out the entries of chunks that are left out of the log. What is left
// out unseen by the engine costs it nothing: it erases what it still finds when its time comes.
class expiry_filter_factory : public trim_point_filter_factory {
public:
    using trim_point_filter_factory::trim_point_filter_factory;
    [[nodiscard]] const char* Name() const override { return "brokerd.expiry_filter"; }

private:
    [[nodiscard]] std::unique_ptr<rocksdb::CompactionFilter> make(
        std::shared_ptr<const durable_trim_points::table> points, offset_t unknown) const override;
};

// The point of a topic's message ids that came before this: durable_trim_points hold numbers.
[[nodiscard]] inline offset_t id_point(wall_time before) {
    return static_cast<offset_t>(std::max<std::int64_t>(to_us(before), 0));
}

// Of message ids: leaves out those that came before their topic's id_point.
class message_id_filter_factory : public trim_point_filter_factory {
public:
    using trim_point_filter_factory::trim_point_filter_factory;
    [[nodiscard]] const char* Name() const override { return "brokerd.message_id_filter"; }

private:
    [[nodiscard]] std::unique_ptr<rocksdb::CompactionFilter> make(
        std::shared_ptr<const durable_trim_points::table> points, offset_t unknown) const override;
};

}  // namespace brokerd::storage
