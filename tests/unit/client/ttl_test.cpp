// Times to live: rounded and refused before anything is sent, told by the headers of batches and of
// the pieces they are cut into, seen in what was read and delivered; settings both ways.
#include <gmock/gmock.h>

#include "client/src/convert.hpp"
#include "client/src/message_access.hpp"
#include "client/src/transaction_parts.hpp"
#include "tests/unit/client/consumer_script.hpp"

namespace brokerd::client_core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;
using testing::SizeIs;

using ttl_setting = std::optional<std::chrono::microseconds>;

byte_buffer record_with(const ttl_setting& ttl) {
    byte_buffer record;
    const auto encoded = encode_message(record, "orders", {.key = "k", .payload = "x", .ttl = ttl});
    EXPECT_TRUE(encoded) << (encoded ? "" : encoded.error().what());
    return record;
}

std::optional<std::uint64_t> ttl_ms(const ttl_setting& ttl) {
    const byte_buffer record = record_with(ttl);
    const auto parsed = codec::check_record(record);
    EXPECT_TRUE(parsed);
    EXPECT_EQ(parsed->key, "k");
    EXPECT_EQ(as_text(parsed->payload), "x");
    return parsed->ttl_ms;
}

void submit(scripted_peer& peer, const ttl_setting& ttl,
            const std::optional<schedule_time>& when = std::nullopt) {
    peer.with([&](calls& out) {
        peer.state.submit(
            "orders", record_with(ttl), [](const publish_result&) {}, nullptr, out, when);
    });
}

// Of a batch that agrees with its records, as the broker checks it.
std::pair<std::uint64_t, std::uint64_t> spread(const codec::batch_header& header) {
    return {header.earliest_ttl_ms, header.latest_ttl_ms};
}

TEST(client_ttl, is_rounded_up_to_milliseconds) {
    EXPECT_EQ(ttl_ms(std::nullopt), std::nullopt);
    EXPECT_THAT(ttl_ms(1us), Optional(1U));
    EXPECT_THAT(ttl_ms(1000us), Optional(1U));
    EXPECT_THAT(ttl_ms(1001us), Optional(2U));
    EXPECT_THAT(ttl_ms(5min), Optional(300'000U));
    EXPECT_THAT(ttl_ms(forever), Optional(9'223'372'036'854'776U));
}

TEST(client_ttl, that_is_over_at_once_is_refused) {
    byte_buffer record;
    for (const auto wrong : {0us, -1us, -1'000'000us}) {
        const auto refused = encode_message(record, "orders", {.payload = "x", .ttl = wrong});
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code(), client_errc::invalid_argument);
        EXPECT_THAT(refused.error().what(), HasSubstr("longer than 0"));
    }
    transaction all;
    EXPECT_THROW(all.publish("orders", {.payload = "x", .ttl = 0us}), error);
}

TEST(client_ttl, the_header_of_a_batch_tells_the_smallest_and_the_largest) {
    scripted_peer peer;
    submit(peer, 3s);
    submit(peer, 1s);
    submit(peer, 2s);
    peer.greet();
    const auto header = scripted_peer::batch_of(peer.write_one());
    EXPECT_EQ(header.count, 3U);
    EXPECT_EQ(header.flags, codec::record_has_key | codec::record_has_ttl);
    EXPECT_EQ(spread(header), std::pair(1000UL, 3000UL));
}

TEST(client_ttl, one_message_without_makes_the_largest_none) {
    scripted_peer peer;
    submit(peer, 3s);
    submit(peer, std::nullopt);
    peer.greet();
    EXPECT_EQ(spread(scripted_peer::batch_of(peer.write_one())), std::pair(3000UL, codec::no_ttl));
    submit(peer, std::nullopt);
    const auto none = scripted_peer::batch_of(peer.write_one());
    EXPECT_EQ(spread(none), std::pair(codec::no_ttl, codec::no_ttl));
    EXPECT_EQ(none.flags, codec::record_has_key);
}

TEST(client_ttl, the_pieces_of_a_batch_that_was_cut_tell_their_own) {
    scripted_peer peer;
    peer.terms.batch_records_max = 2;
    for (const auto ttl : {4s, 3s, 2s, 1s}) {
        submit(peer, ttl);
    }
    submit(peer, std::nullopt);
    peer.greet();
    const auto frames = peer.write();
    ASSERT_THAT(frames, SizeIs(3));
    EXPECT_EQ(spread(scripted_peer::batch_of(frames[0])), std::pair(3000UL, 4000UL));
    EXPECT_EQ(spread(scripted_peer::batch_of(frames[1])), std::pair(1000UL, 2000UL));
    EXPECT_EQ(spread(scripted_peer::batch_of(frames[2])), std::pair(codec::no_ttl, codec::no_ttl));
}

TEST(client_ttl, goes_with_a_scheduled_message) {
    scripted_peer peer;
    peer.greet();
    submit(peer, 5s, schedule_time::after(1h));
    const sent_frame frame = peer.write_one();
    EXPECT_EQ(frame.type, codec::frame_type::schedule);
    EXPECT_EQ(spread(scripted_peer::batch_of(frame)), std::pair(5000UL, 5000UL));
}

TEST(client_ttl, goes_with_the_messages_of_a_transaction_also_when_it_is_cut) {
    scripted_peer peer;
    peer.terms.features |= codec::feature::transactions;
    peer.terms.batch_records_max = 2;
    peer.greet();
    transaction all;
    for (const auto ttl : {4s, 3s, 2s}) {
        all.publish("orders", {.payload = "x", .ttl = ttl});
    }
    all.publish("audit", {.payload = "x", .ttl = 7s});
    all.publish("audit", {.payload = "x"});
    all.schedule("orders", {.payload = "x", .ttl = 9s}, schedule_time::after(1h));
    const auto parts = transaction_access::parts(all);
    parts->committing = true;
    peer.with([&](calls& out) { peer.state.commit(parts, [](const result<committed>&) {}, out); });
    const sent_frame frame = peer.write_one();
    const auto sent = frame.as<codec::transact>();
    std::vector<std::pair<std::uint64_t, std::uint64_t>> told;
    for (const auto& part : sent.publishes) {
        const auto batch = codec::check_batch(part.batch.view, 16384);
        ASSERT_TRUE(batch) << batch.error().text;
        told.push_back(spread(batch->header));
    }
    EXPECT_THAT(told, ElementsAre(std::pair(3000UL, 4000UL), std::pair(2000UL, 2000UL),
                                  std::pair(7000UL, codec::no_ttl), std::pair(9000UL, 9000UL)));
}

TEST(client_ttl, is_seen_in_what_was_read) {
    byte_buffer records = record_with(1500us);
    const byte_buffer without = record_with(std::nullopt);
    records.insert(records.end(), without.begin(), without.end());
    codec::messages reply;
    reply.runs.push_back({7, 2, wall_time{}, {records}});
    const auto page = to_page("orders", reply);
    ASSERT_TRUE(page);
    EXPECT_THAT(page->messages.at(0).ttl, Optional(2ms));
    EXPECT_EQ(page->messages.at(1).ttl, std::nullopt);
}

TEST(client_ttl, is_seen_in_what_was_delivered) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    byte_buffer records = record_with(5s);
    const byte_buffer without = record_with(std::nullopt);
    records.insert(records.end(), without.begin(), without.end());
    consumer.deliver_bytes({0, 2, broker_epoch(1), 1}, records);
    const message first = message_access::make(*consumer.take());
    const message second = message_access::make(*consumer.take());
    EXPECT_THAT(first.ttl(), Optional(5000ms));
    EXPECT_EQ(first.key(), "k");
    EXPECT_EQ(first.payload(), "x");
    EXPECT_EQ(second.ttl(), std::nullopt);
}

// Other clients may write what no duration holds.
TEST(client_ttl, of_a_record_may_be_longer_than_all_times) {
    EXPECT_EQ(to_ttl(std::nullopt), std::nullopt);
    EXPECT_THAT(to_ttl(std::uint64_t{1}), Optional(1ms));
    const auto longest = to_ttl(codec::no_ttl);
    ASSERT_TRUE(longest);
    EXPECT_GT(std::chrono::microseconds(*longest), 200'000 * std::chrono::years(1));
}

TEST(client_ttl, settings_go_both_ways) {
    const topic_options topic{.keep_done = 1h, .ttl = 90s};
    EXPECT_EQ(to_wire(topic).ttl, 90s);
    EXPECT_EQ(to_public(to_wire(topic)), topic);
    EXPECT_EQ(to_public(topic_settings{}), topic_options{});
    const queue_options queue{.expires = 1h, .on_expiry = expiry_policy::dead};
    EXPECT_EQ(to_wire(queue).on_expiry, expiry_action::dead);
    EXPECT_EQ(to_public(to_wire(queue)), queue);
    EXPECT_EQ(to_public(queue_settings{}), queue_options{});
}

TEST(client_ttl, settings_that_are_not_as_asked_for_are_named) {
    codec::topic_created topic;
    topic.settings.ttl = 5s;
    topic.differing = {"ttl"};
    EXPECT_EQ(to_public(topic).settings.ttl, 5s);
    EXPECT_THAT(to_public(topic).differing, ElementsAre("ttl"));
    codec::queue_created queue;
    queue.settings.on_expiry = expiry_action::dead;
    queue.differing = {"on_expiry"};
    EXPECT_EQ(to_public(queue).settings.on_expiry, expiry_policy::dead);
    EXPECT_THAT(to_public(queue).differing, ElementsAre("on_expiry"));
}

}  // namespace
}  // namespace brokerd::client_core
