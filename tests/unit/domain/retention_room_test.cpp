// Leases that end without their holder's doing: it holds these messages still, and is given others
// for them only when it settles them or their time is over. So however much is dropped, no consumer
// is sent more than it asked for.
#include <algorithm>

#include <gmock/gmock.h>

#include "protocol/codec/record.hpp"
#include "tests/unit/domain/retention_fixture.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

struct retention_room_test : retention_fixture {
    void make_dropping(std::uint64_t max_messages) {
        make({.max_messages = max_messages, .when_full = full_policy::drop_oldest});
    }
};

// Promise: bounds.room
TEST_F(retention_room_test, a_drop_sends_no_consumer_more_than_it_asked_for) {
    make_dropping(4);
    const auto one = attach("q", 3);
    publish(4);
    const auto held = h.deliveries(one);
    EXPECT_THAT(offsets_of(held), ElementsAre(0, 1, 2));
    publish(12);
    EXPECT_EQ(queue().leased, 0U);
    EXPECT_EQ(topic().dropped, 12U);
    EXPECT_THAT(h.deliveries(one), IsEmpty()) << "it has three";
    EXPECT_THAT(h.explain("t/q"), testing::HasSubstr("no free prefetch"));
    EXPECT_EQ(settle(one, {held[0]}).refused, 1U);
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(12));
    EXPECT_EQ(settle(one, {held[0]}).refused, 1U);
    EXPECT_THAT(h.deliveries(one), IsEmpty()) << "its room has come back once";
    EXPECT_EQ(settle(one, {held[1], held[2]}).refused, 2U);
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(13, 14));
}

// Whoever names the lease of a message that was dropped for another one is told that it is gone.
TEST_F(retention_room_test, a_lease_that_has_ended_is_taken_up_for_nothing_else) {
    make_dropping(4);
    const auto one = attach("q", 1);
    publish(4);
    const auto held = h.deliveries(one);
    ASSERT_THAT(offsets_of(held), ElementsAre(0));
    h.restart();
    const auto again = h.connect();
    const auto attached = h.attach(again, "t/q", 1, {run_of(held[0])});
    EXPECT_THAT(attached.gone, IsEmpty());
    publish(1);
    EXPECT_EQ(queue().leased, 0U) << "it was dropped";
    lease_run made_up = run_of(held[0]);
    made_up.first_offset = 2;
    EXPECT_EQ(h.settle(again, attached.queue, settle_action::extend, {made_up}).refused, 1U);
    h.close(again);
    EXPECT_EQ(queue().ready, 4U);
}

TEST_F(retention_room_test, room_comes_back_when_the_leases_would_have_ended) {
    make({.keep_done = 1h, .max_age = 1min});
    const auto one = attach("q", 2);
    publish(2);
    EXPECT_THAT(h.deliveries(one), SizeIs(2));
    h.pass(2min);
    publish(3);
    EXPECT_EQ(topic().dropped, 2U);
    EXPECT_EQ(queue().ready, 3U);
    set({});
    h.pass(7min);
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    h.pass(1min);
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(2, 3));
    EXPECT_EQ(queue().retrying, 0U);
}

TEST_F(retention_room_test, whatever_is_said_of_a_lease_that_ended_gives_its_room_back) {
    make_dropping(1);
    const auto one = attach("q", 1);
    publish(1);
    auto held = h.deliveries(one);
    for (const settle_action late : {settle_action::nack, settle_action::release,
                                     settle_action::reject, settle_action::extend}) {
        publish(1);
        EXPECT_THAT(h.deliveries(one), IsEmpty());
        ASSERT_THAT(held, SizeIs(1));
        EXPECT_EQ(settle(one, held, late).refused, 1U) << to_string(late);
        held = h.deliveries(one);
        EXPECT_THAT(held, SizeIs(1)) << to_string(late);
    }
}

TEST_F(retention_room_test, a_transaction_with_a_lease_that_ended_gives_its_room_back) {
    make_dropping(1);
    const auto one = attach("q", 1);
    publish(1);
    const auto held = h.deliveries(one);
    publish(1);
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    const auto why = h.ask_refused(
        one,
        transaction_request{
            .producer = producer_id{7},
            .first_sequence = 1,
            .settles = {{.queue = ids["q"], .action = settle_action::ack, .runs = runs_of(held)}}});
    EXPECT_EQ(why.code, error_code::lease_gone);
    EXPECT_THAT(h.deliveries(one), SizeIs(1));
}

TEST_F(retention_room_test, an_attach_that_asks_for_them_gives_their_room_back) {
    make_dropping(2);
    const auto one = attach("q", 2);
    publish(2);
    const auto held = h.deliveries(one);
    publish(2);
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    const auto two = h.connect();
    EXPECT_THAT(h.attach(two, "t/q", 0, runs_of(held)).gone, SizeIs(1));
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(2, 3));
}

TEST_F(retention_room_test, a_consumer_leaves_with_what_ended) {
    make_dropping(2);
    const auto one = attach("q", 2);
    publish(4);
    EXPECT_THAT(h.deliveries(one), SizeIs(2));
    h.ask<codec::ok>(one, codec::detach{consumer_id{1}});
    h.attach(one, "t/q", 2);
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(2, 3));
    publish(2);
    h.close(one);
    EXPECT_EQ(queue().ready, 2U);
    const auto two = attach("q", 2);
    EXPECT_THAT(offsets_of(h.deliveries(two)), ElementsAre(4, 5));
    publish(2);
    h.ask<codec::ok>(h.admin, codec::queue_remove{.queue = "t/q"});
}

TEST_F(retention_room_test, a_connection_with_what_ended_holds_nothing) {
    make_dropping(1);
    const auto one = attach("q", 1);
    publish(2);
    h.apply(connection_draining{one});
    EXPECT_EQ(std::ranges::count_if(h.outputs,
                                    [&](const output& each) {
                                        return each.connection == one &&
                                               std::holds_alternative<holds_nothing>(each.body);
                                    }),
              1);
}

TEST_F(retention_room_test, a_message_that_must_be_alone_waits_for_them) {
    make({.max_messages = 2, .when_full = full_policy::drop_oldest}, {});
    h.make_queue("t/q", {.lease = 2h, .backoff = 1h, .backoff_max = 1h, .jitter_percent = 0});
    const auto lost = attach("q", 1);
    publish(1);
    EXPECT_THAT(h.deliveries(lost), SizeIs(1));
    h.close(lost);  // its next attempt is alone
    const auto one = attach("q", 3);
    publish(2);
    const auto held = h.deliveries(one);
    EXPECT_THAT(offsets_of(held), ElementsAre(1, 2));
    publish(2);
    const auto more = h.deliveries(one);
    EXPECT_THAT(offsets_of(more), ElementsAre(3));
    h.pass(61min);
    EXPECT_EQ(settle(one, more).accepted, 1U);
    const auto last = h.deliveries(one);  // while what failed was read
    EXPECT_THAT(offsets_of(last), ElementsAre(4));
    EXPECT_EQ(settle(one, last).accepted, 1U);
    EXPECT_THAT(h.deliveries(one), IsEmpty()) << "it has two others";
    EXPECT_EQ(settle(one, held).refused, 2U);
    const auto alone = h.deliveries(one);
    EXPECT_THAT(offsets_of(alone), ElementsAre(0));
    EXPECT_EQ(settle(one, alone).accepted, 1U);
}

TEST_F(retention_room_test, the_queues_of_a_pattern_share_the_room_of_what_ended) {
    h.ask<codec::pattern_created>(h.admin, codec::pattern_create{.pattern = "o.*/q"});
    for (const char* const name : {"o.a", "o.b"}) {
        h.ask<codec::topic_created>(
            h.admin, codec::topic_create{
                         .topic = name,
                         .settings = {.max_messages = 2, .when_full = full_policy::drop_oldest}});
    }
    const auto one = h.connect();
    h.ask<codec::pattern_queues>(
        one, codec::pattern_attach{
                 .pattern = "o.*/q", .consumer = consumer_id{1}, .prefetch_messages = 2});
    h.publish("o.a", {"0", "1"});
    const auto held = h.deliveries(one);
    ASSERT_THAT(held, SizeIs(2));
    h.publish("o.a", {"2", "3"});
    h.publish("o.b", {"0", "1"});
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    EXPECT_EQ(h.settle(one, held[0].queue, settle_action::ack, runs_of(held)).refused, 2U);
    EXPECT_THAT(h.deliveries(one), SizeIs(2));
    h.publish("o.a", {"4", "5"});
    h.publish("o.b", {"2", "3"});
    h.ask<codec::ok>(h.admin, codec::topic_remove{.topic = "o.a"});
    h.ask<codec::ok>(h.admin, codec::topic_remove{.topic = "o.b"});
    h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = "o.c"});
    (void)h.deliveries(one);
    h.publish("o.c", {"0", "1", "2"});
    EXPECT_THAT(h.deliveries(one), SizeIs(2)) << "with the queues all they took has gone";
}

TEST_F(retention_room_test, a_seek_sends_no_consumer_more_than_it_asked_for) {
    make({});
    const auto one = attach("q", 2);
    publish(6);
    const auto held = h.deliveries(one);
    EXPECT_THAT(offsets_of(held), ElementsAre(0, 1));
    h.ask<codec::counted>(h.admin, codec::queue_seek{.queue = "t/q"});
    h.ask<codec::counted>(h.admin, codec::queue_seek{.queue = "t/q"});
    EXPECT_EQ(queue().ready, 6U);
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    EXPECT_EQ(settle(one, held).refused, 2U);
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(0, 1));
}

}  // namespace
}  // namespace brokerd::domain::test
