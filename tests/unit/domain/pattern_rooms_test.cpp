// The room that the queues of a pattern consumer share: a queue that needs more of it than is left
// holds up the others, and no longer than it needs to.
#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

struct pattern_rooms_test : testing::Test {
    void make_rule(queue_mode mode = queue_mode::shared) {
        h.ask<codec::pattern_created>(
            h.admin, codec::pattern_create{.pattern = "orders.*/q",
                                           .mode = mode,
                                           .settings = {.backoff = 0s, .jitter_percent = 0}});
        for (const char* each : {"a", "b"}) {
            h.ask<codec::topic_created>(
                h.admin, codec::topic_create{.topic = fmt::format("orders.{}", each)});
            ids[each] = h.queue_info(fmt::format("orders.{}/q", each)).id;
        }
    }
    void attach(std::uint64_t bytes = 1 << 20) {
        h.ask<codec::pattern_queues>(one, codec::pattern_attach{.pattern = "orders.*/q",
                                                                .consumer = consumer_id{1},
                                                                .prefetch_messages = 100,
                                                                .prefetch_bytes = bytes});
    }
    void set_prefetch(std::uint32_t messages, std::uint64_t bytes) {
        h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, messages, bytes});
    }
    // Holds one of b, and is to have one of a alone, whose consumer was lost.
    void claim_for_a() {
        const auto lost = h.connect("lost@host:9");
        h.attach(lost, "orders.a/q");
        h.publish("orders.a", {"alone"});
        attach();
        h.publish("orders.b", {"held"});
        held = h.deliveries(one);
        ASSERT_THAT(held, SizeIs(1));
        h.close(lost);
        h.pass(1s);
        h.publish("orders.b", {"waits"});
        ASSERT_THAT(h.deliveries(one), IsEmpty());
    }
    // Holds one of b, and one of a needs more room than is left.
    void claim_large_for_a() {
        attach(1000);
        h.publish("orders.b", {std::string(600, 'x')});
        held = h.deliveries(one);
        ASSERT_THAT(held, SizeIs(1));
        h.publish("orders.a", {std::string(800, 'y')});
        h.publish("orders.b", {"waits"});
        ASSERT_THAT(h.deliveries(one), IsEmpty());
    }
    // One of a is to be given out alone, and memory forgets it with the next commit.
    void lose_one_of_a() {
        const auto busy = h.connect("busy@host:8");
        h.attach(busy, "orders.a/q");
        h.publish("orders.a", {"first"});
        const auto first = h.deliveries(busy);
        const auto lost = h.connect("lost@host:9");
        h.attach(lost, "orders.a/q");
        h.publish("orders.a", {"alone", "alone"});
        h.close(lost);
        h.pass(1s);
        h.ask<codec::ok>(busy, codec::set_prefetch{consumer_id{1}, 0, 1});
        h.settle(busy, ids["a"], settle_action::ack, runs_of(first));
        h.settle(busy, ids["a"], settle_action::ack, runs_of(h.deliveries(busy)));
        h.close(busy, true);
    }
    void pause(const std::string& name, bool paused) {
        h.ask<codec::ok>(h.admin,
                         codec::queue_pause{.queue = "orders." + name + "/q", .paused = paused});
    }
    void ack(const std::vector<received>& got) {
        for (const received& each : got) {
            EXPECT_EQ(h.settle(one, each.queue, settle_action::ack, {run_of(each)}).refused, 0U);
        }
    }
    std::vector<std::string> payloads() {
        std::vector<std::string> found;
        for (const received& each : h.deliveries(one)) {
            found.push_back(each.payload);
        }
        return found;
    }

    harness h;
    connection_id one = h.connect("one@host:1");
    std::map<std::string, queue_id> ids;
    std::vector<received> held;
};

TEST_F(pattern_rooms_test, a_seek_ends_the_wait_for_a_message_to_be_alone) {
    make_rule();
    claim_for_a();
    h.ask<codec::counted>(
        h.admin, codec::queue_seek{.queue = "orders.a/q", .to = {.kind = position_kind::latest}});
    EXPECT_THAT(payloads(), ElementsAre("waits"));
}

// What it waits for is not given out before the queue goes on.
TEST_F(pattern_rooms_test, a_paused_queue_holds_up_no_other_for_a_message_to_be_alone) {
    make_rule();
    claim_for_a();
    pause("a", true);
    EXPECT_THAT(payloads(), ElementsAre("waits"));
    pause("a", false);
    h.publish("orders.b", {"more"});
    EXPECT_THAT(payloads(), IsEmpty()) << "it waits again";
}

TEST_F(pattern_rooms_test, a_paused_queue_holds_up_no_other_for_a_large_message) {
    make_rule();
    claim_large_for_a();
    pause("a", true);
    EXPECT_THAT(payloads(), ElementsAre("waits"));
    pause("a", false);
    h.publish("orders.b", {"more"});
    EXPECT_THAT(payloads(), IsEmpty()) << "it waits again";
}

TEST_F(pattern_rooms_test, one_that_waits_for_room_is_not_forgotten_when_there_is_none) {
    make_rule();
    claim_large_for_a();
    set_prefetch(0, 1000);
    EXPECT_THAT(payloads(), IsEmpty());
    set_prefetch(256, 1 << 20);
    EXPECT_THAT(payloads(), UnorderedElementsAre("waits", std::string(800, 'y')));
}

// A message to be alone that cannot be read is no reason to wait.
TEST_F(pattern_rooms_test, nothing_waits_for_a_message_to_be_alone_that_cannot_be_read) {
    make_rule();
    lose_one_of_a();
    h.publish("orders.b", {"0"});  // memory forgets what is given out to nobody
    h.store.failing = true;
    attach();
    h.pass(10s);
    for (const char* each : {"1", "2"}) {
        h.publish("orders.b", {each});
    }
    EXPECT_THAT(payloads(), ElementsAre("0", "1", "2"));
    h.store.failing = false;
    h.pass(10s);
    EXPECT_EQ(h.queue_info("orders.a/q").ready, 1U);
    h.publish("orders.b", {"3"});
    EXPECT_THAT(payloads(), IsEmpty()) << "now it is known what it waits for";
}

TEST_F(pattern_rooms_test, a_large_message_waits_for_room_beside_one_that_cannot_be_read) {
    make_rule();
    lose_one_of_a();
    h.publish("orders.b", {std::string(600, 'x')});
    h.store.failing = true;
    attach(1000);
    h.pass(10s);
    held = h.deliveries(one);
    ASSERT_THAT(held, SizeIs(1));
    h.publish("orders.a", {std::string(800, 'y')});
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    ack(held);
    held = h.deliveries(one);
    EXPECT_THAT(held, SizeIs(1));
    h.store.failing = false;
    h.pass(10s);
    EXPECT_THAT(payloads(), IsEmpty());
    ack(held);
    EXPECT_THAT(payloads(), ElementsAre("alone"));
}

TEST_F(pattern_rooms_test, another_consumer_takes_what_was_too_large) {
    make_rule();
    claim_large_for_a();
    const auto other = h.connect("other@host:2");
    h.attach(other, "orders.a/q");
    EXPECT_THAT(h.deliveries(other), SizeIs(1));
    EXPECT_THAT(payloads(), ElementsAre("waits"));
}

TEST_F(pattern_rooms_test, what_was_too_large_is_no_more) {
    make_rule();
    claim_large_for_a();
    h.ask<codec::counted>(h.admin, codec::queue_purge{.queue = "orders.a/q"});
    EXPECT_THAT(payloads(), ElementsAre("waits"));
}

}  // namespace
}  // namespace brokerd::domain::test
