// Publishing: batching without a timer, credit, sequences, resending, refusals, room.
#include <thread>

#include <gmock/gmock.h>

#include "client/src/client_limits.hpp"
#include "tests/unit/client/scripted_peer.hpp"

namespace brokerd::client_core {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

// Promise: client.batches
TEST(client_publish, a_lone_message_goes_at_once) {
    scripted_peer peer;
    peer.greet();
    const publish_outcome& outcome = peer.publish("orders", "one");
    EXPECT_TRUE(peer.state.wants_write(peer.now));
    const sent_frame frame = peer.write_one();
    EXPECT_EQ(frame.as<codec::publish>().topic, "orders");
    EXPECT_EQ(scripted_peer::batch_of(frame).count, 1U);
    EXPECT_TRUE(outcome.open());
    peer.acknowledge(frame, 812);
    EXPECT_EQ(outcome.offset, 812U);
    EXPECT_FALSE(peer.state.wants_write(peer.now));
}

TEST(client_publish, what_comes_before_the_connection_goes_in_one_batch) {
    scripted_peer peer;
    for (int i = 0; i < 100; ++i) {
        peer.publish("orders", std::to_string(i));
    }
    peer.greet();
    const sent_frame frame = peer.write_one();
    EXPECT_EQ(scripted_peer::batch_of(frame).count, 100U);
    peer.acknowledge(frame, 5);
    EXPECT_EQ(peer.outcomes.front().offset, 5U);
    EXPECT_EQ(peer.outcomes.back().offset, 104U);
}

// Promise: client.batches
TEST(client_publish, messages_gather_while_frames_are_unanswered) {
    scripted_peer peer;
    peer.greet();
    std::vector<sent_frame> frames;
    for (std::uint32_t i = 0; i < client_limits::frames_unanswered_max; ++i) {
        peer.publish("orders", "x");
        frames.push_back(peer.write_one());
    }
    for (int i = 0; i < 50; ++i) {
        peer.publish("orders", "y");
        EXPECT_FALSE(peer.state.wants_write(peer.now));
    }
    EXPECT_THAT(peer.write(), SizeIs(0));
    // Another topic waits for nobody.
    peer.publish("audit", "z");
    EXPECT_EQ(peer.write_one().as<codec::publish>().topic, "audit");
    peer.acknowledge(frames[0], 0);
    EXPECT_EQ(scripted_peer::batch_of(peer.write_one()).count, 50U);
}

TEST(client_publish, a_full_batch_does_not_wait) {
    scripted_peer peer;
    peer.greet();
    for (std::uint32_t i = 0; i < client_limits::frames_unanswered_max; ++i) {
        peer.publish("orders", "x");
        (void)peer.write();
    }
    peer.publish("orders", std::string(client_limits::batch_bytes_worth_sending, 'y'));
    EXPECT_EQ(scripted_peer::batch_of(peer.write_one()).count, 1U);
}

TEST(client_publish, batches_are_closed_at_their_limits) {
    scripted_peer peer;
    for (std::uint32_t i = 0; i < client_limits::batch_records_max + 1; ++i) {
        peer.publish("orders", "x");
    }
    peer.greet();
    const auto frames = peer.write();
    ASSERT_THAT(frames, SizeIs(2));
    EXPECT_EQ(scripted_peer::batch_of(frames[0]).count, client_limits::batch_records_max);
    EXPECT_EQ(scripted_peer::batch_of(frames[1]).count, 1U);
}

TEST(client_publish, batches_are_as_small_as_asked_for_and_wait_for_nothing) {
    auto options = scripted_peer::quick_options();
    options.batch_messages = 1;
    scripted_peer peer(options);
    peer.greet();
    const std::size_t count = client_limits::frames_unanswered_max + 3;
    for (std::size_t i = 0; i < count; ++i) {
        peer.publish("orders", "x");
        EXPECT_EQ(scripted_peer::batch_of(peer.write_one()).count, 1U);
    }
    options.batch_messages = 2;
    scripted_peer pairs(options);
    for (int i = 0; i < 3; ++i) {
        pairs.publish("orders", "x");
    }
    pairs.greet();
    const auto frames = pairs.write();
    ASSERT_THAT(frames, SizeIs(2));
    EXPECT_EQ(scripted_peer::batch_of(frames[0]).count, 2U);
    EXPECT_EQ(scripted_peer::batch_of(frames[1]).count, 1U);
}

TEST(client_publish, sequences_ascend_per_topic_and_each_topic_has_its_producer) {
    scripted_peer peer;
    peer.greet();
    peer.publish("a", "1");
    const auto first = scripted_peer::batch_of(peer.write_one());
    peer.publish("b", "1");
    const auto other = scripted_peer::batch_of(peer.write_one());
    peer.publish("a", "2");
    const auto second = scripted_peer::batch_of(peer.write_one());
    EXPECT_NE(first.producer, producer_id());
    EXPECT_EQ(first.producer, second.producer);
    EXPECT_NE(first.producer, other.producer);
    EXPECT_EQ(first.first_sequence, 1U);
    EXPECT_EQ(second.first_sequence, 2U);
    EXPECT_EQ(other.first_sequence, 1U);
}

// Promise: client.resend
TEST(client_publish, what_was_unanswered_is_sent_again_byte_for_byte_in_order) {
    scripted_peer peer;
    peer.greet();
    std::vector<byte_buffer> before;
    for (int i = 0; i < 3; ++i) {
        peer.publish("orders", std::to_string(i));
        before.push_back(peer.write_one().body);
    }
    peer.publish("orders", "later");
    peer.lose();
    EXPECT_TRUE(peer.outcomes[0].open());
    peer.pass(5s);
    peer.greet();
    const auto after = peer.write();
    ASSERT_THAT(after, SizeIs(4));
    for (std::size_t i = 0; i < before.size(); ++i) {
        EXPECT_EQ(after[i].body, before[i]);
    }
    peer.acknowledge(after[0], 7, true);
    EXPECT_EQ(peer.outcomes[0].offset, 7U);
    EXPECT_TRUE(peer.outcomes[0].duplicate);
    EXPECT_TRUE(peer.outcomes[3].open());
}

TEST(client_publish, unanswered_sequences_fit_into_the_memory_of_the_broker) {
    scripted_peer peer;
    for (std::uint64_t i = 0; i < client_limits::sequences_unanswered_max + 10; ++i) {
        peer.publish("orders", "x");
    }
    peer.greet();
    auto frames = peer.write();
    std::uint64_t sent = 0;
    for (const auto& frame : frames) {
        sent += scripted_peer::batch_of(frame).count;
    }
    EXPECT_EQ(sent, client_limits::sequences_unanswered_max);
    peer.acknowledge(frames[0], 0);
    EXPECT_EQ(scripted_peer::batch_of(peer.write_one()).count, 10U);
}

// Promise: client.back_pressure
TEST(client_publish, credit_in_messages_pauses_and_resumes) {
    scripted_peer peer;
    peer.terms.credit_messages = 10;
    for (int i = 0; i < 25; ++i) {
        peer.publish("orders", "x");
    }
    peer.greet();
    const sent_frame first = peer.write_one();
    EXPECT_EQ(scripted_peer::batch_of(first).count, 10U);
    peer.acknowledge(first, 0);
    const sent_frame second = peer.write_one();
    EXPECT_EQ(scripted_peer::batch_of(second).count, 10U);
    EXPECT_THAT(peer.write(), SizeIs(0));
    peer.acknowledge(second, 10);
    EXPECT_EQ(scripted_peer::batch_of(peer.write_one()).count, 5U);
}

TEST(client_publish, one_message_may_exceed_the_credit_in_bytes_alone) {
    scripted_peer peer;
    peer.terms.credit_bytes = 1000;
    peer.greet();
    peer.publish("orders", std::string(5000, 'x'));
    const sent_frame large = peer.write_one();
    peer.publish("orders", "small");
    EXPECT_THAT(peer.write(), SizeIs(0));
    peer.acknowledge(large, 0);
    // The credit is what it was: a loan was given back, not given.
    peer.publish("orders", std::string(600, 'y'));
    peer.publish("orders", std::string(600, 'z'));
    EXPECT_EQ(scripted_peer::batch_of(peer.write_one()).count, 2U);
}

TEST(client_publish, a_message_no_frame_can_carry_fails_alone) {
    scripted_peer peer;
    peer.terms.frame_bytes_max = 2000;
    peer.greet();
    peer.publish("orders", "before");
    publish_outcome& large = peer.publish("orders", std::string(3000, 'x'));
    peer.publish("orders", "after");
    const auto frames = peer.write();
    std::uint32_t count = 0;
    for (const auto& frame : frames) {
        count += scripted_peer::batch_of(frame).count;
    }
    EXPECT_EQ(count, 2U);
    ASSERT_TRUE(large.failure);
    EXPECT_EQ(large.failure->code(), broker_errc::message_too_large);
    EXPECT_THAT(large.failure->what(), AllOf(HasSubstr("a frame that this broker accepts"),
                                             HasSubstr("topic orders"), HasSubstr("split")));
}

TEST(client_publish, a_refusal_reaches_each_message_of_the_batch) {
    scripted_peer peer;
    peer.publish("nowhere", "1");
    peer.publish("nowhere", "2");
    peer.greet();
    const sent_frame frame = peer.write_one();
    peer.refuse(frame.request, error_code::topic_not_found, "no topic nowhere; create it with ...");
    for (const auto& each : peer.outcomes) {
        ASSERT_TRUE(each.failure);
        EXPECT_EQ(each.failure->code(), broker_errc::topic_not_found);
        EXPECT_THAT(each.failure->what(), HasSubstr("create it with"));
    }
    EXPECT_TRUE(peer.state.connected());
}

// Promise: client.fails_alone
TEST(client_publish, only_the_message_that_is_too_large_fails) {
    scripted_peer peer;
    peer.publish("orders", "small");
    peer.publish("orders", std::string(2000, 'x'));
    peer.publish("orders", "small, too");
    peer.greet();
    const sent_frame together = peer.write_one();
    peer.refuse(together.request, error_code::message_too_large);
    peer.say(0, codec::credit{3, 10000});
    const auto singles = peer.write();
    ASSERT_THAT(singles, SizeIs(3));
    peer.acknowledge(singles[0], 0);
    peer.refuse(singles[1].request, error_code::message_too_large);
    peer.acknowledge(singles[2], 1);
    EXPECT_EQ(peer.outcomes[0].offset, 0U);
    EXPECT_TRUE(peer.outcomes[1].failure);
    EXPECT_EQ(peer.outcomes[2].offset, 1U);
}

TEST(client_publish, a_draining_broker_is_asked_again_after_its_restart) {
    scripted_peer peer;
    peer.greet();
    const publish_outcome& outcome = peer.publish("orders", "1");
    peer.refuse(peer.write_one().request, error_code::draining);
    EXPECT_THAT(peer.write(), SizeIs(0));
    EXPECT_TRUE(outcome.open());
    peer.reconnect();
    peer.acknowledge(peer.write_one(), 3);
    EXPECT_EQ(outcome.offset, 3U);
}

TEST(client_publish, a_forgotten_sequence_is_an_unknown_outcome) {
    scripted_peer peer;
    peer.greet();
    const publish_outcome& outcome = peer.publish("orders", "1");
    (void)peer.write();
    peer.reconnect();
    peer.refuse(peer.write_one().request, error_code::sequence_too_old);
    ASSERT_TRUE(outcome.failure);
    EXPECT_EQ(outcome.failure->code(), client_errc::outcome_unknown);
}

// Promise: client.unknown
TEST(client_publish, giving_up_tells_what_was_sent_from_what_was_not) {
    auto options = scripted_peer::quick_options();
    options.give_up_after = 60s;
    scripted_peer peer(options);
    peer.greet();
    const publish_outcome& sent = peer.publish("orders", "sent");
    (void)peer.write();
    peer.lose("connection reset");
    const publish_outcome& unsent = peer.publish("orders", "unsent");
    peer.pass(59s);
    EXPECT_TRUE(sent.open());
    EXPECT_TRUE(unsent.open());
    peer.pass(1s);
    ASSERT_TRUE(sent.failure && unsent.failure);
    EXPECT_EQ(sent.failure->code(), client_errc::outcome_unknown);
    EXPECT_EQ(unsent.failure->code(), client_errc::not_connected);
    EXPECT_THAT(unsent.failure->what(), HasSubstr("connection reset"));
}

TEST(client_publish, beyond_the_bound_messages_wait_for_room_in_order) {
    auto options = scripted_peer::quick_options();
    options.in_flight_messages = 2;
    scripted_peer peer(options);
    peer.greet();
    for (int i = 0; i < 4; ++i) {
        peer.publish("orders", std::to_string(i));
    }
    const sent_frame first = peer.write_one();
    EXPECT_EQ(scripted_peer::batch_of(first).count, 2U);
    peer.acknowledge(first, 0);
    const sent_frame second = peer.write_one();
    EXPECT_EQ(scripted_peer::batch_of(second).count, 2U);
    peer.acknowledge(second, 2);
    EXPECT_EQ(peer.outcomes[3].offset, 3U);
}

TEST(client_publish, one_message_larger_than_the_bound_is_taken_alone) {
    auto options = scripted_peer::quick_options();
    options.in_flight_bytes = 100;
    scripted_peer peer(options);
    peer.greet();
    peer.publish("orders", std::string(1000, 'x'));
    peer.publish("orders", "waits");
    const sent_frame first = peer.write_one();
    EXPECT_EQ(scripted_peer::batch_of(first).count, 1U);
    peer.acknowledge(first, 0);
    EXPECT_EQ(scripted_peer::batch_of(peer.write_one()).count, 1U);
}

TEST(client_publish, flush_waits_for_the_last_result) {
    scripted_peer peer;
    peer.greet();
    peer.publish("orders", "1");
    bool flushed = false;
    peer.with([&](calls& out) {
        peer.state.wait_flushed([&](const result<void>& done) { flushed = done.has_value(); }, out);
    });
    const sent_frame frame = peer.write_one();
    EXPECT_FALSE(flushed);
    peer.acknowledge(frame, 0);
    EXPECT_TRUE(flushed);
}

TEST(client_publish, an_acknowledgement_of_nothing_ends_the_connection) {
    scripted_peer peer;
    peer.greet();
    codec::published reply;
    reply.items.push_back({99, 0, durability::disk, false});
    peer.say(0, reply);
    ASSERT_TRUE(peer.state.dropped());
    EXPECT_THAT(*peer.state.dropped(), HasSubstr("not published"));
}

TEST(client_publish, a_topic_needs_a_name_also_at_the_first_message_of_a_thread) {
    std::thread([] {
        byte_buffer record;
        EXPECT_FALSE(encode_message(record, "", {.payload = "x"}));
        EXPECT_TRUE(encode_message(record, "orders", {.payload = "x"}));
        EXPECT_FALSE(encode_message(record, "", {.payload = "x"}));
        EXPECT_FALSE(encode_message(record, "or ders", {.payload = "x"}));
    }).join();
}

}  // namespace
}  // namespace brokerd::client_core
