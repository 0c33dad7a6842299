// The bytes of every value: durable. tests/golden/storage/values.txt holds them; what is in there
// must be readable for ever. BROKERD_WRITE_GOLDEN=1 writes the file anew.
#include "broker/storage/values.hpp"

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd::storage {

namespace {

using test::at;

constexpr const char* golden_file = "tests/golden/storage/values.txt";

std::string to_hex(std::string_view bytes) {
    std::string text;
    for (const char byte : bytes) {
        text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    return text;
}

std::string from_hex(std::string_view text) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        bytes.push_back(static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
    }
    return bytes;
}

std::map<std::string, std::string> read_golden() {
    std::map<std::string, std::string> values;
    std::ifstream file(golden_file);
    for (std::string name, bytes; file >> name >> bytes;) {
        values[name] = from_hex(bytes);
    }
    return values;
}

// Calls `visit(name, value)` for one of each value.
template <typename Visit>
void for_each_value(const Visit& visit) {
    visit("identity", identity_value{std::string(32, 'a'), {1, 2, 3}});
    visit("commit", commit_value{commit_number{9}, commit_number{7}});
    visit("trim", trim_value{5, at(6)});
    visit("retry_clock", domain::retry_clock{at(8)});
    visit("done_marks", domain::done_marks{topic_id{1}, {{at(3), 4}, {at(5), 6}}});
    visit("kept", kept_value{at(3), "a record"});
    visit("number", std::uint64_t{77});
    visit("topic", domain::topic_created{topic_id{1}, "orders", {}, at(1)});
    visit("topic_with_priorities",
          domain::topic_created{topic_id{1}, "orders", {.priorities = 10}, at(1)});
    visit("topic_settings", domain::topic_changed{topic_id{1}, {.max_message_bytes = 99}});
    visit("queue", domain::queue_created{
                       topic_id{1}, queue_id{2}, "billing", queue_mode::shared, {}, 4, at(2)});
    visit("queue_settings",
          domain::queue_changed{topic_id{1}, queue_id{2}, {}, true, {broker_epoch{3}, 8}});
    const queue_settings takes_some{.filter = "key = 'a'", .until = 99};
    visit("queue_with_filter", domain::queue_created{topic_id{1}, queue_id{2}, "billing",
                                                     queue_mode::shared, takes_some, 4, at(2)});
    visit(
        "queue_settings_unsifted",
        domain::queue_changed{topic_id{1}, queue_id{2}, takes_some, true, {broker_epoch{3}, 8}, 7});
    domain::exception_state exception;
    exception.state = message_state::dead;
    exception.due = at(5);
    exception.attempts = 2;
    exception.key_hash = 6;
    exception.last_lease = {broker_epoch{1}, 4};
    exception.history = {{at(4), attempt_outcome::nacked, "worker@host:8", "no such card"}};
    visit("exception", exception);
    const std::vector<domain::state_run> runs{{message_state::done, 120, 3},
                                              {message_state::retrying, 7, 1},
                                              {message_state::ready, 1'000'000, 500}};
    visit("delta", domain::queue_delta{{}, {}, 0, 100, 98, runs});
    visit("snapshot", domain::queue_snapshot{{}, {}, 12, 3, 100, 98, runs});
    visit("producer",
          domain::producer_put{{}, {}, {}, 0, at(9), {{1, 5, 300}, {6, 2, 305}, {4, 1, 12}}});
    visit("scheduled", scheduled_value{"a batch"});
    visit("schedule_id", schedule_id_value{at(3), 4, 500});
    visit("schedule_totals", domain::schedule_totals{topic_id{1}, 9, 3, 12, 3400});
    visit("expiry", expiry_value{300});
    visit("expiry_watched", domain::expiry_watched{topic_id{1}, 812});
    visit("message_id", domain::message_id_entry{at(4), 7, true});
    visit("forgotten_ids",
          domain::message_ids_forgotten{topic_id{1}, at(2), {{at(3), 900}, {at(5), 1000}}});
    visit("reserved", domain::offsets_reserved{topic_id{1}, 16384});
    visit("skipped", domain::offsets_skipped{topic_id{1}, {{812, 15572}, {20000, 5}}});
    visit("log_marks",
          domain::log_marked{topic_id{1}, {{812, 0, at(3)}, {900, std::uint64_t{1} << 20, at(5)}}});
    visit("drops", domain::messages_dropped{
                       topic_id{1}, 40, 5000, at(7), {{queue_id{2}, 40}, {queue_id{3}, 12}}, 900});
    visit("pattern", domain::pattern_put{pattern_id{3}, "orders.*", "billing", queue_mode::keyed,
                                         takes_some, at(2)});
}

TEST(values, have_the_golden_bytes_and_are_read_back) {
    const auto golden = read_golden();
    std::string fresh;
    for_each_value([&](const std::string& name, const auto& value) {
        std::string bytes;
        encode_value(bytes, value);
        fresh += name + " " + to_hex(bytes) + "\n";
        const auto found = golden.find(name);
        ASSERT_NE(found, golden.end()) << name;
        EXPECT_EQ(to_hex(bytes), to_hex(found->second)) << name;
        std::remove_cvref_t<decltype(value)> read{};
        const auto decoded = decode_value(found->second, read);
        EXPECT_TRUE(decoded) << name << ": " << decoded.error().text;
        EXPECT_EQ(read, value) << name;
        // As it was before the structs in it grew, each time they did.
        for (int form = 1;; ++form) {
            const auto earlier = golden.find(fmt::format("{}.{}", name, form));
            if (earlier == golden.end()) {
                break;
            }
            fresh += earlier->first + " " + to_hex(earlier->second) + "\n";
            std::remove_cvref_t<decltype(value)> before{};
            EXPECT_TRUE(decode_value(earlier->second, before)) << earlier->first;
            EXPECT_EQ(before, value) << earlier->first;
        }
    });
    if (std::getenv("BROKERD_WRITE_GOLDEN") != nullptr) {  // NOLINT(concurrency-mt-unsafe)
        std::ofstream(golden_file) << fresh;
    }
}

TEST(values, are_refused_when_truncated_or_of_an_unknown_version) {
    for_each_value([&](const std::string& name, const auto& value) {
        std::string bytes;
        encode_value(bytes, value);
        std::remove_cvref_t<decltype(value)> read{};
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            if (name == "kept" && size > sizeof(std::int64_t)) {
                break;  // the record is all that follows; its length is its own
            }
            if (name == "scheduled" && size > 0) {
                break;  // so is the batch
            }
            if (name == "exception" && size == bytes.size() - 1) {
                break;  // it ended there before it could be lifted out of its time to live
            }
            if (name.starts_with("queue_settings") && size == bytes.size() - sizeof(offset_t)) {
                continue;  // it ended there before queues had filters
            }
            EXPECT_FALSE(decode_value(std::string_view(bytes).substr(0, size), read))
                << name << " cut to " << size;
        }
        bytes[0] = 2;
        EXPECT_FALSE(decode_value(bytes, read)) << name;
    });
}

TEST(values, a_damaged_commit_is_found) {
    std::string bytes;
    encode_value(bytes, commit_value{commit_number{9}, commit_number{7}});
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        auto damaged = bytes;
        damaged[i] = static_cast<char>(damaged[i] ^ 4);
        commit_value value;
        EXPECT_FALSE(decode_value(damaged, value)) << i;
    }
}

TEST(values, a_run_that_is_empty_or_wraps_is_refused) {
    constexpr auto largest = std::numeric_limits<std::uint64_t>::max();
    const auto refused = []<typename Value>(const Value& value) {
        std::string bytes;
        encode_value(bytes, value);
        Value read{};
        return !decode_value(bytes, read);
    };
    for (const std::uint64_t count : {std::uint64_t{0}, std::uint64_t{2}, largest}) {
        const domain::state_run run{message_state::done, largest - 1, count};
        EXPECT_TRUE(refused(domain::queue_delta{{}, {}, 0, 100, 98, {run}})) << count;
        EXPECT_TRUE(refused(domain::queue_snapshot{{}, {}, 12, 3, 100, 98, {run}})) << count;
        EXPECT_TRUE(refused(domain::producer_put{{}, {}, {}, 0, at(9), {{largest - 1, count, 0}}}))
            << count;
    }
    EXPECT_FALSE(
        refused(domain::queue_delta{{}, {}, 0, 0, 0, {{message_state::done, 0, largest}}}));
    EXPECT_FALSE(refused(domain::producer_put{{}, {}, {}, 0, at(9), {{1, 1, largest}}}));
}

TEST(values, a_number_beyond_64_bits_is_refused) {
    std::string bytes;
    encode_value(bytes,
                 domain::queue_delta{{}, {}, 0, std::numeric_limits<std::uint64_t>::max(), 0, {}});
    ASSERT_EQ(bytes.at(10), '\x01');  // the last byte of the first number
    domain::queue_delta read;
    EXPECT_TRUE(decode_value(bytes, read));
    bytes[10] = '\x02';
    EXPECT_FALSE(decode_value(bytes, read));
}

TEST(values, acks_in_order_cost_few_bytes) {
    std::string bytes;
    encode_value(bytes, domain::queue_delta{{}, {}, 0, 1'000'000, 999'000, {}});
    EXPECT_LE(bytes.size(), 8U);
    encode_value(bytes, domain::queue_delta{
                            {}, {}, 0, 1'000'000, 999'000, {{message_state::done, 1'000'010, 90}}});
    EXPECT_LE(bytes.size(), 11U);
}

TEST(values, the_header_of_a_chunk_tells_its_place) {
    const auto chunk = test::make_chunk(topic_id{3}, 40, 5, at(1));
    chunk_place place;
    ASSERT_TRUE(decode_value(as_text(chunk->bytes()), place));
    EXPECT_EQ(place, (chunk_place{topic_id{3}, 40, 5, at(1)}));
    EXPECT_FALSE(decode_value(as_text(chunk->bytes().first(39)), place));
    const auto urgent = test::make_chunk(topic_id{3}, 40, 5, at(1), 20, 7);
    ASSERT_TRUE(decode_value(as_text(urgent->bytes()), place));
    EXPECT_EQ(place, (chunk_place{topic_id{3}, 40, 5, at(1), 7}));
    const auto beyond = test::make_chunk(topic_id{3}, offset_end - 4, 5, at(1));
    EXPECT_FALSE(decode_value(as_text(beyond->bytes()), place));
}

}  // namespace

}  // namespace brokerd::storage
