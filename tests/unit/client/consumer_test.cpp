// Consumers: attaching, handing out, renewal, what is held over a lost connection, the end.
#include <gmock/gmock.h>

#include "client/src/client_limits.hpp"
#include "tests/unit/client/consumer_script.hpp"

namespace brokerd::client_core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

TEST(client_consumer, attaches_with_its_options) {
    scripted_peer peer;
    peer.greet();
    consume_options options;
    options.prefetch_messages = 7;
    options.prefetch_bytes = 1000;
    options.limit = 3;
    consumer_script consumer(peer, options);
    const auto frame = peer.write_one();
    const auto attach = frame.as<codec::attach>();
    EXPECT_EQ(attach.queue, "orders/billing");
    EXPECT_EQ(attach.prefetch_messages, 7U);
    EXPECT_EQ(attach.prefetch_bytes, 1000U);
    EXPECT_EQ(attach.limit, 3U);
    EXPECT_FALSE(consumer.opened);
    consumer.accept(frame);
    EXPECT_TRUE(consumer.opened);
    EXPECT_EQ(consumer.state().lease(), 30s);
}

TEST(client_consumer, a_refused_attach_fails_the_opening) {
    scripted_peer peer;
    peer.greet();
    consumer_script consumer(peer);
    peer.refuse(peer.write_one().request, error_code::queue_not_found, "no queue; create it");
    ASSERT_TRUE(consumer.open_failure);
    EXPECT_EQ(consumer.open_failure->code(), broker_errc::queue_not_found);
    EXPECT_TRUE(consumer.state().ended());
}

TEST(client_consumer, an_unanswered_attach_times_out) {
    scripted_peer peer;
    peer.greet();
    consumer_script consumer(peer);
    (void)peer.write();
    peer.pass(20s);
    peer.say(0, codec::ping{});
    peer.pass(10s);
    ASSERT_TRUE(consumer.open_failure);
    EXPECT_EQ(consumer.open_failure->code(), client_errc::timed_out);
}

TEST(client_consumer, hands_out_in_order_and_wakes_who_waits) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    EXPECT_FALSE(consumer.take());
    consumer.wait();
    consumer.deliver(10, 1, {"a", "b", "c"});
    ASSERT_THAT(consumer.waited, SizeIs(1));
    EXPECT_EQ(consumer.waited[0]->index, 0U);
    EXPECT_EQ(consumer.offset(*consumer.waited[0]), 10U);
    EXPECT_EQ(consumer.offset(*consumer.take()), 11U);
    EXPECT_EQ(consumer.offset(*consumer.take()), 12U);
    EXPECT_FALSE(consumer.take());
    EXPECT_EQ(consumer.state().held(), 3U);
}

TEST(client_consumer, a_wait_ends_at_its_time) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.wait(5s);
    peer.pass(4s);
    EXPECT_THAT(consumer.waited, SizeIs(0));
    peer.pass(1s);
    ASSERT_THAT(consumer.waited, SizeIs(1));
    EXPECT_FALSE(consumer.waited[0]);
}

TEST(client_consumer, a_cancelled_wait_takes_no_message) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.state().cancel_wait(consumer.wait());
    consumer.deliver(0, 1, {"a"});
    EXPECT_THAT(consumer.waited, SizeIs(0));
    EXPECT_TRUE(consumer.take());
}

TEST(client_consumer, damaged_records_end_the_connection) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    byte_buffer records = consumer_script::records_of({"good"});
    records.back() ^= std::byte{1};
    consumer.deliver_bytes({0, 1, broker_epoch(1), 1}, records);
    ASSERT_TRUE(peer.state.dropped());
    EXPECT_THAT(*peer.state.dropped(), HasSubstr("damaged"));
}

TEST(client_consumer, far_more_than_was_asked_for_ends_the_connection) {
    scripted_peer peer;
    consume_options options;
    options.prefetch_messages = 2;
    consumer_script consumer(peer, options);
    consumer.attach();
    consumer.deliver(0, 1, {"1", "2", "3", "4"});
    EXPECT_FALSE(peer.state.dropped());
    consumer.deliver(4, 5, {"5"});
    EXPECT_TRUE(peer.state.dropped());
}

TEST(client_renewal, extends_all_open_leases_as_ranges_at_a_third) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.deliver(0, 1, {"a", "b", "c", "d", "e"});
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(consumer.take());
    }
    consumer.settle_index(1, settle_action::ack);
    (void)consumer.flush();
    peer.pass(9s);
    EXPECT_THAT(peer.write(), SizeIs(0));
    peer.pass(1s);
    const auto extend = peer.write_one().as<codec::settle>();
    EXPECT_EQ(extend.action, settle_action::extend);
    EXPECT_EQ(extend.delay, duration_us(-1));
    EXPECT_THAT(extend.runs, ElementsAre(lease_run{0, 1, broker_epoch(1), 1},
                                         lease_run{2, 3, broker_epoch(1), 3}));
    peer.pass(10s);
    EXPECT_THAT(consumer.renewals(peer.write()), SizeIs(1));
}

// Promise: client.renewal
TEST(client_renewal, goes_on_until_max_hold_while_handled) {
    scripted_peer peer;
    consume_options options;
    options.max_hold = 60s;
    consumer_script consumer(peer, options);
    consumer.attach();
    consumer.deliver(0, 1, {"a"});
    ASSERT_TRUE(consumer.take());
    int renewals = 0;
    for (int i = 0; i < 12; ++i) {
        peer.pass(10s);
        renewals += static_cast<int>(consumer.renewals(peer.write()).size());
        peer.say(0, codec::ping{});
    }
    EXPECT_EQ(renewals, 5);
}

// Promise: client.renewal
TEST(client_renewal, a_buffered_message_is_released_rather_than_failed) {
    scripted_peer peer;
    consume_options options;
    options.max_hold = 60s;
    consumer_script consumer(peer, options);
    consumer.attach();
    consumer.deliver(0, 1, {"handled", "buffered"});
    ASSERT_TRUE(consumer.take());
    std::vector<codec::settle> releases;
    for (int i = 0; i < 7; ++i) {
        peer.pass(10s);
        for (const auto& settle : consumer.settles(peer.write())) {
            if (settle.action == settle_action::release) {
                releases.push_back(settle);
            }
        }
        peer.say(0, codec::ping{});
    }
    ASSERT_THAT(releases, SizeIs(1));
    EXPECT_THAT(releases[0].runs, ElementsAre(lease_run{1, 1, broker_epoch(1), 2}));
    EXPECT_FALSE(consumer.take());
}

TEST(client_renewal, without_it_buffered_messages_go_back_in_time) {
    scripted_peer peer;
    consume_options options;
    options.max_hold = 0s;
    consumer_script consumer(peer, options);
    consumer.attach();
    consumer.deliver(0, 1, {"a", "b"});
    ASSERT_TRUE(consumer.take());
    bool released = false;
    for (int i = 0; i < 29; ++i) {
        peer.pass(1s);
        for (const auto& settle : consumer.settles(peer.write())) {
            released = released || settle.action == settle_action::release;
            for (const lease_run& run : settle.runs) {
                EXPECT_EQ(run.first_offset, 1U);  // the handled one is left alone
            }
        }
        peer.say(0, codec::ping{});
    }
    EXPECT_TRUE(released);
}

TEST(client_renewal, that_comes_too_late_drops_what_is_buffered) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.deliver(0, 1, {"a", "b"});
    peer.now += 31s;  // suspended: no tick, no write
    EXPECT_FALSE(consumer.take());
    EXPECT_EQ(consumer.state().held(), 0U);
}

TEST(client_renewal, leases_that_are_gone_are_not_handed_out) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.deliver(0, 1, {"a", "b", "c"});
    peer.pass(10s);
    const sent_frame extend = peer.write_one();
    codec::settled reply;
    reply.accepted = 2;
    reply.refused = 1;
    reply.gone = {{0, 1, broker_epoch(1), 1}};
    peer.say(extend.request, reply);
    EXPECT_EQ(consumer.offset(*consumer.take()), 1U);
}

TEST(client_renewal, an_explicit_extension_is_not_shortened) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.deliver(0, 1, {"a"});
    ASSERT_TRUE(consumer.take());
    consumer.settle_index(0, settle_action::extend, 600s);
    const auto extend = consumer.flush().at(0);
    EXPECT_EQ(extend.action, settle_action::extend);
    EXPECT_EQ(extend.delay, duration_us(600s));
    EXPECT_FALSE(extend.confirm);
    peer.pass(10s);
    EXPECT_THAT(consumer.renewals(peer.write()), SizeIs(0));
}

TEST(client_reconnect, takes_up_what_is_held_and_drops_what_is_gone) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.deliver(0, 1, {"a", "b", "c", "d"});
    ASSERT_TRUE(consumer.take());
    peer.reconnect(1s);
    const sent_frame again = peer.write_one();
    EXPECT_THAT(again.as<codec::attach>().held, ElementsAre(lease_run{0, 4, broker_epoch(1), 1}));
    consumer.accept(again, {{1, 2, broker_epoch(1), 2}});
    EXPECT_EQ(consumer.offset(*consumer.take()), 3U);
    EXPECT_FALSE(consumer.take());
}

TEST(client_reconnect, late_answers_go_first_over_the_new_connection) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.deliver(0, 1, {"a", "b"});
    ASSERT_TRUE(consumer.take());
    ASSERT_TRUE(consumer.take());
    peer.lose();
    consumer.settle_index(0, settle_action::ack);
    EXPECT_THAT(peer.write(), SizeIs(0));
    peer.pass(1s);
    peer.greet();
    const auto frames = peer.write();
    ASSERT_THAT(frames, SizeIs(2));
    const auto ack = frames[0].as<codec::settle>();
    EXPECT_EQ(ack.queue, consumer.queue);
    EXPECT_THAT(ack.runs, ElementsAre(lease_run{0, 1, broker_epoch(1), 1}));
    EXPECT_THAT(frames[1].as<codec::attach>().held,
                ElementsAre(lease_run{1, 1, broker_epoch(1), 2}));
}

TEST(client_reconnect, hands_nothing_out_before_it_knows_what_it_still_holds) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.deliver(0, 1, {"a", "b"});
    peer.lose();
    EXPECT_FALSE(consumer.take());
    consumer.wait();
    peer.pass(1s);
    peer.greet();
    const sent_frame again = peer.write_one();
    EXPECT_THAT(consumer.waited, SizeIs(0));
    EXPECT_FALSE(consumer.state().over());
    consumer.accept(again, {{0, 1, broker_epoch(1), 1}});
    ASSERT_THAT(consumer.waited, SizeIs(1));
    EXPECT_EQ(consumer.offset(*consumer.waited[0]), 1U);
}

TEST(client_reconnect, a_limit_counts_over_connections) {
    scripted_peer peer;
    consume_options options;
    options.limit = 5;
    consumer_script consumer(peer, options);
    consumer.attach();
    consumer.deliver(0, 1, {"a", "b"});
    peer.reconnect(1s);
    const sent_frame again = peer.write_one();
    EXPECT_EQ(again.as<codec::attach>().limit, 3U);
    consumer.accept(again);
    consumer.deliver(2, 3, {"c", "d", "e"});
    for (int i = 0; i < 5; ++i) {
        EXPECT_FALSE(consumer.state().over());
        EXPECT_TRUE(consumer.take());
    }
    EXPECT_TRUE(consumer.state().over());
    peer.reconnect(1s);
    EXPECT_EQ(peer.write_one().as<codec::attach>().prefetch_messages, 0U);
}

TEST(client_reconnect, a_removed_queue_ends_the_consumer) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.wait();
    peer.reconnect(1s);
    peer.refuse(peer.write_one().request, error_code::queue_not_found, "no such queue");
    ASSERT_TRUE(consumer.wait_failure);
    EXPECT_EQ(consumer.wait_failure->code(), broker_errc::queue_not_found);
}

TEST(client_reconnect, a_busy_broker_is_asked_again) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    peer.reconnect(1s);
    peer.refuse(peer.write_one().request, error_code::busy);
    EXPECT_THAT(peer.write(), SizeIs(0));
    peer.pass(client_limits::attach_pause);
    EXPECT_EQ(peer.write_one().type, codec::frame_type::attach);
}

TEST(client_consumer, the_broker_ends_it) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.wait();
    peer.say(0, codec::detached{consumer.id, error_code::queue_removed, "queue was removed"});
    ASSERT_TRUE(consumer.wait_failure);
    EXPECT_EQ(consumer.wait_failure->code(), broker_errc::queue_removed);
    EXPECT_TRUE(consumer.state().over());
}

TEST(client_consumer, closing_wakes_who_waits) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.wait();
    consumer.close();
    ASSERT_THAT(consumer.waited, SizeIs(1));
    EXPECT_FALSE(consumer.waited[0]);
}

TEST(client_consumer, stopping_lets_what_was_handed_out_be_answered) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.deliver(0, 1, {"a", "b"});
    ASSERT_TRUE(consumer.take());
    peer.with([&](calls& out) { consumer.state().stop(out); });
    EXPECT_FALSE(consumer.take());
    EXPECT_TRUE(consumer.state().over());
    EXPECT_TRUE(consumer.settle_index(0, settle_action::ack));
    EXPECT_THAT(consumer.flush(), SizeIs(1));
}

TEST(client_consumer, stopping_before_the_attach_waits_for_none) {
    scripted_peer peer;
    consumer_script consumer(peer);
    peer.with([&](calls& out) { consumer.state().stop(out); });
    EXPECT_TRUE(consumer.opened);
    EXPECT_TRUE(consumer.state().over());
    consumer.close();
    EXPECT_TRUE(consumer.closed);
    peer.greet();
    EXPECT_THAT(peer.write(), testing::IsEmpty());
}

TEST(client_consumer, stopping_during_the_attach_detaches_after_it) {
    scripted_peer peer;
    peer.greet();
    consumer_script consumer(peer);
    const auto attach = peer.write_one();
    peer.with([&](calls& out) { consumer.state().stop(out); });
    EXPECT_TRUE(consumer.opened);
    consumer.close();
    EXPECT_FALSE(consumer.closed);
    consumer.accept(attach);
    const auto detach = peer.write_one();
    EXPECT_EQ(detach.type, codec::frame_type::detach);
    peer.say(detach.request, codec::ok{});
    EXPECT_TRUE(consumer.closed);
    EXPECT_FALSE(consumer.close_failure);
}

TEST(client_consumer, closing_without_connection_gives_back_over_the_next) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.deliver(0, 1, {"a"});
    peer.lose();
    consumer.close();
    EXPECT_TRUE(consumer.closed);
    peer.pass(1s);
    peer.greet();
    const sent_frame again = peer.write_one();
    EXPECT_EQ(again.as<codec::attach>().prefetch_messages, 0U);
    EXPECT_THAT(again.as<codec::attach>().held, SizeIs(1));
    consumer.accept(again);
    EXPECT_EQ(peer.write_one().type, codec::frame_type::detach);
}

TEST(client_consumer, closing_sends_answers_then_detaches) {
    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.deliver(0, 1, {"a", "b"});
    ASSERT_TRUE(consumer.take());
    consumer.settle_index(0, settle_action::ack);
    consumer.close();
    EXPECT_FALSE(consumer.take());
    const auto frames = peer.write();
    ASSERT_THAT(frames, SizeIs(2));
    EXPECT_EQ(frames[0].type, codec::frame_type::settle);
    EXPECT_EQ(frames[1].as<codec::detach>().consumer, consumer.id);
    EXPECT_FALSE(consumer.closed);
    peer.say(frames[1].request, codec::ok{});
    EXPECT_TRUE(consumer.closed);
    EXPECT_EQ(peer.state.find_consumer(consumer.id), nullptr);
}

}  // namespace
}  // namespace brokerd::client_core
