// Encoder and decoder over every message: round trips of random values, exact sizes, truncation,
// bytes too many; and the rules of single wire types, each with the bytes that break it.
#include "protocol/codec/encode.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <type_traits>

#include <gtest/gtest.h>

#include "protocol/codec/registry.hpp"
#include "protocol/codec/wire.hpp"
#include "tests/unit/codec/sample_values.hpp"

namespace brokerd::codec {
namespace {

using namespace std::chrono_literals;

template <typename Message>
byte_buffer body_of(const Message& message) {
    byte_buffer frame;
    encode_frame(frame, 1, message);
    return {frame.begin() + frame_header_bytes, frame.end()};
}

template <typename Message>
failure refused(byte_view body) {
    auto decoded = decode<Message>(body);
    EXPECT_FALSE(decoded.has_value());
    return decoded ? failure{error_code::ok, ""} : decoded.error();
}

struct round_trip {
    std::uint64_t seed;

    template <typename Message>
    void operator()() const {
        SCOPED_TRACE(std::string(message_name<Message>) + " seed " + std::to_string(seed));
        sample::filler fill{sample::random_source(seed)};
        const auto value = fill.template make<Message>(message_name<Message>);
        byte_buffer out(3, std::byte{0x77});
        encode_frame(out, 42, value);
        ASSERT_EQ(out.size(), 3 + frame_header_bytes + body_size(value));
        const auto header = load_frame_header(byte_view(out).subspan(3));
        ASSERT_TRUE(header);
        EXPECT_EQ(header->type, static_cast<std::uint8_t>(Message::type));
        EXPECT_EQ(header->flags, 0);
        EXPECT_EQ(header->request_id, 42U);
        EXPECT_EQ(header->body_bytes, body_size(value));
        const auto decoded = decode<Message>(byte_view(out).subspan(3 + frame_header_bytes));
        ASSERT_TRUE(decoded) << decoded.error().text;
        EXPECT_EQ(*decoded, value);
    }
};

TEST(encode, round_trip_of_random_values_of_every_message) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        all_messages::for_each(round_trip{seed});
        if (HasFailure()) {
            break;
        }
    }
}

struct default_round_trip {
    template <typename Message>
    void operator()() const {
        const Message value{};
        const auto decoded = decode<Message>(body_of(value));
        ASSERT_TRUE(decoded) << message_name<Message>;
        EXPECT_EQ(*decoded, value) << message_name<Message>;
    }
};

TEST(encode, round_trip_of_default_values) {
    all_messages::for_each(default_round_trip{});
}

template <typename Message>
constexpr bool ends_in_bytes =
    std::is_same_v<Message, publish> || std::is_same_v<Message, schedule> ||
    std::is_same_v<Message, service_request> || std::is_same_v<Message, requested> ||
    std::is_same_v<Message, reply> || std::is_same_v<Message, replied>;

// A message that ends in bytes or runs up to the end may be cut at places where it is whole.
template <typename Message>
constexpr bool open_ended =
    ends_in_bytes<Message> || std::is_same_v<Message, deliver> || std::is_same_v<Message, messages>;

// A message that grew may be cut in front of each of its later fields.
template <typename Message>
constexpr std::size_t later_fields = [] {
    if constexpr (requires { Message::fields_min; }) {
        return std::tuple_size_v<decltype(Message::fields())> - Message::fields_min;
    } else {
        return std::size_t{0};
    }
}();

struct truncation {
    template <typename Message>
    void operator()() const {
        std::size_t accepted = 0;
        sample::filler fill{sample::fixed_source()};
        const byte_buffer body = body_of(fill.template make<Message>(message_name<Message>));
        for (std::size_t size = 0; size < body.size(); ++size) {
            // A copy of just that size, so that a sanitizer sees a read beyond it.
            const byte_buffer cut(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(size));
            const auto decoded = decode<Message>(cut);
            if (!decoded) {
                EXPECT_EQ(decoded.error().code, error_code::malformed);
                EXPECT_TRUE(decoded.error().text.starts_with(message_name<Message>))
                    << decoded.error().text;
            } else {
                ++accepted;
            }
        }
        if (!open_ended<Message>) {
            EXPECT_EQ(accepted, later_fields<Message>) << message_name<Message>;
        }
    }
};

TEST(encode, every_truncation_of_every_message_is_refused) {
    all_messages::for_each(truncation{});
}

struct trailing_byte {
    template <typename Message>
    void operator()() const {
        if constexpr (!ends_in_bytes<Message>) {
            sample::filler fill{sample::fixed_source()};
            byte_buffer body = body_of(fill.template make<Message>(message_name<Message>));
            body.push_back(std::byte{0});
            EXPECT_EQ(refused<Message>(body).code, error_code::malformed) << message_name<Message>;
        }
    }
};

TEST(encode, a_byte_behind_the_last_field_is_refused) {
    all_messages::for_each(trailing_byte{});
}

TEST(encode, malformed_names_message_and_field) {
    byte_buffer body = body_of(topic_create{.topic = "a", .settings = {}});
    body.resize(body.size() - 1);
    EXPECT_EQ(refused<topic_create>(body).text,
              "topic_create.settings: its length is larger than what is left of the body");
    body = body_of(published{.items = {published_item{}}});
    body[4 + 8 + 4 + 4 + 4 + 8] = std::byte{9};  // level of the first item
    EXPECT_EQ(refused<published>(body).text, "published.items.level: its value is not known");
}

TEST(encode, a_bool_is_0_or_1) {
    for (int value = 0; value < 256; ++value) {
        byte_buffer body = body_of(queue_pause{.queue = "a/b"});
        body.back() = static_cast<std::byte>(value);
        EXPECT_EQ(decode<queue_pause>(body).has_value(), value <= 1) << value;
    }
}

TEST(encode, unknown_enum_values_are_refused_but_for_error_codes) {
    byte_buffer body = body_of(queue_create{.queue = "a/b", .settings = {}, .start = {}});
    body[2 + 3] = std::byte{0};
    EXPECT_EQ(refused<queue_create>(body).text, "queue_create.mode: its value is not known");
    byte_buffer newer = body_of(error{.text = "t"});
    newer[0] = std::byte{0xFF};
    newer[1] = std::byte{0xFF};
    ASSERT_TRUE(decode<error>(newer));
    EXPECT_EQ(describe(decode<error>(newer)->code).code, error_code::internal);
}

TEST(encode, a_count_larger_than_the_body_is_refused_before_anything_is_reserved) {
    for (const std::uint32_t count : {2U, 1000U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU}) {
        byte_buffer body = body_of(attached{.gone = {lease_run{.count = 1}}});
        store_le(body.data() + 8 + 8 + 4, count);
        EXPECT_EQ(refused<attached>(body).code, error_code::malformed);
        byte_buffer items = body_of(consumers{.items = {consumer_item{}}});
        store_le(items.data(), count);
        EXPECT_EQ(refused<consumers>(items).code, error_code::malformed);
        byte_buffer texts = body_of(health_report{.warnings = {"w"}});
        store_le(texts.data() + 1, count);
        EXPECT_EQ(refused<health_report>(texts).code, error_code::malformed);
    }
}

TEST(encode, lease_runs_are_not_empty_and_do_not_overflow) {
    const auto accepted = [](lease_run run) {
        return decode<settle>(body_of(settle{.runs = {run}})).has_value();
    };
    const std::uint64_t largest = ~std::uint64_t{0};
    EXPECT_TRUE(accepted({.first_offset = 0, .count = 1, .first_lease = 0}));
    EXPECT_FALSE(accepted({.first_offset = 0, .count = 0, .first_lease = 0}));
    EXPECT_TRUE(accepted({.first_offset = largest - 5, .count = 5, .first_lease = 1}));
    EXPECT_FALSE(accepted({.first_offset = largest - 5, .count = 6, .first_lease = 1}));
    EXPECT_TRUE(accepted({.first_offset = 1, .count = 5, .first_lease = largest - 5}));
    EXPECT_FALSE(accepted({.first_offset = 1, .count = 6, .first_lease = largest - 5}));
}

TEST(encode, fields_a_newer_peer_put_behind_an_item_are_skipped) {
    const published value{
        .credit_messages = 1, .credit_bytes = 2, .items = {published_item{.request = 7}}};
    byte_buffer body = body_of(value);
    const std::size_t length_at = 4 + 8 + 4;
    const auto length = load_le<std::uint32_t>(body.data() + length_at);
    store_le(body.data() + length_at, length + 3);
    body.insert(body.end(), 3, std::byte{0xEE});
    const auto decoded = decode<published>(body);
    ASSERT_TRUE(decoded) << decoded.error().text;
    EXPECT_EQ(*decoded, value);
}

// Promise: limits.unknown
TEST(encode, fields_a_newer_peer_put_behind_settings_are_skipped) {
    const topic_set value{.topic = "a", .settings = {.max_message_bytes = 5}};
    byte_buffer body = body_of(value);
    const auto length = load_le<std::uint16_t>(body.data() + 3);
    store_le(body.data() + 3, static_cast<std::uint16_t>(length + 2));
    body.insert(body.end(), 2, std::byte{0xEE});
    const auto decoded = decode<topic_set>(body);
    ASSERT_TRUE(decoded) << decoded.error().text;
    EXPECT_EQ(*decoded, value);
}

TEST(encode, strings_at_the_limit_of_their_length_field) {
    const auto text_back = [](std::size_t size) {
        const auto decoded = decode<explained>(body_of(explained{std::string(size, 'x')}));
        return decoded ? decoded->sentence.size() : 0;
    };
    EXPECT_EQ(text_back(65535), 65535U);
    EXPECT_EQ(text_back(65536), 65535U);  // cut
}

TEST(encode, an_item_may_exceed_64_kib) {
    shown value;
    value.queues.emplace_back().history.resize(300);
    for (attempt& one : value.queues[0].history) {
        one.reason = std::string(limits::reason_bytes_max, 'r');
    }
    const auto decoded = decode<shown>(body_of(value));
    ASSERT_TRUE(decoded) << decoded.error().text;
    EXPECT_EQ(*decoded, value);
}

TEST(encode, publish_by_hand_is_publish_by_description) {
    const std::string batch(5000, 'b');
    byte_buffer by_hand;
    byte_buffer described_bytes;
    encode_publish(by_hand, 9, "orders.eu", as_bytes(batch));
    encode_frame(described_bytes, 9,
                 publish{.topic = "orders.eu", .batch = rest_bytes{as_bytes(batch)}});
    EXPECT_EQ(by_hand, described_bytes);
}

// The settings of a queue as each version wrote them, by their bytes, and what they mean.
std::map<std::size_t, queue_settings> versions_of_queue_settings() {
    queue_settings settings{.attempts = 3};
    std::size_t bytes =
        2 * sizeof(std::uint64_t) + sizeof(std::uint32_t) + 3 * sizeof(std::int64_t);
    std::map<std::size_t, queue_settings> versions{{bytes, settings}};
    const auto grow = [&](auto queue_settings::* field, auto value, std::size_t field_bytes) {
        settings.*field = value;
        versions[bytes += field_bytes] = settings;
    };
    grow(&queue_settings::jitter_percent, 7U, sizeof(std::uint32_t));
    grow(&queue_settings::after_failure, after_failure::skip, 1);
    grow(&queue_settings::expires, 9s, sizeof(std::int64_t));
    grow(&queue_settings::on_expiry, expiry_action::dead, 1);
    grow(&queue_settings::filter, "key = 'a'", sizeof(std::uint16_t) + 9);
    grow(&queue_settings::until, 77U, sizeof(std::uint64_t));
    return versions;
}

// A struct that grew is read as an older writer left it, but not cut within a field; what a newer
// one put behind it is skipped.
// Promise: limits.unknown
TEST(encode, a_struct_may_end_where_an_earlier_version_did) {
    const auto versions = versions_of_queue_settings();
    const auto& [newest_bytes, newest] = *versions.rbegin();
    const byte_buffer whole = body_of(queue_set{"t/q", newest});
    const std::size_t head_bytes = sizeof(std::uint16_t) + 3;
    const std::size_t settings_at = head_bytes + sizeof(std::uint16_t);
    ASSERT_EQ(whole.size(), settings_at + newest_bytes);
    for (std::size_t bytes = 0; bytes <= newest_bytes + 20; ++bytes) {
        byte_buffer body = whole;
        body.resize(settings_at + bytes, std::byte{0xEE});
        store_le(body.data() + head_bytes, static_cast<std::uint16_t>(bytes));
        const auto read = decode<queue_set>(body);
        const auto meant = versions.find(std::min(bytes, newest_bytes));
        ASSERT_EQ(read.has_value(), meant != versions.end()) << bytes;
        if (read) {
            EXPECT_EQ(read->settings, meant->second) << bytes;
        }
    }
}

TEST(encode, a_filter_ends_within_its_settings) {
    const queue_settings settings{.filter = "key = 'a'", .until = 77};
    byte_buffer body = body_of(queue_set{"t/q", settings});
    const std::size_t filter_bytes = settings.filter.size();
    const std::size_t behind_bytes = sizeof(offset_t);
    const std::size_t length_at = body.size() - behind_bytes - filter_bytes - sizeof(std::uint16_t);
    ASSERT_EQ(load_le<std::uint16_t>(body.data() + length_at), filter_bytes);
    const auto text_with = [&](std::size_t length) {
        store_le(body.data() + length_at, static_cast<std::uint16_t>(length));
        return refused<queue_set>(body).text;
    };
    EXPECT_EQ(text_with(filter_bytes + 1), "queue_set.settings.until: the body ends inside it");
    for (const std::size_t length : {filter_bytes + behind_bytes + 1, std::size_t{0xFFFF}}) {
        EXPECT_EQ(text_with(length),
                  "queue_set.settings.filter: its length is larger than what is left of the body");
    }
}

// Its limit is far below; of what is beyond the length of the settings nothing else may be read.
TEST(encode, a_filter_too_long_for_its_settings_is_refused) {
    const auto comes_back = [](const auto& value) {
        const auto decoded = decode<std::remove_cvref_t<decltype(value)>>(body_of(value));
        EXPECT_TRUE(!decoded || *decoded == value);
        return decoded.has_value();
    };
    constexpr std::size_t largest = 0xFFFF;
    const std::size_t others = wire_fields<queue_settings>::size({});
    for (std::size_t bytes = largest - 2 * others; bytes <= largest + 3; ++bytes) {
        const queue_settings settings{.filter = std::string(bytes, 'x')};
        const bool fits = others + bytes <= largest;
        EXPECT_EQ(comes_back(queue_set{"t/q", settings}), fits) << bytes;
        EXPECT_EQ(comes_back(queue_create{.queue = "t/q", .settings = settings, .start = {}}), fits)
            << bytes;
    }
}

TEST(encode, settings_without_a_time_to_live_are_read_as_before) {
    const topic_settings settings{.keep_done = duration_us(5), .ttl = duration_us(77)};
    byte_buffer body = body_of(topic_set{.topic = "a", .settings = settings});
    EXPECT_EQ(decode<topic_set>(body)->settings, settings);
    const auto length = load_le<std::uint16_t>(body.data() + 3);
    constexpr std::size_t added = 6 * sizeof(std::int64_t) + 3;  // and what came later
    body.resize(body.size() - added);
    store_le(body.data() + 3, static_cast<std::uint16_t>(length - added));
    const auto before = decode<topic_set>(body);
    ASSERT_TRUE(before) << before.error().text;
    EXPECT_EQ(before->settings, (topic_settings{.keep_done = duration_us(5)}));
}

TEST(encode, settings_without_bounds_are_read_as_before) {
    topic_settings settings{.message_id_window = duration_us(9), .keep_done_bytes = 1};
    settings.max_bytes = 2;
    settings.max_messages = 3;
    settings.when_full = full_policy::drop_oldest;
    settings.max_age = duration_us(4);
    byte_buffer body = body_of(topic_set{.topic = "a", .settings = settings});
    EXPECT_EQ(decode<topic_set>(body)->settings, settings);
    const auto length = load_le<std::uint16_t>(body.data() + 3);
    constexpr std::size_t added = 4 * sizeof(std::int64_t) + 2;  // and what came later
    body.resize(body.size() - added);
    store_le(body.data() + 3, static_cast<std::uint16_t>(length - added));
    const auto before = decode<topic_set>(body);
    ASSERT_TRUE(before) << before.error().text;
    EXPECT_EQ(before->settings, (topic_settings{.message_id_window = duration_us(9)}));
}

TEST(encode, settings_without_priorities_are_read_as_before) {
    const topic_settings settings{.max_age = duration_us(4), .priorities = 7};
    byte_buffer body = body_of(topic_set{.topic = "a", .settings = settings});
    EXPECT_EQ(decode<topic_set>(body)->settings, settings);
    const auto length = load_le<std::uint16_t>(body.data() + 3);
    body.resize(body.size() - 1);
    store_le(body.data() + 3, static_cast<std::uint16_t>(length - 1));
    const auto before = decode<topic_set>(body);
    ASSERT_TRUE(before) << before.error().text;
    EXPECT_EQ(before->settings, (topic_settings{.max_age = duration_us(4)}));
}

TEST(encode, what_becomes_of_a_publish_to_a_full_topic_is_one_of_two) {
    byte_buffer body = body_of(topic_set{.topic = "a", .settings = {}});
    const std::size_t at = body.size() - sizeof(std::int64_t) - 2;  // before max_age, priorities
    ASSERT_EQ(body[at], std::byte{1});
    for (const int unknown : {0, 3, 255}) {
        body[at] = static_cast<std::byte>(unknown);
        EXPECT_EQ(refused<topic_set>(body).text,
                  "topic_set.settings.when_full: its value is not known");
    }
}

TEST(encode, what_becomes_of_the_expired_is_one_of_two) {
    byte_buffer body =
        body_of(queue_set{.queue = "t/q", .settings = {.on_expiry = expiry_action::dead}});
    EXPECT_EQ(decode<queue_set>(body)->settings.on_expiry, expiry_action::dead);
    const std::size_t behind_bytes = sizeof(std::uint16_t) + sizeof(offset_t);  // filter, until
    for (const int unknown : {0, 3, 255}) {
        body[body.size() - behind_bytes - 1] = static_cast<std::byte>(unknown);
        EXPECT_EQ(refused<queue_set>(body).text,
                  "queue_set.settings.on_expiry: its value is not known");
    }
}

TEST(encode, described_structs_of_others) {
    byte_buffer out;
    const queue_settings settings{.attempts = 3};
    append_struct(out, settings);
    wire_reader reader(out);
    queue_settings back;
    ASSERT_TRUE(read_struct(reader, back));
    EXPECT_TRUE(reader.empty());
    EXPECT_EQ(back, settings);
}

TEST(encode, described_structs_of_others_may_end_where_an_earlier_version_did) {
    const auto versions = versions_of_queue_settings();
    byte_buffer whole;
    append_struct(whole, versions.rbegin()->second);
    for (std::size_t bytes = 0; bytes <= whole.size(); ++bytes) {
        wire_reader reader(byte_view(whole).first(bytes));
        queue_settings back;
        const auto meant = versions.find(bytes);
        ASSERT_EQ(read_struct(reader, back), meant != versions.end()) << bytes;
        EXPECT_TRUE(meant == versions.end() || back == meant->second) << bytes;
    }
}

}  // namespace
}  // namespace brokerd::codec
