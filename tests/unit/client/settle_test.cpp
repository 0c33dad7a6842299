// Answers: runs, gathering, confirmation, resending, waiting.
#include <gmock/gmock.h>

#include "client/src/client_limits.hpp"
#include "tests/unit/client/consumer_script.hpp"

namespace brokerd::client_core {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

lease_run run(offset_t offset, std::uint32_t count, std::uint64_t lease) {
    return {offset, count, broker_epoch(1), lease};
}

// A consumer that holds `count` messages of which all were taken.
void hold(consumer_script& consumer, std::size_t count) {
    consumer.attach();
    consumer.deliver(0, 1, std::vector<std::string>(count, "x"));
    for (std::size_t i = 0; i < count; ++i) {
        ASSERT_TRUE(consumer.take());
    }
}

TEST(client_settle, neighbours_merge_into_runs_in_any_order) {
    scripted_peer peer;
    consumer_script consumer(peer);
    hold(consumer, 6);
    for (const std::size_t index : {3U, 0U, 1U, 5U, 2U}) {
        EXPECT_TRUE(consumer.settle_index(index, settle_action::ack));
    }
    const auto settles = consumer.flush();
    ASSERT_THAT(settles, SizeIs(1));
    EXPECT_EQ(settles[0].action, settle_action::ack);
    EXPECT_FALSE(settles[0].confirm);
    EXPECT_THAT(settles[0].runs, ElementsAre(run(0, 4, 1), run(5, 1, 6)));
}

TEST(client_settle, waits_for_company_only_while_there_is_more_to_do) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.deliver(0, 1, {"a", "b"});
    ASSERT_TRUE(consumer.take());
    consumer.settle_index(0, settle_action::ack);
    EXPECT_FALSE(peer.state.wants_write(peer.now));
    EXPECT_TRUE(peer.state.wants_write(peer.now + client_limits::settle_gather));
    ASSERT_TRUE(consumer.take());
    EXPECT_TRUE(peer.state.wants_write(peer.now));
    EXPECT_THAT(peer.write(), SizeIs(1));
}

TEST(client_settle, waits_for_as_many_as_a_part_of_the_prefetch) {
    for (const auto& [prefetch, wanted] : {std::pair{256U, 64U}, std::pair{2048U, 512U}}) {
        scripted_peer peer;
        consume_options options;
        options.prefetch_messages = prefetch;
        consumer_script consumer(peer, options);
        consumer.attach();
        consumer.deliver(0, 1, std::vector<std::string>(prefetch, "x"));
        for (std::uint32_t i = 0; i < wanted; ++i) {
            EXPECT_FALSE(peer.state.wants_write(peer.now)) << i << " of " << wanted;
            ASSERT_TRUE(consumer.take());
            consumer.settle_index(i, settle_action::ack);
        }
        EXPECT_TRUE(peer.state.wants_write(peer.now));
    }
}

TEST(client_settle, a_second_answer_is_refused) {
    scripted_peer peer;
    consumer_script consumer(peer);
    hold(consumer, 1);
    EXPECT_TRUE(consumer.settle_index(0, settle_action::ack));
    EXPECT_FALSE(consumer.settle_index(0, settle_action::nack));
    EXPECT_THAT(consumer.flush(), SizeIs(1));
}

TEST(client_settle, each_reason_and_delay_is_kept) {
    scripted_peer peer;
    consumer_script consumer(peer);
    hold(consumer, 4);
    consumer.settle_index(0, settle_action::nack, 5s, "down");
    consumer.settle_index(1, settle_action::nack, 5s, "down");
    consumer.settle_index(2, settle_action::reject, duration_us(-1), "bad");
    consumer.settle_index(3, settle_action::release);
    const auto settles = consumer.flush();
    ASSERT_THAT(settles, SizeIs(3));
    EXPECT_EQ(settles[0].delay, duration_us(5s));
    EXPECT_EQ(settles[0].reason, "down");
    EXPECT_THAT(settles[0].runs, ElementsAre(run(0, 2, 1)));
    EXPECT_EQ(settles[1].action, settle_action::reject);
    EXPECT_EQ(settles[2].action, settle_action::release);
}

TEST(client_confirm, one_ack_is_confirmed_with_its_own_sequence) {
    scripted_peer peer;
    consumer_script consumer(peer);
    hold(consumer, 2);
    std::optional<result<void>> confirmed;
    consumer.settle_index(0, settle_action::ack, duration_us(-1), "",
                          [&](result<void> done) { confirmed = std::move(done); });
    const sent_frame frame = peer.write_one();
    const auto settle = frame.as<codec::settle>();
    EXPECT_TRUE(settle.confirm);
    EXPECT_NE(settle.producer, producer_id());
    EXPECT_EQ(settle.sequence, 1U);
    EXPECT_FALSE(confirmed);
    peer.say(frame.request, codec::settled{.accepted = 1});
    ASSERT_TRUE(confirmed);
    EXPECT_TRUE(*confirmed);
}

// Promise: client.confirm
TEST(client_confirm, a_lost_lease_is_reported_to_its_waiter_only) {
    scripted_peer peer;
    consumer_script consumer(peer);
    hold(consumer, 2);
    std::optional<result<void>> first;
    std::optional<result<void>> second;
    const auto keep = [](std::optional<result<void>>& where) {
        return [&where](result<void> done) { where = std::move(done); };
    };
    consumer.settle_index(0, settle_action::ack, duration_us(-1), "", keep(first));
    consumer.settle_index(1, settle_action::ack, duration_us(-1), "", keep(second));
    const sent_frame frame = peer.write_one();
    codec::settled reply;
    reply.accepted = 1;
    reply.refused = 1;
    reply.gone = {run(1, 1, 2)};
    peer.say(frame.request, reply);
    ASSERT_TRUE(first && second);
    EXPECT_TRUE(*first);
    ASSERT_FALSE(*second);
    EXPECT_EQ(second->error().code(), broker_errc::lease_gone);
}

TEST(client_confirm, is_sent_again_with_the_same_sequence_and_runs) {
    scripted_peer peer;
    consumer_script consumer(peer, {.confirm = true});
    hold(consumer, 3);
    consumer.settle_index(0, settle_action::ack);
    const auto first = consumer.flush().at(0);
    consumer.settle_index(1, settle_action::ack);
    const auto second = consumer.flush().at(0);
    EXPECT_EQ(second.sequence, first.sequence + 1);
    peer.reconnect(1s);
    const auto frames = peer.write();
    ASSERT_THAT(frames, SizeIs(3));
    EXPECT_EQ(frames[0].as<codec::settle>(), first);
    EXPECT_EQ(frames[1].as<codec::settle>(), second);
    EXPECT_THAT(frames[2].as<codec::attach>().held, ElementsAre(run(2, 1, 3)));
}

TEST(client_confirm, an_ambiguous_duplicate_is_an_unknown_outcome) {
    scripted_peer peer;
    consumer_script consumer(peer);
    hold(consumer, 2);
    std::vector<std::error_code> seen;
    for (const std::size_t index : {0U, 1U}) {
        consumer.settle_index(index, settle_action::ack, duration_us(-1), "",
                              [&](const result<void>& done) {
                                  seen.push_back(done ? std::error_code() : done.error().code());
                              });
    }
    (void)peer.write();
    peer.reconnect(1s);
    const auto frames = peer.write();
    peer.say(frames[0].request, codec::settled{.accepted = 1, .refused = 1, .duplicate = true});
    EXPECT_THAT(seen, ElementsAre(make_error_code(client_errc::outcome_unknown),
                                  make_error_code(client_errc::outcome_unknown)));
}

TEST(client_confirm, flush_waits_for_the_answers_before_it) {
    scripted_peer peer;
    consumer_script consumer(peer, {.confirm = true});
    hold(consumer, 2);
    consumer.settle_index(0, settle_action::ack);
    std::optional<settle_counts> flushed;
    peer.with([&](calls& out) {
        consumer.state().wait_confirmed(
            [&](const result<settle_counts>& counts) { flushed = *counts; }, out);
    });
    const sent_frame first = peer.write_one();
    consumer.settle_index(1, settle_action::ack);
    const sent_frame second = peer.write_one();
    EXPECT_FALSE(flushed);
    peer.say(first.request, codec::settled{.accepted = 1});
    ASSERT_TRUE(flushed);
    EXPECT_EQ(flushed->accepted, 1U);
    peer.say(second.request, codec::settled{.accepted = 0, .refused = 1});
    EXPECT_FALSE(consumer.state().has_unconfirmed());
}

TEST(client_confirm, answers_gather_while_many_confirmations_are_awaited) {
    scripted_peer peer;
    consumer_script consumer(peer, {.confirm = true});
    hold(consumer, 100);
    std::vector<sent_frame> frames;
    std::size_t next = 0;
    for (; next < client_limits::confirms_unanswered_max; ++next) {
        consumer.settle_index(next, settle_action::ack);
        frames.push_back(peer.write_one());
    }
    for (; next < 100; ++next) {
        consumer.settle_index(next, settle_action::ack);
    }
    EXPECT_THAT(consumer.flush(), SizeIs(0));
    peer.say(frames[0].request, codec::settled{.accepted = 1});
    const auto rest = consumer.flush();
    ASSERT_THAT(rest, SizeIs(1));
    EXPECT_THAT(rest[0].runs, ElementsAre(run(64, 36, 65)));
}

TEST(client_confirm, closing_waits_for_it_and_counts) {
    scripted_peer peer;
    consumer_script consumer(peer, {.confirm = true});
    hold(consumer, 2);
    consumer.settle_index(0, settle_action::ack);
    consumer.settle_index(1, settle_action::nack, duration_us(-1), "no");
    consumer.close();
    const auto frames = peer.write();
    ASSERT_THAT(frames, SizeIs(2));
    peer.say(frames[0].request, codec::settled{.accepted = 1});
    EXPECT_THAT(peer.write(), SizeIs(0));
    peer.say(frames[1].request, codec::settled{.accepted = 1});
    const sent_frame detach = peer.write_one();
    EXPECT_EQ(detach.type, codec::frame_type::detach);
    peer.say(detach.request, codec::ok{});
    EXPECT_TRUE(consumer.closed);
    EXPECT_EQ(consumer.counts.accepted, 2U);
}

TEST(client_confirm, giving_up_ends_the_wait_and_not_the_answer) {
    auto client = scripted_peer::quick_options();
    client.give_up_after = 60s;
    scripted_peer peer(client);
    consumer_script consumer(peer);
    hold(consumer, 1);
    std::optional<std::error_code> seen;
    consumer.settle_index(0, settle_action::ack, duration_us(-1), "",
                          [&](const result<void>& done) { seen = done.error().code(); });
    (void)peer.write();
    peer.lose();
    peer.pass(60s);
    EXPECT_EQ(seen, make_error_code(client_errc::outcome_unknown));
    peer.greet();
    EXPECT_EQ(peer.write().at(0).type, codec::frame_type::settle);
}

TEST(client_confirm, a_removed_queue_ends_everything) {
    scripted_peer peer;
    consumer_script consumer(peer, {.confirm = true});
    hold(consumer, 2);
    consumer.settle_index(0, settle_action::ack);
    (void)consumer.flush();
    consumer.settle_index(1, settle_action::ack);
    peer.say(0, codec::detached{consumer.id, error_code::queue_removed, "removed"});
    EXPECT_FALSE(consumer.state().has_unconfirmed());
    EXPECT_FALSE(consumer.state().has_unsent());
    EXPECT_THAT(consumer.flush(), SizeIs(0));
}

// Another data directory answers at the address: what was leased before names other messages there.
class client_other_database : public testing::Test {
protected:
    client_other_database() { peer.terms.database_id = "first"; }
    // Is there again, and the broker has other data: the same epoch, counted from 1.
    std::vector<sent_frame> reconnect_to_other() {
        peer.lose();
        peer.terms.database_id = "second";
        peer.pass(5s);
        peer.greet();
        return peer.write();
    }

    scripted_peer peer;
};

// Promise: client.other_data
TEST_F(client_other_database, takes_up_no_lease_and_sends_no_answer) {
    consumer_script consumer(peer, {.confirm = true});
    consumer.attach();
    consumer.deliver(0, 1, {"unconfirmed", "unsent", "handed out", "buffered"});
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(consumer.take());
    }
    std::vector<std::error_code> seen;
    const auto keep = [&](const result<void>& done) {
        seen.push_back(done ? std::error_code() : done.error().code());
    };
    consumer.settle_index(0, settle_action::ack, duration_us(-1), "", keep);
    EXPECT_THAT(consumer.flush(), SizeIs(1));
    peer.lose();
    consumer.settle_index(1, settle_action::ack, duration_us(-1), "", keep);
    peer.terms.database_id = "second";
    peer.pass(5s);
    peer.greet();
    const auto frames = peer.write();
    ASSERT_THAT(frames, SizeIs(1));
    EXPECT_THAT(frames[0].as<codec::attach>().held, SizeIs(0));
    EXPECT_EQ(frames[0].as<codec::attach>().queue, "orders/billing");
    EXPECT_THAT(seen, testing::Each(make_error_code(broker_errc::lease_gone)));
    EXPECT_THAT(seen, SizeIs(2));
    EXPECT_EQ(consumer.state().held(), 0U);
    EXPECT_FALSE(consumer.settle_index(2, settle_action::ack)) << "its lease is gone";
    consumer.accept(frames[0]);
    EXPECT_FALSE(consumer.take()) << "a buffered message of the data before";
    peer.pass(20s);
    EXPECT_THAT(consumer_script::settles(peer.write()), SizeIs(0));
    consumer.deliver(0, 1, {"new"});
    ASSERT_TRUE(consumer.take());
    EXPECT_FALSE(consumer.settle_index(2, settle_action::ack)) << "it names the same lease";
    EXPECT_TRUE(consumer.settle_index(3, settle_action::ack));
}

TEST_F(client_other_database, counts_what_it_cannot_confirm_as_refused) {
    consumer_script consumer(peer, {.confirm = true});
    hold(consumer, 3);
    consumer.settle_index(0, settle_action::ack);
    EXPECT_THAT(consumer.flush(), SizeIs(1));
    consumer.settle_index(1, settle_action::ack);
    consumer.close();
    EXPECT_THAT(reconnect_to_other(), SizeIs(0)) << "nothing is left to give back";
    EXPECT_TRUE(consumer.closed);
    EXPECT_EQ(consumer.counts.accepted, 0U);
    EXPECT_EQ(consumer.counts.refused, 2U);
}

TEST_F(client_other_database, sends_unanswered_publishes_again) {
    peer.greet();
    const publish_outcome& outcome = peer.publish("orders", "one");
    const sent_frame before = peer.write_one();
    const auto frames = reconnect_to_other();
    ASSERT_THAT(frames, SizeIs(1));
    EXPECT_EQ(frames[0].as<codec::publish>(), before.as<codec::publish>());
    peer.acknowledge(frames[0], 0);
    EXPECT_EQ(outcome.offset, 0U);
}

}  // namespace
}  // namespace brokerd::client_core
