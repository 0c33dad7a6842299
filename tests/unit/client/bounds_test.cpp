// Bounds of topics: settings and what is counted, both ways; what becomes of messages that a full
// topic refuses, in batches and over lost connections.
#include <gmock/gmock.h>

#include "client/src/convert.hpp"
#include "tests/unit/client/scripted_peer.hpp"

namespace brokerd::client_core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

TEST(client_bounds, settings_go_both_ways) {
    const topic_options topic{.keep_done_bytes = 1,
                              .max_bytes = 4096,
                              .max_messages = 3,
                              .when_full = overflow_policy::drop_oldest,
                              .max_age = 4h};
    const topic_settings wire = to_wire(topic);
    EXPECT_EQ(wire.keep_done_bytes, 1U);
    EXPECT_EQ(wire.max_bytes, 4096U);
    EXPECT_EQ(wire.max_messages, 3U);
    EXPECT_EQ(wire.when_full, full_policy::drop_oldest);
    EXPECT_EQ(wire.max_age, 4h);
    EXPECT_EQ(to_public(wire), topic);
    EXPECT_EQ(to_public(topic_settings{}), topic_options{});
    EXPECT_EQ(to_wire(topic_options{}), topic_settings{});
    EXPECT_EQ(to_string(overflow_policy::refuse), "refuse");
    EXPECT_EQ(to_string(overflow_policy::drop_oldest), "drop-oldest");
}

TEST(client_bounds, those_in_force_and_that_they_differ_are_told) {
    codec::topic_created reply;
    reply.settings.max_messages = 7;
    reply.settings.when_full = full_policy::drop_oldest;
    reply.differing = {"max_messages", "when_full"};
    const ensured_topic ensured = to_public(reply);
    EXPECT_EQ(ensured.settings.max_messages, 7U);
    EXPECT_EQ(ensured.settings.when_full, overflow_policy::drop_oldest);
    EXPECT_THAT(ensured.differing, ElementsAre("max_messages", "when_full"));
}

TEST(client_bounds, what_is_pending_and_dropped_is_seen_in_listings) {
    codec::topic_item item;
    EXPECT_EQ(to_public(item).last_dropped, no_timestamp);
    item.settings.max_bytes = 8192;
    item.pending = 1;
    item.pending_bytes = 2;
    item.dropped = 3;
    item.dropped_bytes = 4;
    item.last_dropped = wall_time(5s);
    const topic_info topic = to_public(item);
    EXPECT_EQ(topic.settings.max_bytes, 8192U);
    EXPECT_EQ(topic.pending, 1U);
    EXPECT_EQ(topic.pending_bytes, 2U);
    EXPECT_EQ(topic.dropped, 3U);
    EXPECT_EQ(topic.dropped_bytes, 4U);
    EXPECT_EQ(topic.last_dropped, timestamp(5s));
    codec::queue_item queue;
    queue.dropped = 6;
    EXPECT_EQ(to_public(queue).dropped, 6U);
}

TEST(client_bounds, a_full_topic_refuses_the_whole_batch_and_takes_the_next_one) {
    scripted_peer peer;
    for (int i = 0; i < 3; ++i) {
        peer.publish("orders", "x");
    }
    peer.greet();
    const sent_frame full = peer.write_one();
    peer.refuse(full.request, error_code::topic_full, "topic orders is full");
    for (const auto& each : peer.outcomes) {
        ASSERT_TRUE(each.failure);
        EXPECT_EQ(each.failure->code(), broker_errc::topic_full);
        EXPECT_TRUE(each.failure->retryable());
        EXPECT_THAT(each.failure->what(), HasSubstr("topic orders is full"));
    }
    // The library does not repeat it.
    EXPECT_THAT(peer.write(), SizeIs(0));
    EXPECT_TRUE(peer.state.connected());
    const publish_outcome& next = peer.publish("orders", "y");
    const sent_frame taken = peer.write_one();
    EXPECT_EQ(scripted_peer::batch_of(taken).count, 1U);
    EXPECT_GT(scripted_peer::batch_of(taken).first_sequence,
              scripted_peer::batch_of(full).first_sequence);
    peer.acknowledge(taken, 812);
    EXPECT_EQ(next.offset, 812U);
}

TEST(client_bounds, a_batch_too_large_for_its_topic_is_sent_one_by_one_in_order) {
    scripted_peer peer;
    for (int i = 0; i < 10; ++i) {
        peer.publish("orders", std::to_string(i));
    }
    peer.greet();
    const sent_frame together = peer.write_one();
    EXPECT_EQ(scripted_peer::batch_of(together).count, 10U);
    peer.refuse(together.request, error_code::message_too_large);
    const auto singles = peer.write();
    ASSERT_THAT(singles, SizeIs(10));
    for (std::size_t i = 0; i < singles.size(); ++i) {
        const auto header = scripted_peer::batch_of(singles[i]);
        EXPECT_EQ(header.count, 1U);
        if (i < 4) {
            peer.acknowledge(singles[i], i);
            EXPECT_EQ(peer.outcomes[i].offset, i);
        } else {
            peer.refuse(singles[i].request, error_code::topic_full);
            ASSERT_TRUE(peer.outcomes[i].failure);
            EXPECT_EQ(peer.outcomes[i].failure->code(), broker_errc::topic_full);
        }
    }
    EXPECT_THAT(peer.write(), SizeIs(0));
}

TEST(client_bounds, batches_refused_one_after_the_other_keep_their_order) {
    scripted_peer peer;
    peer.greet();
    std::vector<sent_frame> frames;
    const auto send = [&](int first) {
        peer.lose();
        for (int i = first; i < first + 3; ++i) {
            peer.publish("orders", std::to_string(i));
        }
        peer.pass(5s);
        peer.greet();
    };
    send(0);
    frames = peer.write();
    ASSERT_THAT(frames, SizeIs(1));
    // Handed in while the first is unanswered, and sent with it over the next connection.
    send(3);
    frames = peer.write();
    ASSERT_THAT(frames, SizeIs(2));
    for (const sent_frame& each : frames) {
        EXPECT_EQ(scripted_peer::batch_of(each).count, 3U);
        peer.refuse(each.request, error_code::message_too_large);
    }
    // Joins none of them.
    peer.publish("orders", "6");
    frames = peer.write();
    ASSERT_THAT(frames, SizeIs(6));
    for (std::size_t i = 0; i < frames.size(); ++i) {
        EXPECT_EQ(scripted_peer::batch_of(frames[i]).count, 1U);
        peer.acknowledge(frames[i], i);
        EXPECT_EQ(peer.outcomes[i].offset, i);
    }
    peer.acknowledge(peer.write_one(), 6);
    EXPECT_EQ(peer.outcomes[6].offset, 6U);
}

// The broker looks first whether it has stored it, then whether there is room.
TEST(client_bounds, a_refusal_of_what_is_sent_again_means_that_it_was_not_stored) {
    scripted_peer peer;
    peer.greet();
    const publish_outcome& outcome = peer.publish("orders", "x");
    (void)peer.write_one();
    peer.reconnect();
    peer.refuse(peer.write_one().request, error_code::topic_full);
    ASSERT_TRUE(outcome.failure);
    EXPECT_EQ(outcome.failure->code(), broker_errc::topic_full);
}

}  // namespace
}  // namespace brokerd::client_core
