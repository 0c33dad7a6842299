// What the tests of the stores share: chunks, options for small databases, comparisons.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "broker/domain/broker_state.hpp"
#include "broker/domain/mutation.hpp"
#include "broker/storage/rocks_store.hpp"
#include "broker/storage/store.hpp"
#include "protocol/codec/record_batch.hpp"

namespace brokerd::test {

inline constexpr topic_id orders{1};
inline constexpr std::size_t small_memtable_bytes = std::size_t{1} << 20;

[[nodiscard]] inline wall_time at(std::int64_t us) {
    return wall_from_us(1'000'000'000'000 + us);
}

// The payload of the message at an offset, so that any reader can tell whether it got the right
// one.
[[nodiscard]] inline std::string payload_of(topic_id topic, offset_t offset, std::size_t bytes) {
    std::string payload = std::to_string(topic.value()) + "@" + std::to_string(offset) + ":";
    for (std::uint64_t i = 0; payload.size() < bytes; ++i) {
        payload.push_back(static_cast<char>('a' + (offset * 31 + i * 7) % 26));
    }
    return payload;
}

// One message with this payload.
[[nodiscard]] inline domain::chunk_ptr make_chunk_of(topic_id topic, offset_t base,
                                                     const std::string& payload, wall_time time) {
    codec::batch_builder batch;
    codec::record_fields fields;
    fields.payload = as_bytes(payload);
    batch.add(fields);
    domain::chunk_builder chunk(topic, base);
    chunk.append(batch.take({}, 0), 1);
    return chunk.seal(time);
}

[[nodiscard]] inline domain::chunk_ptr make_chunk(topic_id topic, offset_t base,
                                                  std::uint32_t count, wall_time time,
                                                  std::size_t payload_bytes = 20,
                                                  std::uint8_t lane = 0) {
    codec::batch_builder batch;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::string payload = payload_of(topic, base + i, payload_bytes);
        codec::record_fields fields;
        fields.payload = as_bytes(payload);
        batch.add(fields);
    }
    domain::chunk_builder chunk(topic, base, lane);
    chunk.append(batch.take({}, 0), count);
    return chunk.seal(time);
}

using own_ttls = std::vector<std::optional<std::uint64_t>>;  // of messages, in ms

// One batch for each list, in it a message for each time to live.
[[nodiscard]] inline domain::chunk_ptr make_chunk_with_ttls(topic_id topic, offset_t base,
                                                            const std::vector<own_ttls>& batches,
                                                            wall_time time,
                                                            std::size_t payload_bytes = 20,
                                                            std::uint8_t lane = 0) {
    domain::chunk_builder chunk(topic, base, lane);
    for (const own_ttls& ttls : batches) {
        codec::batch_builder batch;
        for (const auto& ttl_ms : ttls) {
            const std::string payload =
                payload_of(topic, chunk.next_offset() + batch.count(), payload_bytes);
            batch.add({.payload = as_bytes(payload), .ttl_ms = ttl_ms});
        }
        chunk.append(batch.take({}, 0), static_cast<std::uint32_t>(ttls.size()));
    }
    return chunk.seal(time);
}

// What is scheduled under an id: `count` messages.
[[nodiscard]] inline domain::schedule_put make_schedule(topic_id topic, std::uint64_t id,
                                                        wall_time due, std::uint32_t count = 1,
                                                        std::size_t payload_bytes = 20) {
    codec::batch_builder batch;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::string payload = payload_of(topic, id + i, payload_bytes);
        codec::record_fields fields;
        fields.payload = as_bytes(payload);
        batch.add(fields);
    }
    const byte_buffer bytes = batch.take({}, 0);
    return {topic, id, due, copy_bytes(bytes)};
}

[[nodiscard]] inline storage::rocks_store_options small_options(
    const std::filesystem::path& directory) {
    storage::rocks_store_options options;
    options.directory = directory;
    options.disk_reserve_bytes = 0;
    options.ballast_bytes = 0;
    options.memtable_bytes = small_memtable_bytes;
    options.wal_bytes_max = 4 * small_memtable_bytes;
    options.dead_bytes_max = small_memtable_bytes;
    return options;
}

[[nodiscard]] inline std::unique_ptr<storage::rocks_store> open_or_fail(
    storage::rocks_store_options options) {
    auto opened = storage::rocks_store::open(std::move(options));
    if (!opened) {
        ADD_FAILURE() << opened.error().text;
        throw std::runtime_error(opened.error().text);
    }
    return std::move(*opened);
}

// Applies one batch under the number behind the last one.
class committer {
public:
    explicit committer(storage::store& where, commit_number last = {})
        : where_(where), last_(last) {}

    [[nodiscard]] storage::append_result try_apply(const std::vector<domain::mutation>& batch,
                                                   bool sync = true) {
        const commit_number number{last_.value() + 1};
        auto result = where_.apply(number, batch, sync);
        if (result.status == storage::append_status::done) {
            last_ = number;
        }
        return result;
    }
    void apply(const std::vector<domain::mutation>& batch, bool sync = true) {
        const auto result = try_apply(batch, sync);
        ASSERT_EQ(result.status, storage::append_status::done) << result.text;
    }
    [[nodiscard]] commit_number last() const { return last_; }

private:
    storage::store& where_;
    commit_number last_;
};

[[nodiscard]] inline domain::topic_created new_topic(topic_id topic, std::string name,
                                                     std::uint8_t priorities = 0) {
    return {topic, std::move(name), {.priorities = priorities}, at(0)};
}

[[nodiscard]] inline domain::queue_created new_queue(topic_id topic, queue_id queue,
                                                     std::string name) {
    return {topic, queue, std::move(name), queue_mode::shared, {}, 0, at(0)};
}

// The answer to a fetch, as the type it must have.
template <typename Answer>
[[nodiscard]] Answer answer(storage::store& from, const domain::fetch_body& what) {
    auto result = from.read(what);
    if (const auto* failed = std::get_if<failure>(&result)) {
        ADD_FAILURE() << failed->text;
        return {};
    }
    return std::get<Answer>(std::move(result));
}

[[nodiscard]] inline std::vector<domain::chunk_ptr> read_log(storage::store& from, topic_id topic,
                                                             offset_t offset,
                                                             std::size_t bytes_max = SIZE_MAX,
                                                             std::uint64_t reader = 0) {
    return answer<domain::log_fetched>(from, domain::fetch_log{topic, offset, bytes_max, reader})
        .chunks;
}

[[nodiscard]] inline std::vector<domain::chunk_ptr> read_lane(storage::store& from, topic_id topic,
                                                              std::uint8_t lane, offset_t offset,
                                                              std::size_t bytes_max = SIZE_MAX,
                                                              std::uint64_t reader = 0) {
    return answer<domain::log_fetched>(from,
                                       domain::fetch_log{topic, offset, bytes_max, reader, lane})
        .chunks;
}

// Nothing below is readable.
[[nodiscard]] inline offset_t trim_of(const domain::loaded_state& state, topic_id topic) {
    offset_t first = 0;
    for (const auto& m : state.mutations) {
        const auto* const trimmed = std::get_if<domain::trimmed>(&m);
        if (trimmed != nullptr && trimmed->topic == topic) {
            first = trimmed->first;
        }
    }
    return first;
}

// Compares all but what is estimated.
inline void expect_same_state(const domain::loaded_state& left, const domain::loaded_state& right) {
    EXPECT_EQ(left.epoch, right.epoch);
    EXPECT_EQ(left.last_commit, right.last_commit);
    EXPECT_EQ(left.next_id, right.next_id);
    EXPECT_EQ(left.retry_clock, right.retry_clock);
    EXPECT_EQ(left.mutations, right.mutations);
    ASSERT_EQ(left.tails.size(), right.tails.size());
    for (std::size_t i = 0; i < left.tails.size(); ++i) {
        EXPECT_EQ(left.tails[i].topic, right.tails[i].topic);
        EXPECT_EQ(left.tails[i].next_offset, right.tails[i].next_offset);
        EXPECT_EQ(left.tails[i].last_append, right.tails[i].last_append);
    }
}

}  // namespace brokerd::test
