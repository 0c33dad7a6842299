// Turns mutations into the keys and values of one WriteBatch. Deterministic. Commit thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <rocksdb/write_batch.h>

#include "broker/domain/mutation.hpp"
#include "broker/storage/keys.hpp"
#include "broker/storage/rocks_handles.hpp"
#include "broker/storage/topic_table.hpp"
#include "broker/storage/values.hpp"

namespace brokerd::storage {

class write_translation {
public:
    // `identity` and `next_id` are what the database holds.
    write_translation(rocks_database& database, topic_table& topics, identity_value identity,
                      std::uint64_t next_id);

    // Empties the batch and translates the mutations into it, noting them in the topic table.
    void start(std::span<const domain::mutation> mutations);
    // Adds the commit itself, which must be the last value of the batch (commit_value); it is
    // complete then.
    rocksdb::WriteBatch& finish(const commit_value& commit);
    // Adds the removal of the last trace of a removed topic.
    void forget_topic(topic_id topic);

    // Trim points that were written since the last call; offset_end = topic removed.
    [[nodiscard]] std::vector<std::pair<topic_id, offset_t>> take_trims();
    // Likewise, before when the message ids of topics are forgotten.
    [[nodiscard]] std::vector<std::pair<topic_id, wall_time>> take_forgotten_ids();

    void operator()(const domain::epoch_started& m);
    void operator()(const domain::topic_created& m);
    void operator()(const domain::topic_changed& m);
    void operator()(const domain::topic_removed& m);
    void operator()(const domain::queue_created& m);
    void operator()(const domain::queue_changed& m);
    void operator()(const domain::queue_removed& m);
    void operator()(const domain::appended& m);
    void operator()(const domain::trimmed& m);
    void operator()(const domain::queue_delta& m);
    void operator()(const domain::queue_snapshot& m);
    void operator()(const domain::exception_put& m);
    void operator()(const domain::exception_erased& m);
    void operator()(const domain::kept_put& m);
    void operator()(const domain::kept_erased& m);
    void operator()(const domain::producer_put& m);
    void operator()(const domain::producer_erased& m);
    void operator()(const domain::retry_clock& m);
    void operator()(const domain::done_marks& m);
    void operator()(const domain::schedule_put& m);
    void operator()(const domain::schedule_erased& m);
    void operator()(const domain::schedule_totals& m);
    void operator()(const domain::expiry_moved& m);
    void operator()(const domain::expiry_watched& m);
    void operator()(const domain::message_id_put& m);
    void operator()(const domain::message_ids_forgotten& m);
    void operator()(const domain::offsets_reserved& m);
    void operator()(const domain::offsets_skipped& m);
    void operator()(const domain::log_marked& m);
    void operator()(const domain::messages_dropped& m);
    void operator()(const domain::pattern_put& m);
    void operator()(const domain::pattern_erased& m);

private:
    template <typename Value>
    void put(family where, const key_bytes& key, const Value& value);
    void put_bytes(family where, std::string_view key, std::string_view value);
    void erase(family where, const key_bytes& key);
    void erase_all(family where, const key_bytes& prefix);
    void erase_due(topic_id topic, queue_id queue, wall_time due, offset_t offset);
    void use_id(std::uint64_t id);
    void use_feature(std::uint64_t incompatible);

    rocks_database& database_;
    topic_table& topics_;
    rocksdb::WriteBatch batch_;
    std::string scratch_;
    identity_value identity_;
    std::uint64_t next_id_;
    bool next_id_changed_ = false;
    std::vector<std::pair<topic_id, offset_t>> trims_;
    std::vector<std::pair<topic_id, wall_time>> forgotten_ids_;
};

}  // namespace brokerd::storage
