// One file per kind of mutation and form, <name>.v<form>.hex: a batch with a mutation of that kind.
// It decodes to the value it was made of, for ever: what a released version wrote must stay
// readable. The value encodes to the bytes of its newest form. A kind without a file fails. New
// files: BROKERD_UPDATE_GOLDEN=1.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "broker/domain/mutation.hpp"
#include "protocol/codec/record_batch.hpp"
#include "tests/golden/protocol/hex.hpp"

namespace brokerd::domain {
namespace {

using namespace std::chrono_literals;

const std::filesystem::path directory = "tests/golden/mutations";
constexpr topic_id topic{0x0102};
constexpr queue_id queue{0x0304};
constexpr wall_time then = wall_from_us(1'700'000'000'123'456);

byte_buffer sample_batch() {
    codec::batch_builder builder;
    builder.add({.key = "42", .headers = {{"type", "order"}}, .payload = as_bytes("first")});
    builder.add({.key = {}, .headers = {}, .payload = as_bytes("second")});
    return builder.take(producer_id{7}, 9);
}

chunk_ptr sample_chunk() {
    const byte_buffer batch = sample_batch();
    chunk_builder chunk(topic, 812);
    chunk.append(batch, 2);
    return chunk.seal(then);
}

exception_state sample_exception() {
    exception_state value;
    value.state = message_state::retrying;
    value.due = then + 5s;
    value.attempts = 2;
    value.key_hash = 0x1122334455667788;
    value.last_lease = {broker_epoch{3}, 99};
    value.history = {{then, attempt_outcome::lost, "worker@host:1", ""},
                     {then + 1s, attempt_outcome::nacked, "worker@host:2", "card service down"}};
    return value;
}

struct sample {
    const char* name;
    mutation value;
    int form = 1;
};

const queue_settings first_queue_settings{.lease = 20s,
                                          .attempts = 5,
                                          .backoff = 2s,
                                          .backoff_max = 60s,
                                          .max_retrying = 1000,
                                          .max_runs = 2000};

constexpr topic_settings first_topic_settings{.keep_done = 1h, .max_message_bytes = 4096};
constexpr topic_settings second_topic_settings{
    .keep_done = 1h, .max_message_bytes = 4096, .ttl = 90s};

topic_settings third_topic_settings() {
    topic_settings settings = second_topic_settings;
    settings.durability = durability::os;
    settings.message_id_window = 1h;
    return settings;
}

topic_settings fourth_topic_settings() {
    topic_settings settings = third_topic_settings();
    settings.keep_done_bytes = limits::mib;
    settings.max_bytes = 8 * limits::mib;
    settings.max_messages = 5000;
    settings.when_full = full_policy::drop_oldest;
    settings.max_age = 48h;
    return settings;
}

queue_settings second_queue_settings() {
    queue_settings settings = first_queue_settings;
    settings.jitter_percent = 7;
    settings.after_failure = after_failure::skip;
    return settings;
}

queue_settings third_queue_settings() {
    queue_settings settings = second_queue_settings();
    settings.expires = 45s;
    settings.on_expiry = expiry_action::dead;
    return settings;
}

// What is not written any more, and what it means.
std::vector<sample> earlier_samples() {
    return {
        {"topic_created", topic_created{topic, "orders.eu", first_topic_settings, then}},
        {"topic_changed", topic_changed{topic, first_topic_settings}},
        {"topic_created", topic_created{topic, "orders.eu", second_topic_settings, then}, 2},
        {"topic_changed", topic_changed{topic, second_topic_settings}, 2},
        {"topic_created", topic_created{topic, "orders.eu", third_topic_settings(), then}, 3},
        {"topic_changed", topic_changed{topic, third_topic_settings()}, 3},
        {"topic_created", topic_created{topic, "orders.eu", fourth_topic_settings(), then}, 4},
        {"topic_changed", topic_changed{topic, fourth_topic_settings()}, 4},
        {"queue_created", queue_created{topic, queue, "billing", queue_mode::shared,
                                        first_queue_settings, 17, then}},
        {"queue_changed",
         queue_changed{topic, queue, first_queue_settings, true, lease_id{broker_epoch{4}, 11}}},
        {"queue_created",
         queue_created{topic, queue, "billing", queue_mode::keyed, second_queue_settings(), 17,
                       then},
         2},
        {"queue_changed",
         queue_changed{topic, queue, second_queue_settings(), true, lease_id{broker_epoch{4}, 11}},
         2},
        {"queue_created",
         queue_created{topic, queue, "billing", queue_mode::keyed, third_queue_settings(), 17,
                       then},
         3},
        {"queue_changed",
         queue_changed{topic, queue, third_queue_settings(), true, lease_id{broker_epoch{4}, 11}},
         3},
        {"exception_put", exception_put{topic, queue, 7, then + 1s, sample_exception()}},
    };
}

std::vector<sample> samples() {
    topic_settings topic_settings = fourth_topic_settings();
    topic_settings.priorities = 3;
    queue_settings queue_settings = third_queue_settings();
    queue_settings.filter = "header.country in ('DE', 'AT')";
    queue_settings.until = 90'000;
    exception_state exception = sample_exception();
    exception.ttl_lifted = true;
    const std::vector<state_run> runs = {{message_state::retrying, 7, 1},
                                         {message_state::dead, 3, 2},
                                         {message_state::done, 900, 300},
                                         {message_state::ready, 1 << 20, 1}};
    return {
        {"epoch_started", epoch_started{broker_epoch{4}}},
        {"topic_created", topic_created{topic, "orders.eu", topic_settings, then}, 5},
        {"topic_changed", topic_changed{topic, topic_settings}, 5},
        {"topic_removed", topic_removed{topic}},
        {"queue_created",
         queue_created{topic, queue, "billing", queue_mode::keyed, queue_settings, 17, then}, 4},
        {"queue_changed",
         queue_changed{topic, queue, queue_settings, true, lease_id{broker_epoch{4}, 11}, 640}, 4},
        {"queue_removed", queue_removed{topic, queue}},
        {"appended", appended{sample_chunk()}},
        {"trimmed", trimmed{topic, 500}},
        {"queue_delta", queue_delta{topic, queue, 6, 800, 795, runs}},
        {"queue_snapshot", queue_snapshot{topic, queue, 200, 150, 800, 795, runs}},
        {"exception_put", exception_put{topic, queue, 7, then + 1s, exception}, 2},
        {"exception_erased", exception_erased{topic, queue, 7, wall_never}},
        {"kept_put", kept_put{topic, queue, 7, then, "record bytes"}},
        {"kept_erased", kept_erased{topic, queue, 7}},
        {"producer_put",
         producer_put{topic, queue, producer_id{0xABCDEF}, 3, then, {{1, 10, 800}, {20, 1, 5000}}}},
        {"producer_erased", producer_erased{topic, queue, producer_id{0xABCDEF}, 4}},
        {"retry_clock", retry_clock{then}},
        {"done_marks", done_marks{topic, {{then, 500}, {then + 1min, 812}}}},
        {"schedule_put", schedule_put{topic, 77, then, copy_bytes(sample_batch())}},
        {"schedule_erased", schedule_erased{topic, 77, then}},
        {"schedule_totals", schedule_totals{topic, 78, 3, 12, 3400}},
        {"expiry_moved", expiry_moved{topic, 811, 300, then, then + 5s}},
        {"expiry_watched", expiry_watched{topic, 500}},
        {"message_id_put", message_id_put{topic, "order-77", {then, 812, false}}},
        {"message_ids_forgotten",
         message_ids_forgotten{topic, then - 1h, {{then, 500}, {then + 1min, 812}}}},
        {"offsets_reserved", offsets_reserved{topic, 16384}},
        {"offsets_skipped", offsets_skipped{topic, {{812, 15572}, {20000, 5}}}},
        {"log_marked", log_marked{topic, {{500, 0, then}, {812, limits::mib, then + 1min}}}},
        {"messages_dropped", messages_dropped{topic, 40, 5000, then, {{queue, 40}}, 860}},
        {"pattern_put", pattern_put{pattern_id{12}, "orders.*", "billing", queue_mode::keyed,
                                    queue_settings, then}},
        {"pattern_erased", pattern_erased{pattern_id{12}}},
    };
}

std::filesystem::path file_of(const sample& of) {
    return directory / fmt::format("{}.v{}.hex", of.name, of.form);
}

void expect_decoded(const sample& from) {
    const auto text = golden::read_text(file_of(from));
    ASSERT_TRUE(text) << "no golden file; BROKERD_UPDATE_GOLDEN=1 writes it";
    const auto decoded = decode_batch(golden::from_hex(*text));
    ASSERT_TRUE(decoded) << decoded.error().text;
    EXPECT_EQ(*decoded, std::vector{from.value});
}

TEST(golden_mutations, every_kind_decodes_and_encodes_as_before) {
    const auto all = samples();
    ASSERT_EQ(all.size(), std::variant_size_v<mutation>);
    for (const sample& each : all) {
        SCOPED_TRACE(each.name);
        byte_buffer encoded;
        encode_batch(encoded, {each.value});
        if (golden::update_wanted()) {
            golden::write_text(file_of(each), golden::to_hex(encoded));
        }
        expect_decoded(each);
        if (const auto text = golden::read_text(file_of(each))) {
            EXPECT_EQ(golden::to_hex(encoded), golden::to_hex(golden::from_hex(*text)));
        }
    }
}

// Promise: durability.earlier_data
TEST(golden_mutations, earlier_forms_decode_for_ever) {
    for (const sample& each : earlier_samples()) {
        SCOPED_TRACE(each.name);
        expect_decoded(each);
    }
}

TEST(golden_mutations, every_file_has_a_kind) {
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        files += entry.path().extension() == ".hex";
    }
    EXPECT_EQ(files, std::variant_size_v<mutation> + earlier_samples().size());
}

TEST(mutation, a_truncated_or_foreign_batch_is_refused) {
    for (const sample& each : samples()) {
        SCOPED_TRACE(each.name);
        byte_buffer bytes;
        encode_batch(bytes, {each.value});
        for (std::size_t size = 2; size < bytes.size(); ++size) {
            EXPECT_FALSE(decode_batch(byte_view{bytes}.first(size))) << size;
        }
        bytes[0] = std::byte{9};
        EXPECT_FALSE(decode_batch(bytes)) << "unknown version";
        bytes[0] = std::byte{1};
        bytes[1] = std::byte{200};
        EXPECT_FALSE(decode_batch(bytes)) << "unknown kind";
    }
}

// Its first version knew no mark: everything had been looked at.
TEST(mutation, a_change_of_a_queue_may_lack_its_last_field_as_a_whole) {
    const queue_changed value{topic, queue, {}, true, lease_id{broker_epoch{4}, 11}, 640};
    byte_buffer whole;
    encode_body(whole, value);
    for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
        const auto read = decode_body(mutation_kind::queue_changed, byte_view{whole}.first(bytes));
        ASSERT_EQ(read.has_value(), bytes == whole.size() - sizeof(offset_t)) << bytes;
        if (read) {
            queue_changed before = value;
            before.unsifted = offset_end;
            EXPECT_EQ(*read, mutation{before});
        }
    }
}

TEST(mutation, a_run_that_is_empty_or_wraps_is_refused) {
    constexpr auto largest = std::numeric_limits<std::uint64_t>::max();
    const auto refused = [](const mutation& value) {
        byte_buffer bytes;
        encode_body(bytes, value);
        return !decode_body(kind_of(value), bytes);
    };
    for (const std::uint64_t count : {std::uint64_t{0}, std::uint64_t{2}, largest}) {
        const state_run run{message_state::done, largest - 1, count};
        EXPECT_TRUE(refused(queue_delta{topic, queue, 6, 800, 795, {run}})) << count;
        EXPECT_TRUE(refused(queue_snapshot{topic, queue, 6, 5, 800, 795, {run}})) << count;
        EXPECT_TRUE(
            refused(producer_put{topic, queue, producer_id{1}, 3, then, {{largest - 1, count, 0}}}))
            << count;
    }
    EXPECT_FALSE(refused(queue_delta{topic, queue, 6, 0, 0, {{message_state::done, 0, largest}}}));
    EXPECT_FALSE(refused(producer_put{topic, queue, producer_id{1}, 3, then, {{1, 1, largest}}}));
}

TEST(mutation, a_schedule_without_a_batch_is_refused) {
    const auto refused = [](byte_view batch) {
        byte_buffer bytes;
        encode_body(bytes, schedule_put{topic, 77, then, copy_bytes(batch)});
        return !decode_body(mutation_kind::schedule_put, bytes);
    };
    byte_buffer batch = sample_batch();
    EXPECT_FALSE(refused(batch));
    EXPECT_TRUE(refused({}));
    EXPECT_TRUE(refused(byte_view{batch}.first(codec::batch_header_bytes - 1)));
    batch[4] ^= std::byte{1};  // its number of records, under the checksum of the header
    EXPECT_TRUE(refused(batch));
}

TEST(mutation, sizes_are_estimated) {
    for (const sample& each : samples()) {
        byte_buffer bytes;
        encode_body(bytes, each.value);
        EXPECT_GE(payload_bytes(each.value) * 3, bytes.size()) << each.name;
    }
}

}  // namespace
}  // namespace brokerd::domain
