// The filter of one flush or compaction works on a snapshot of the trim points.
#include "broker/storage/trim_filter.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "broker/base/seeded_fault.hpp"
#include "broker/storage/keys.hpp"
#include "broker/storage/values.hpp"

namespace brokerd::storage {

namespace {

using base::fault;
using base::seeded_fault;

using points_ptr = std::shared_ptr<const durable_trim_points::table>;

// Asked by one filter, which runs on one thread.
class trim_point_lookup {
public:
    // `unknown` is the trim point of topics that have none.
    trim_point_lookup(points_ptr points, offset_t unknown)
        : points_(std::move(points)), unknown_(unknown) {}

    // Keys come in order, so the topic is mostly the one asked for last.
    [[nodiscard]] offset_t of(topic_id topic) {
        if (last_topic_ != topic) {
            const auto found = std::ranges::lower_bound(
                *points_, topic, {}, &durable_trim_points::table::value_type::first);
            last_topic_ = topic;
            const bool known = found != points_->end() && found->first == topic;
            last_point_ = known ? found->second : unknown_;
        }
        return last_point_;
    }

private:
    points_ptr points_;
    offset_t unknown_;
    std::optional<topic_id> last_topic_;
    offset_t last_point_ = 0;
};

class trim_filter : public rocksdb::CompactionFilter {
public:
    trim_filter(points_ptr points, offset_t unknown) : trim_points_(std::move(points), unknown) {}

    Decision FilterV2(int /*level*/, const rocksdb::Slice& key, ValueType /*type*/,
                      const rocksdb::Slice& /*value*/, std::string* /*new_value*/,
                      std::string* skip_until) const override {
        const auto parsed = log_key::parse({key.data(), key.size()});
        if (!parsed) {
            return Decision::kKeep;
        }
        const offset_t first = trim_points_.of(parsed->topic);
        if (parsed->last_offset >= first) {
            return Decision::kKeep;
        }
        // Not kRemove: at a flush that leaves a tombstone for each key. Not beyond its lane: what
        // the next ones have from the trim point on stays.
        *skip_until = log_key{parsed->topic, first, parsed->lane}.encode().view();
        return Decision::kRemoveAndSkipUntil;
    }

    [[nodiscard]] const char* Name() const override { return "brokerd.trim_filter"; }

private:
    mutable trim_point_lookup trim_points_;
};

class expiry_filter : public rocksdb::CompactionFilter {
public:
    expiry_filter(points_ptr points, offset_t unknown) : trim_points_(std::move(points), unknown) {}

    Decision FilterV2(int /*level*/, const rocksdb::Slice& key, ValueType /*type*/,
                      const rocksdb::Slice& /*value*/, std::string* /*new_value*/,
                      std::string* /*skip_until*/) const override {
        const auto parsed = expiry_key::parse({key.data(), key.size()});
        const bool dead = parsed && parsed->last_offset < trim_points_.of(parsed->topic);
        // The keys are in order of time: the next one may be that of any chunk, so none is skipped.
        return dead ? Decision::kRemove : Decision::kKeep;
    }

    [[nodiscard]] const char* Name() const override { return "brokerd.expiry_filter"; }

private:
    mutable trim_point_lookup trim_points_;
};

class message_id_filter : public rocksdb::CompactionFilter {
public:
    message_id_filter(points_ptr points, offset_t unknown)
        : forgotten_(std::move(points), unknown) {}

    Decision FilterV2(int /*level*/, const rocksdb::Slice& key, ValueType type,
                      const rocksdb::Slice& value, std::string* /*new_value*/,
                      std::string* /*skip_until*/) const override {
        const auto parsed = message_id_key::parse({key.data(), key.size()});
        domain::message_id_entry entry;
        const bool dead = type == ValueType::kValue && parsed &&
                          decode_value({value.data(), value.size()}, entry) &&
                          id_point(entry.time) < forgotten_.of(parsed->topic);
        return dead ? Decision::kRemove : Decision::kKeep;
    }

    [[nodiscard]] const char* Name() const override { return "brokerd.message_id_filter"; }

private:
    mutable trim_point_lookup forgotten_;
};

}  // namespace

void durable_trim_points::advance(topic_id topic, offset_t first) {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::lower_bound(points_, topic, {}, &table::value_type::first);
    if (found == points_.end() || found->first != topic) {
        points_.insert(found, {topic, first});
    } else {
        found->second = std::max(found->second, first);
    }
    shared_.reset();
}

void durable_trim_points::forget(topic_id topic) {
    const std::lock_guard lock(mutex_);
    std::erase_if(points_, [&](const auto& point) { return point.first == topic; });
    shared_.reset();
}

std::shared_ptr<const durable_trim_points::table> durable_trim_points::snapshot() const {
    const std::lock_guard lock(mutex_);
    if (!shared_) {
        shared_ = std::make_shared<const table>(points_);
    }
    return shared_;
}

bool trim_point_filter_factory::ShouldFilterTableFileCreation(
    rocksdb::TableFileCreationReason reason) const {
    switch (reason) {
        case rocksdb::TableFileCreationReason::kFlush:
        case rocksdb::TableFileCreationReason::kCompaction: return points_->active();
        case rocksdb::TableFileCreationReason::kRecovery:
            return seeded_fault(fault::filter_active_in_recovery);
        case rocksdb::TableFileCreationReason::kMisc: break;
    }
    return false;
}

std::unique_ptr<rocksdb::CompactionFilter> trim_point_filter_factory::CreateCompactionFilter(
    const rocksdb::CompactionFilter::Context& context) {
    if (seeded_fault(fault::filter_active_in_recovery) &&
        context.reason == rocksdb::TableFileCreationReason::kRecovery) {
        return make(points_->snapshot(), offset_end);
    }
    return points_->active() ? make(points_->snapshot(), 0) : nullptr;
}

std::unique_ptr<rocksdb::CompactionFilter> trim_filter_factory::make(points_ptr points,
                                                                     offset_t unknown) const {
    return std::make_unique<trim_filter>(std::move(points), unknown);
}

std::unique_ptr<rocksdb::CompactionFilter> expiry_filter_factory::make(points_ptr points,
                                                                       offset_t unknown) const {
    return std::make_unique<expiry_filter>(std::move(points), unknown);
}

std::unique_ptr<rocksdb::CompactionFilter> message_id_filter_factory::make(points_ptr points,
                                                                           offset_t unknown) const {
    return std::make_unique<message_id_filter>(std::move(points), unknown);
}

}  // namespace brokerd::storage
