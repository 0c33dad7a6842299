// One function per kind of mutation: which keys it puts and erases.
#include "broker/storage/write_translation.hpp"

#include <array>
#include <span>
#include <variant>

#include "broker/base/assert.hpp"
#include "broker/storage/delta_fault.hpp"
#include "broker/storage/rocks_options.hpp"
#include "protocol/codec/record_batch.hpp"

namespace brokerd::storage {

namespace {

// Families whose keys begin with topic and queue.
constexpr std::array queue_families{family::kept, family::cursors, family::exceptions,
                                    family::dedup};
// A larger batch gives its memory back.
constexpr std::size_t batch_bytes_kept_max = std::size_t{2} << 20;
// Beyond so many deltas one range deletion is cheaper than a tombstone for each.
constexpr std::uint64_t deltas_erased_singly_max = 16;

// RocksDB refuses to add to a batch only for programming errors (an unknown family, a key of more
// than 4 GiB).
void expect(const rocksdb::Status& status) {
    BROKERD_ASSERT(status.ok(), "WriteBatch: {}", status.ToString());
}

}  // namespace

write_translation::write_translation(rocks_database& database, topic_table& topics,
                                     identity_value identity, std::uint64_t next_id)
    : database_(database),
      topics_(topics),
      batch_(0, 0, write_protection_bytes_per_key, 0),
      identity_(std::move(identity)),
      next_id_(next_id) {}

void write_translation::start(std::span<const domain::mutation> mutations) {
    if (batch_.GetDataSize() > batch_bytes_kept_max) {
        batch_ = rocksdb::WriteBatch(0, 0, write_protection_bytes_per_key, 0);
    }
    batch_.Clear();
    for (const domain::mutation& m : mutations) {
        std::visit(*this, m);
    }
}

rocksdb::WriteBatch& write_translation::finish(const commit_value& commit) {
    if (next_id_changed_) {
        put(family::meta, meta_key::of_shard(meta_kind::next_id).encode(), next_id_);
        next_id_changed_ = false;
    }
    put(family::meta, meta_key::of_shard(meta_kind::commit).encode(), commit);
    return batch_;
}

void write_translation::forget_topic(topic_id topic) {
    erase(family::meta, meta_key{topic, meta_kind::trim, {}}.encode());
}

std::vector<std::pair<topic_id, offset_t>> write_translation::take_trims() {
    return std::exchange(trims_, {});
}

std::vector<std::pair<topic_id, wall_time>> write_translation::take_forgotten_ids() {
    return std::exchange(forgotten_ids_, {});
}

template <typename Value>
void write_translation::put(family where, const key_bytes& key, const Value& value) {
    encode_value(scratch_, value);
    put_bytes(where, key.view(), scratch_);
}

void write_translation::put_bytes(family where, std::string_view key, std::string_view value) {
    expect(batch_.Put(database_.handle(where), to_slice(key), to_slice(value)));
}

void write_translation::erase(family where, const key_bytes& key) {
    expect(batch_.Delete(database_.handle(where), to_slice(key.view())));
}

void write_translation::erase_all(family where, const key_bytes& prefix) {
    const key_bytes end = behind(prefix);
    expect(
        batch_.DeleteRange(database_.handle(where), to_slice(prefix.view()), to_slice(end.view())));
}

void write_translation::erase_due(topic_id topic, queue_id queue, wall_time due, offset_t offset) {
    if (due != wall_never) {
        erase(family::exceptions, due_key{topic, queue, due, offset}.encode());
    }
}

void write_translation::use_id(std::uint64_t id) {
    if (id >= next_id_) {
        next_id_ = id + 1;
        next_id_changed_ = true;
    }
}

// With what uses it, so that a brokerd that does not know it never meets it.
void write_translation::use_feature(std::uint64_t incompatible) {
    if ((identity_.features.incompatible & incompatible) != incompatible) {
        identity_.features.incompatible |= incompatible;
        put(family::meta, meta_key::of_shard(meta_kind::identity).encode(), identity_);
    }
}

void write_translation::operator()(const domain::epoch_started& m) {
    put(family::meta, meta_key::of_shard(meta_kind::epoch).encode(),
        std::uint64_t{m.epoch.value()});
}

void write_translation::operator()(const domain::topic_created& m) {
    use_id(m.topic.value());
    const std::uint8_t lanes = lanes_of(m.settings);
    if (lanes > 1) {
        use_feature(incompatible_feature::lanes);
    }
    topics_.create(m.topic, m.name, lanes);
    put(family::meta, meta_key{m.topic, meta_kind::topic, {}}.encode(), m);
}

void write_translation::operator()(const domain::topic_changed& m) {
    put(family::meta, meta_key{m.topic, meta_kind::topic_settings, {}}.encode(), m);
}

void write_translation::operator()(const domain::topic_removed& m) {
    topics_.remove(m.topic);
    erase_all(family::meta, topic_prefix(m.topic));
    for (const family each : queue_families) {
        erase_all(each, topic_prefix(m.topic));
    }
    erase_all(family::schedule, topic_prefix(m.topic));
    erase_all(family::expiry, topic_prefix(m.topic));
    erase_all(family::message_ids, topic_prefix(m.topic));
    // The log gets no tombstones: its chunks fall below this trim point.
    put(family::meta, meta_key{m.topic, meta_kind::trim, {}}.encode(), trim_value{offset_end, {}});
    trims_.emplace_back(m.topic, offset_end);
}

void write_translation::operator()(const domain::queue_created& m) {
    use_id(m.queue.value());
    put(family::meta, meta_key{m.topic, meta_kind::queue, m.queue}.encode(), m);
}

void write_translation::operator()(const domain::queue_changed& m) {
    put(family::meta, meta_key{m.topic, meta_kind::queue_settings, m.queue}.encode(), m);
}

void write_translation::operator()(const domain::queue_removed& m) {
    erase(family::meta, meta_key{m.topic, meta_kind::queue, m.queue}.encode());
    erase(family::meta, meta_key{m.topic, meta_kind::queue_settings, m.queue}.encode());
    for (const family each : queue_families) {
        erase_all(each, queue_prefix(m.topic, m.queue));
    }
}

void write_translation::operator()(const domain::appended& m) {
    const domain::chunk& chunk = *m.data;
    topics_.append(chunk.topic(), chunk.end_offset(), chunk.append_time());
    BROKERD_ASSERT(chunk.lane() < topics_.lanes(chunk.topic()), "topic {} has no lane {}",
                   chunk.topic().value(), chunk.lane());
    put_bytes(family::log,
              log_key{chunk.topic(), chunk.last_offset(), chunk.lane()}.encode().view(),
              as_text(chunk.bytes()));
    if (chunk.first_expiry() != wall_never) {
        put(family::expiry,
            expiry_key{chunk.topic(), chunk.first_expiry(), chunk.last_offset()}.encode(),
            expiry_value{chunk.count()});
    }
}

void write_translation::operator()(const domain::trimmed& m) {
    put(family::meta, meta_key{m.topic, meta_kind::trim, {}}.encode(),
        trim_value{m.first, topics_.facts(m.topic).last_append});
    trims_.emplace_back(m.topic, m.first);
}

void write_translation::operator()(const domain::queue_delta& m) {
    const auto key = cursor_key{m.topic, m.queue, cursor_kind::delta, m.number}.encode();
    if (loses_runs(m)) {
        put(family::cursors, key, without_runs(m));
        return;
    }
    put(family::cursors, key, m);
}

void write_translation::operator()(const domain::queue_snapshot& m) {
    cursor_key key{m.topic, m.queue, cursor_kind::snapshot, 0};
    put(family::cursors, key.encode(), m);
    key.kind = cursor_kind::delta;
    if (m.number - m.replaces <= deltas_erased_singly_max) {
        for (key.number = m.replaces + 1; key.number <= m.number; ++key.number) {
            erase(family::cursors, key.encode());
        }
        return;
    }
    key.number = m.replaces + 1;
    const auto first = key.encode();
    key.number = m.number + 1;
    const auto end = key.encode();
    expect(batch_.DeleteRange(database_.handle(family::cursors), to_slice(first.view()),
                              to_slice(end.view())));
}

void write_translation::operator()(const domain::exception_put& m) {
    put(family::exceptions, exception_key{m.topic, m.queue, m.offset}.encode(), m.value);
    erase_due(m.topic, m.queue, m.previous_due, m.offset);
    if (m.value.state == message_state::retrying) {
        put(family::exceptions, due_key{m.topic, m.queue, m.value.due, m.offset}.encode(),
            due_value{});
    }
}

void write_translation::operator()(const domain::exception_erased& m) {
    erase(family::exceptions, exception_key{m.topic, m.queue, m.offset}.encode());
    erase_due(m.topic, m.queue, m.previous_due, m.offset);
}

void write_translation::operator()(const domain::kept_put& m) {
    put(family::kept, kept_key{m.topic, m.queue, m.offset}.encode(),
        kept_value{m.append_time, m.record});
}

void write_translation::operator()(const domain::kept_erased& m) {
    erase(family::kept, kept_key{m.topic, m.queue, m.offset}.encode());
}

void write_translation::operator()(const domain::producer_put& m) {
    put(family::dedup, dedup_key{m.topic, m.queue, m.producer, m.slot}.encode(), m);
}

void write_translation::operator()(const domain::producer_erased& m) {
    for (std::uint32_t slot = 0; slot < m.slots; ++slot) {
        erase(family::dedup, dedup_key{m.topic, m.queue, m.producer, slot}.encode());
    }
}

void write_translation::operator()(const domain::retry_clock& m) {
    put(family::meta, meta_key::of_shard(meta_kind::retry_clock).encode(), m);
}

void write_translation::operator()(const domain::done_marks& m) {
    put(family::meta, meta_key{m.topic, meta_kind::done_marks, {}}.encode(), m);
}

void write_translation::operator()(const domain::schedule_put& m) {
    const auto header = codec::load_batch_header(m.batch.view);
    BROKERD_ASSERT(header, "schedule {} of topic {} holds no batch", m.id, m.topic.value());
    put(family::schedule, schedule_due_key{m.topic, m.due, m.id}.encode(),
        scheduled_value{as_text(m.batch.view)});
    put(family::schedule, schedule_id_key{m.topic, m.id}.encode(),
        schedule_id_value{m.due, header->count, m.batch.view.size()});
}

void write_translation::operator()(const domain::schedule_erased& m) {
    erase(family::schedule, schedule_due_key{m.topic, m.due, m.id}.encode());
    erase(family::schedule, schedule_id_key{m.topic, m.id}.encode());
}

void write_translation::operator()(const domain::schedule_totals& m) {
    put(family::meta, meta_key{m.topic, meta_kind::schedule_totals, {}}.encode(), m);
}

void write_translation::operator()(const domain::expiry_moved& m) {
    if (m.from != wall_never) {
        erase(family::expiry, expiry_key{m.topic, m.from, m.last}.encode());
    }
    if (m.to != wall_never) {
        put(family::expiry, expiry_key{m.topic, m.to, m.last}.encode(), expiry_value{m.count});
    }
}

void write_translation::operator()(const domain::expiry_watched& m) {
    put(family::meta, meta_key{m.topic, meta_kind::expiry_watched, {}}.encode(), m);
}

void write_translation::operator()(const domain::message_id_put& m) {
    encode_value(scratch_, m.entry);
    put_bytes(family::message_ids, message_id_key{m.topic, m.id}.encode(), scratch_);
}

void write_translation::operator()(const domain::message_ids_forgotten& m) {
    put(family::meta, meta_key{m.topic, meta_kind::forgotten_ids, {}}.encode(), m);
    forgotten_ids_.emplace_back(m.topic, m.before);
}

void write_translation::operator()(const domain::offsets_reserved& m) {
    put(family::meta, meta_key{m.topic, meta_kind::reserved, {}}.encode(), m);
}

void write_translation::operator()(const domain::offsets_skipped& m) {
    put(family::meta, meta_key{m.topic, meta_kind::skipped, {}}.encode(), m);
}

void write_translation::operator()(const domain::log_marked& m) {
    put(family::meta, meta_key{m.topic, meta_kind::log_marks, {}}.encode(), m);
}

void write_translation::operator()(const domain::messages_dropped& m) {
    put(family::meta, meta_key{m.topic, meta_kind::drops, {}}.encode(), m);
}

void write_translation::operator()(const domain::pattern_put& m) {
    use_id(m.pattern.value());
    put(family::meta, meta_key::of_pattern(m.pattern).encode(), m);
}

void write_translation::operator()(const domain::pattern_erased& m) {
    erase(family::meta, meta_key::of_pattern(m.pattern).encode());
}

}  // namespace brokerd::storage
