// Records: round trips, limits at the limit and one beyond, damage.
#include "protocol/codec/record.hpp"

#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "protocol/codec/record_parse.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::codec {
namespace {

byte_buffer encoded(const record_fields& fields) {
    byte_buffer bytes;
    encode_record(bytes, fields);
    EXPECT_EQ(bytes.size(), record_size(fields));
    return bytes;
}

error_code record_code(byte_view bytes) {
    const auto checked = check_record(bytes);
    return checked ? error_code::ok : checked.error().code;
}

// A record with these bytes behind the checksum, flags first.
byte_buffer by_hand(std::string_view behind) {
    byte_buffer bytes(record_prefix_bytes);
    store_le(bytes.data(), static_cast<std::uint32_t>(behind.size() + 4));
    const byte_view view = as_bytes(behind);
    bytes.insert(bytes.end(), view.begin(), view.end());
    store_le(bytes.data() + 4, record_checksum(bytes));
    return bytes;
}

std::string headers_of(std::size_t count, std::size_t value_bytes) {
    std::string text(1, static_cast<char>(record_has_headers));
    const auto u16 = [&](std::size_t value) {
        text += static_cast<char>(value & 0xFFU);
        text += static_cast<char>(value >> 8U);
    };
    u16(count);
    for (std::size_t i = 0; i < count; ++i) {
        u16(0);
        u16(value_bytes);
        text += std::string(value_bytes, 'v');
    }
    return text;
}

TEST(record, layout_on_the_wire) {
    const byte_buffer bytes =
        encoded({.key = "k1", .headers = {{"n", "vv"}}, .payload = as_bytes("payload")});
    const std::string_view text = as_text(bytes);
    EXPECT_EQ(load_le<std::uint32_t>(bytes.data()), bytes.size() - 4);
    EXPECT_EQ(text.substr(8, 1), "\x03");
    EXPECT_EQ(text.substr(9, 4), std::string_view("\x02\0k1", 4));
    EXPECT_EQ(text.substr(13, 9), std::string_view("\x01\0\x01\0n\x02\0vv", 9));
    EXPECT_EQ(text.substr(22), "payload");
}

TEST(record, round_trip) {
    const byte_buffer bytes = encoded({.key = "key",
                                       .headers = {{"a", "1"}, {"", ""}, {"b", "two"}},
                                       .payload = as_bytes("payload")});
    const auto record = check_record(bytes);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->bytes.size(), bytes.size());
    EXPECT_EQ(record->key, "key");
    EXPECT_EQ(record->headers(), (std::vector<header_view>{{"a", "1"}, {"", ""}, {"b", "two"}}));
    EXPECT_EQ(as_text(record->payload), "payload");
    EXPECT_FALSE(record->ttl_ms || record->priority || record->id);
}

TEST(record, the_first_header_of_a_name_counts) {
    const byte_buffer bytes =
        encoded({.headers = {{"a", "1"}, {"", "nameless"}, {"b", "2"}, {"a", "3"}}});
    const auto record = check_record(bytes);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->header("a"), "1");
    EXPECT_EQ(record->header("b"), "2");
    EXPECT_EQ(record->header(""), "nameless");
    EXPECT_EQ(record->header("A"), std::nullopt);
    const byte_buffer without = encoded({});
    EXPECT_EQ(check_record(without)->header(""), std::nullopt);
}

TEST(record, an_empty_key_is_not_no_key) {
    const byte_buffer with_key = encoded({.key = "", .headers = {}, .payload = {}});
    const byte_buffer without = encoded({});
    EXPECT_EQ(check_record(with_key)->key, "");
    EXPECT_EQ(check_record(without)->key, std::nullopt);
    EXPECT_EQ(without.size(), record_bytes_min);
}

TEST(record, optional_fields_in_their_order) {
    const byte_buffer bytes =
        by_hand(std::string_view("\x1D\x05\0\0\0\0\0\0\0\x07\x02id\x01\0kpay", 19));
    const auto record = check_record(bytes);
    ASSERT_TRUE(record) << record.error().text;
    EXPECT_EQ(record->ttl_ms, 5U);
    EXPECT_EQ(record->priority, 7);
    EXPECT_EQ(record->id, "id");
    EXPECT_EQ(record->key, "k");
    EXPECT_EQ(as_text(record->payload), "pay");
}

TEST(record, a_time_to_live_lies_before_the_key) {
    const byte_buffer bytes = encoded({.key = "k1", .payload = as_bytes("pay"), .ttl_ms = 0x0102});
    const std::string_view text = as_text(bytes);
    EXPECT_EQ(text.substr(8), std::string_view("\x05\x02\x01\0\0\0\0\0\0\x02\0k1pay", 16));
    const auto record = check_record(bytes);
    ASSERT_TRUE(record) << record.error().text;
    EXPECT_EQ(record->ttl_ms, 0x0102U);
    EXPECT_EQ(record->key, "k1");
    EXPECT_EQ(as_text(record->payload), "pay");
    EXPECT_EQ(record_key(bytes), "k1");
}

TEST(record, the_time_to_live_is_read_alone) {
    constexpr std::uint64_t largest = std::numeric_limits<std::uint64_t>::max();
    for (const std::uint64_t ttl_ms : {std::uint64_t{0}, std::uint64_t{1}, largest}) {
        EXPECT_EQ(record_ttl_ms(encoded({.ttl_ms = ttl_ms})), ttl_ms);
        EXPECT_EQ(record_ttl_ms(encoded({.key = "k", .headers = {{"a", "1"}}, .ttl_ms = ttl_ms})),
                  ttl_ms);
    }
    EXPECT_EQ(record_ttl_ms(encoded({})), std::nullopt);
    EXPECT_EQ(record_ttl_ms(encoded({.key = "12345678", .payload = as_bytes("x")})), std::nullopt);
}

TEST(record, an_id_lies_between_the_time_to_live_and_the_key) {
    const byte_buffer bytes =
        encoded({.key = "k1", .payload = as_bytes("pay"), .ttl_ms = 0x0102, .id = "an id"});
    EXPECT_EQ(as_text(bytes).substr(8), std::string_view("\x15\x02\x01\0\0\0\0\0\0\x05"
                                                         "an id\x02\0k1pay",
                                                         22));
    const auto record = check_record(bytes);
    ASSERT_TRUE(record) << record.error().text;
    EXPECT_EQ(record->id, "an id");
    EXPECT_EQ(record->key, "k1");
    EXPECT_EQ(record_id(bytes), "an id");
    EXPECT_EQ(record_key(bytes), "k1");
    const std::string longest(255, '\xff');
    EXPECT_EQ(record_id(encoded({.id = longest})), longest);
    EXPECT_EQ(record_id(encoded({.key = "key", .payload = as_bytes("x"), .ttl_ms = 9})), "");
    EXPECT_EQ(record_id(by_hand(std::string_view("\x18\x07\x02idpay", 8))), "id")
        << "behind a priority";
}

TEST(record, a_priority_lies_between_the_time_to_live_and_the_id) {
    const byte_buffer bytes =
        encoded({.payload = as_bytes("pay"), .ttl_ms = 0x0102, .priority = 9, .id = "an id"});
    EXPECT_EQ(as_text(bytes).substr(8), std::string_view("\x1C\x02\x01\0\0\0\0\0\0\x09\x05"
                                                         "an idpay",
                                                         19));
    EXPECT_EQ(check_record(bytes)->priority, 9);
    EXPECT_EQ(record_priority(bytes), 9);
    EXPECT_EQ(record_id(bytes), "an id");
    EXPECT_EQ(record_priority(encoded({.key = "key", .priority = 0})), 0);
    EXPECT_EQ(record_priority(encoded({.key = "key", .priority = 255})), 255);
    EXPECT_EQ(record_priority(encoded({.key = "key", .payload = as_bytes("x"), .ttl_ms = 9})), 0);
}

TEST(record, only_the_front_is_taken) {
    byte_buffer bytes = encoded({.key = "a", .headers = {}, .payload = {}});
    const std::size_t first = bytes.size();
    encode_record(bytes, {.key = "b", .headers = {}, .payload = {}});
    EXPECT_EQ(record_size_at(bytes), first);
    EXPECT_EQ(check_record(bytes)->key, "a");
    EXPECT_EQ(check_record(byte_view(bytes).subspan(first))->key, "b");
}

TEST(record, unknown_flags_are_refused) {
    for (const char flag : {'\x20', '\x40', '\x80'}) {
        EXPECT_EQ(record_code(by_hand(std::string(1, flag))), error_code::bad_batch);
    }
}

TEST(record, every_truncation_is_refused) {
    const byte_buffer bytes = encoded(
        {.key = "key", .headers = {{"a", "1"}}, .payload = as_bytes("payload"), .ttl_ms = 5});
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const byte_buffer cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_EQ(record_code(cut), error_code::bad_batch) << size;
    }
    // The same with a length that agrees, so that the inner lengths are what does not fit.
    const std::string inner = std::string(as_text(bytes).substr(record_prefix_bytes));
    for (std::size_t size = 1; size < inner.size() - 7; ++size) {
        EXPECT_EQ(record_code(by_hand(inner.substr(0, size))), error_code::bad_batch) << size;
    }
    EXPECT_EQ(record_code(by_hand("")), error_code::bad_batch);
}

TEST(record, lengths_at_their_extremes) {
    byte_buffer bytes = encoded({.key = "key", .headers = {}, .payload = {}});
    for (const std::uint32_t length :
         {0U, 1U, 4U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFCU, 0xFFFFFFFFU}) {
        store_le(bytes.data(), length);
        EXPECT_EQ(record_size_at(bytes), 0U) << length;
        EXPECT_EQ(record_code(bytes), error_code::bad_batch) << length;
    }
}

TEST(record, key_at_the_limit_and_one_beyond) {
    const std::string key(limits::key_bytes_max + 1, 'k');
    const std::string_view at_limit = std::string_view(key).substr(1);
    EXPECT_EQ(record_code(encoded({.key = at_limit, .headers = {}, .payload = {}})),
              error_code::ok);
    EXPECT_EQ(record_code(encoded({.key = key, .headers = {}, .payload = {}})),
              error_code::key_too_large);
}

TEST(record, headers_at_the_limit_and_one_beyond) {
    EXPECT_EQ(record_code(by_hand(headers_of(limits::headers_max, 1))), error_code::ok);
    EXPECT_EQ(record_code(by_hand(headers_of(limits::headers_max + 1, 1))),
              error_code::too_many_headers);
    EXPECT_EQ(record_code(by_hand(headers_of(1, limits::headers_bytes_max))), error_code::ok);
    EXPECT_EQ(record_code(by_hand(headers_of(1, limits::headers_bytes_max + 1))),
              error_code::too_many_headers);
}

TEST(record, parse_does_not_look_at_the_checksum) {
    byte_buffer bytes = encoded({.key = "key", .headers = {}, .payload = {}});
    bytes[4] ^= std::byte{1};
    EXPECT_EQ(record_code(bytes), error_code::bad_checksum);
    ASSERT_TRUE(parse_record(bytes));
    EXPECT_EQ(parse_record(bytes)->key, "key");
}

}  // namespace
}  // namespace brokerd::codec
