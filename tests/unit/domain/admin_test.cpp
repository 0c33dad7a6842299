// Creating, changing, listing and removing topics and queues; reading; showing; explaining.
#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Promise: client.ensure
TEST(admin, creating_what_exists_changes_nothing_and_names_what_differs) {
    harness h;
    const auto made = h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = "t"});
    EXPECT_TRUE(made.created);
    EXPECT_EQ(h.last_depends_on.value() > 0, true);
    const auto again = h.ask<codec::topic_created>(
        h.admin, codec::topic_create{.topic = "t", .settings = {.keep_done = 5s}});
    EXPECT_FALSE(again.created);
    EXPECT_EQ(again.topic, made.topic);
    EXPECT_EQ(again.settings.keep_done, 0s);
    EXPECT_THAT(again.differing, ElementsAre("keep_done"));
    h.make_queue("t/q");
    const auto queue = h.ask<codec::queue_created>(
        h.admin, codec::queue_create{.queue = "t/q", .settings = {.lease = 5s, .attempts = 2}});
    EXPECT_FALSE(queue.created);
    EXPECT_THAT(queue.differing, ElementsAre("lease", "attempts"));
}

TEST(admin, settings_out_of_bounds_are_named) {
    harness h;
    const std::pair<queue_settings, const char*> bad[] = {
        {{.lease = limits::lease_min - 1us}, "lease"},
        {{.lease = limits::lease_max + 1us}, "lease"},
        {{.attempts = 0}, "attempts"},
        {{.attempts = limits::attempts_max + 1}, "attempts"},
        {{.backoff = 10s, .backoff_max = 9s}, "backoff_max"},
        {{.max_retrying = 0}, "max_retrying"},
        {{.max_runs = limits::runs_max + 1}, "max_runs"},
    };
    for (const auto& [settings, name] : bad) {
        const auto refused = h.ask_refused(
            h.admin,
            codec::queue_create{.queue = "t/q", .settings = settings, .create_topic = true});
        EXPECT_EQ(refused.code, error_code::invalid_setting);
        EXPECT_THAT(refused.text, HasSubstr(name));
    }
    EXPECT_EQ(h.ask_refused(h.admin,
                            codec::topic_create{.topic = "t", .settings = {.max_message_bytes = 0}})
                  .code,
              error_code::invalid_setting);
    EXPECT_THAT(h.ask<codec::topics>(h.admin, codec::topic_list{}).items, IsEmpty())
        << "nothing was created on the way";
    h.make_queue("t/q", {.lease = limits::lease_min, .attempts = limits::attempts_max});
}

TEST(admin, a_queue_of_a_missing_topic_is_refused_unless_the_topic_is_wanted_too) {
    harness h;
    const auto refused = h.ask_refused(h.admin, codec::queue_create{.queue = "t/q"});
    EXPECT_EQ(refused.code, error_code::topic_not_found);
    EXPECT_THAT(refused.text, HasSubstr("brokerctl topic create t"));
    const auto made = h.ask<codec::queue_created>(
        h.admin, codec::queue_create{.queue = "t/q", .create_topic = true});
    EXPECT_TRUE(made.created);
    EXPECT_TRUE(made.topic_created);
}

TEST(admin, queues_per_topic_are_bounded) {
    harness h({.queues_per_topic_max = 2});
    h.make_queue("t/a");
    h.make_queue("t/b");
    EXPECT_EQ(h.ask_refused(h.admin, codec::queue_create{.queue = "t/c"}).code,
              error_code::too_many_queues);
}

// Promise: replay.start
TEST(admin, a_queue_starts_where_it_is_told) {
    harness h;
    h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = "t"});
    h.publish("t", {"a", "b", "c"});
    h.pass(10s);
    const wall_time then = h.now.wall;
    h.publish("t", {"d"});
    const std::pair<position, std::uint64_t> starts[] = {
        {{.kind = position_kind::earliest}, 4},
        {{.kind = position_kind::latest}, 0},
        {{.kind = position_kind::offset, .offset = 1}, 3},
        {{.kind = position_kind::offset, .offset = 99}, 0},
        {{.kind = position_kind::time, .time = then}, 1},
    };
    int i = 0;
    for (const auto& [start, ready] : starts) {
        const std::string path = "t/q" + std::to_string(i++);
        h.ask<codec::queue_created>(h.admin, codec::queue_create{.queue = path, .start = start});
        EXPECT_EQ(h.queue_info(path).ready, ready) << path;
        EXPECT_EQ(h.queue_info(path).done, 0U);
    }
    h.restart();
    EXPECT_EQ(h.queue_info("t/q2").ready, 3U);
}

// Promise: delivery.removed
TEST(admin, removing_ends_consumers_and_a_new_incarnation_starts_afresh) {
    harness h;
    h.make_queue("t/q");
    const auto one = h.connect();
    const auto old = h.attach(one, "t/q").queue;
    h.publish("t", {"x"});
    h.deliveries(one);
    const auto waiting = h.send(
        one, codec::read{.topic = "t", .from = {.kind = position_kind::latest}, .wait = 10s});
    h.ask<codec::ok>(h.admin, codec::topic_remove{"t"});
    bool told = false;
    for (const output& each : h.outputs) {
        if (const auto* detached = std::get_if<codec::detached>(&each.body)) {
            told = true;
            EXPECT_EQ(detached->code, error_code::topic_removed);
        }
    }
    EXPECT_TRUE(told);
    EXPECT_EQ(std::get<codec::error>(h.answer_to(one, waiting)->body).code,
              error_code::topic_removed);
    h.make_queue("t/q");
    EXPECT_EQ(h.queue_info("t/q").ready, 0U);
    EXPECT_NE(h.queue_info("t/q").id, old);
    h.restart();
    EXPECT_EQ(h.topic_info("t").next_offset, 0U);
    h.attach(h.connect(), "t/q");
}

// Promise: delivery.settings
TEST(admin, settings_can_be_replaced) {
    harness h;
    h.make_queue("t/q");
    h.ask<codec::ok>(h.admin, codec::queue_set{"t/q", {.lease = 5s}});
    h.ask<codec::ok>(h.admin, codec::topic_set{"t", {.keep_done = 1h}});
    h.restart();
    EXPECT_EQ(h.queue_info("t/q").settings.lease, 5s);
    EXPECT_EQ(h.topic_info("t").settings.keep_done, 1h);
    EXPECT_EQ(h.ask_refused(h.admin, codec::queue_set{"t/q", {.lease = 0s}}).code,
              error_code::invalid_setting);
}

TEST(listing, pages_by_name) {
    harness h;
    for (const char* path : {"a/x", "a/y", "b/x", "c/x"}) {
        h.make_queue(path);
    }
    auto topics = h.ask<codec::topics>(h.admin, codec::topic_list{.after = "a", .limit = 1});
    ASSERT_THAT(topics.items, SizeIs(1));
    EXPECT_EQ(topics.items[0].name, "b");
    EXPECT_TRUE(topics.more);
    auto queues = h.ask<codec::queues>(h.admin, codec::queue_list{.after = "a/x", .limit = 2});
    ASSERT_THAT(queues.items, SizeIs(2));
    EXPECT_EQ(queues.items[0].queue, "y");
    EXPECT_EQ(queues.items[1].topic, "b");
    EXPECT_TRUE(queues.more);
    EXPECT_THAT(h.ask<codec::queues>(h.admin, codec::queue_list{.topic = "a"}).items, SizeIs(2));
    EXPECT_EQ(h.ask_refused(h.admin, codec::queue_list{.topic = "zz"}).code,
              error_code::topic_not_found);
}

TEST(listing, the_oldest_message_has_its_time_wherever_it_lies) {
    harness h({.cache_bytes_max = 0});
    h.make_queue("t/q");
    const wall_time first = h.now.wall;
    h.publish("t", {"a", "b"});
    h.pass(10s);
    for (int i = 0; i < 5; ++i) {
        h.publish("t", {"c"});
    }
    EXPECT_EQ(h.queue_info("t/q").oldest, first) << "read from the store";
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    const auto got = h.deliveries(one);
    h.settle(one, q, settle_action::nack, {run_of(got[0])}, 1h);
    auto rest = runs_of(got);
    rest.erase(rest.begin());
    h.settle(one, q, settle_action::ack, rest);
    h.pass(5s);
    EXPECT_GT(h.topic_info("t").first_offset, 0U);
    h.restart();
    EXPECT_EQ(h.queue_info("t/q").oldest, first) << "kept for the retry";
    h.ask<codec::counted>(h.admin, codec::queue_purge{.queue = "t/q"});
    EXPECT_EQ(h.queue_info("t/q").oldest, wall_never);
}

TEST(listing, rates_and_states) {
    harness h;
    h.make_queue("t/q");
    EXPECT_EQ(h.queue_info("t/q").state, "idle");
    for (int i = 0; i < 12; ++i) {
        h.publish("t", {"a", "b"});
        h.pass(1s);
    }
    EXPECT_EQ(h.queue_info("t/q").in_per_second, 2.0);
    EXPECT_EQ(h.queue_info("t/q").out_per_second, 0.0);
    EXPECT_EQ(h.queue_info("t/q").state, "no consumer");
    const auto one = h.connect();
    h.attach(one, "t/q", 1);
    EXPECT_EQ(h.queue_info("t/q").state, "active");
    EXPECT_THAT(h.explain("t/q"), HasSubstr("no free prefetch"));
    const auto consumers = h.ask<codec::consumers>(h.admin, codec::consumer_list{});
    ASSERT_THAT(consumers.items, SizeIs(1));
    EXPECT_EQ(consumers.items[0].name, "tester@host:1");
    EXPECT_EQ(consumers.items[0].leased, 1U);
    EXPECT_EQ(consumers.items[0].delivered, 1U);
}

TEST(reading, gives_slices_from_memory_and_store) {
    harness h({.cache_bytes_max = 0});
    h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = "t"});
    for (int i = 0; i < 20; ++i) {
        h.publish("t", {std::to_string(2 * i), std::to_string(2 * i + 1)});
    }
    position at{.kind = position_kind::earliest};
    std::vector<std::string> payloads;
    for (int i = 0; i < 100 && payloads.size() < 40; ++i) {
        const auto part =
            h.ask<read_result>(h.admin, codec::read{.topic = "t", .from = at, .messages_max = 3});
        for (const received& each : messages_of(part.runs, {})) {
            payloads.push_back(each.payload);
        }
        EXPECT_LE(part.position, 40U);
        at = {.kind = position_kind::offset, .offset = part.position};
    }
    ASSERT_THAT(payloads, SizeIs(40));
    for (std::size_t i = 0; i < 40; ++i) {
        EXPECT_EQ(payloads[i], std::to_string(i));
    }
}

TEST(reading, waits_at_the_end_until_something_comes_or_time_is_over) {
    harness h;
    h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = "t"});
    const codec::read at_end{.topic = "t", .from = {.kind = position_kind::latest}};
    EXPECT_THAT(h.ask<read_result>(h.admin, at_end).runs, IsEmpty());
    codec::read waiting = at_end;
    waiting.wait = 10s;
    const auto first = h.send(h.admin, waiting);
    EXPECT_FALSE(h.answer_to(h.admin, first));
    h.publish("t", {"x"});
    const auto answer = h.answer_to(h.admin, first);
    ASSERT_TRUE(answer);
    EXPECT_THAT(std::get<read_result>(answer->body).runs, SizeIs(1));
    EXPECT_GT(answer->depends_on.value(), 0U);
    const auto second = h.send(h.admin, waiting);
    h.pass(11s);
    const auto empty = h.answer_to(h.admin, second);
    ASSERT_TRUE(empty);
    EXPECT_THAT(std::get<read_result>(empty->body).runs, IsEmpty());
    for (std::uint32_t i = 0; i < limits::waiting_reads_max; ++i) {
        h.send(h.admin, waiting);
    }
    EXPECT_EQ(h.ask_refused(h.admin, waiting).code, error_code::busy);
    h.close(h.admin);
    h.publish("t", {"y"});
}

// Promise: delivery.removed
TEST(reading, stays_in_the_incarnation_it_began_in) {
    harness h;
    h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = "t"});
    h.publish("t", {"x", "y"});
    codec::read next{.topic = "t", .from = {.kind = position_kind::earliest}};
    const auto first = h.ask<read_result>(h.admin, next);
    EXPECT_EQ(first.incarnation, h.topic_info("t").topic);
    next.incarnation = first.incarnation;
    next.from = {.kind = position_kind::offset, .offset = 1};
    EXPECT_THAT(h.ask<read_result>(h.admin, next).runs, SizeIs(1));

    h.ask<codec::ok>(h.admin, codec::topic_remove{"t"});
    auto refused = h.ask_refused(h.admin, next);
    EXPECT_EQ(refused.code, error_code::topic_removed);
    EXPECT_EQ(refused.text, "topic t was removed");
    h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = "t"});
    h.publish("t", {"other x", "other y"});
    for (const auto kind :
         {position_kind::earliest, position_kind::latest, position_kind::offset}) {
        next.from = {.kind = kind, .offset = 1};
        refused = h.ask_refused(h.admin, next);
        EXPECT_EQ(refused.code, error_code::topic_removed);
        EXPECT_THAT(refused.text, HasSubstr("topic t was removed and created again"));
    }
    next.incarnation = {};
    EXPECT_NE(h.ask<read_result>(h.admin, next).incarnation, first.incarnation);
    next.topic = "a b";
    next.incarnation = first.incarnation;
    EXPECT_EQ(h.ask_refused(h.admin, next).code, error_code::invalid_name);
}

// A crash must not give the incarnation or the offsets a reader was told of to something else.
// Promise: durability.seen
TEST(reading, tells_nothing_that_is_not_durable) {
    harness h;
    const codec::read at_end{.topic = "t", .from = {.kind = position_kind::latest}};
    const auto told_with = [&] {
        h.state.apply(request{h.admin, 901, at_end}, h.now, h.out);
        const output last = h.out.outputs.back();
        EXPECT_TRUE(std::holds_alternative<read_result>(last.body));
        h.run();
        return last.depends_on;
    };
    commit_number gathering = h.gathering;
    h.state.apply(request{h.admin, 900, codec::topic_create{.topic = "t"}}, h.now, h.out);
    EXPECT_EQ(told_with(), gathering);
    gathering = h.gathering;
    h.state.apply(request{h.admin, 902,
                          publish_request{.topic = "t", .batch = make_batch({"x"}), .count = 1}},
                  h.now, h.out);
    EXPECT_EQ(told_with(), gathering);
    h.publish("t", {"y"});
    h.publish("t", {"z"});
    h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = "other"});
    h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = "third"});
    EXPECT_EQ(told_with(), commit_number{});
}

// Promise: explain.show
TEST(showing, a_message_in_every_queue) {
    harness h;
    h.make_queue("t/a");
    h.make_queue("t/b");
    const auto one = h.connect("worker@host:7");
    const auto a = h.attach(one, "t/a").queue;
    h.publish("t", {"x", "y"});
    const auto got = h.deliveries(one);
    h.settle(one, a, settle_action::nack, {run_of(got[0])}, 30s, "later");
    const auto shown = h.ask<show_result>(h.admin, codec::message_show{.topic = "t", .offset = 0});
    EXPECT_TRUE(shown.message.readable);
    ASSERT_THAT(shown.message.queues, SizeIs(2));
    EXPECT_EQ(shown.message.queues[0].state, message_state::retrying);
    EXPECT_EQ(shown.message.queues[0].due, h.now.wall + 30s);
    EXPECT_EQ(shown.message.queues[0].history.at(0).reason, "later");
    EXPECT_EQ(shown.message.queues[1].state, message_state::ready);
    EXPECT_THAT(shown.message.queues[1].next, HasSubstr("no consumer"));
    const auto leased = h.ask<show_result>(h.admin, codec::message_show{"t", 1}).message.queues[0];
    EXPECT_EQ(leased.state, message_state::leased);
    EXPECT_EQ(leased.consumer, "worker@host:7");
    EXPECT_EQ(leased.lease_until, h.now.wall + 30s);
    EXPECT_EQ(leased.lease, got[1].lease);
    EXPECT_EQ(h.ask_refused(h.admin, codec::message_show{"t", 2}).code, error_code::not_found);
}

// Its record is read from the log, which takes a while.
TEST(showing, what_a_message_became_while_it_was_read) {
    harness h({.cache_bytes_max = 0});
    h.make_queue("t/a");
    h.make_queue("t/b");
    const auto one = h.connect("worker@host:7");
    const auto a = h.attach(one, "t/a", 1).queue;
    h.publish("t", {"x"});
    const auto got = h.deliveries(one);
    ASSERT_THAT(got, SizeIs(1));
    for (int i = 0; i < 3; ++i) {
        h.publish("t", {"y"});  // out of the cache
    }
    h.hold_fetches = true;
    h.state.apply(request{h.admin, 900, codec::message_show{"t", 0}}, h.now, h.out);
    ASSERT_THAT(h.out.fetches, SizeIs(1));
    const fetch of_the_log = h.out.fetches[0];
    h.out.fetches.clear();
    h.hold_fetches = false;
    h.settle(one, a, settle_action::nack, {run_of(got[0])}, 30s, "no");
    for (int i = 0; i < 4; ++i) {
        h.publish("t", {"z"});  // the store has it, memory may forget it
    }
    h.apply(fetched{of_the_log.id, h.store.read(of_the_log.body)});
    const auto answer = h.answer_to(h.admin, 900);
    ASSERT_TRUE(answer);
    const auto& queues = std::get<show_result>(answer->body).message.queues;
    ASSERT_THAT(queues, SizeIs(2));
    EXPECT_EQ(queues[0].state, message_state::retrying);
    EXPECT_EQ(queues[0].attempts, 1U);
    EXPECT_EQ(queues[0].history.at(0).reason, "no");
    EXPECT_EQ(queues[1].state, message_state::ready);
}

TEST(explaining, every_state_has_its_sentence) {
    harness h;
    h.make_queue("t/q");
    EXPECT_EQ(h.explain("t/q"), "empty");
    h.publish("t", {"a", "b", "c"});
    EXPECT_EQ(h.explain("t/q"), "3 messages wait: no consumer is attached");
    EXPECT_EQ(h.explain("t/q", 0), "ready: no consumer is attached");
    const auto one = h.connect("email_worker@host3:812");
    const auto q = h.attach(one, "t/q", 1).queue;
    h.pass(18s);
    EXPECT_EQ(h.explain("t/q", 0),
              "leased by email_worker@host3:812 for 12 s more, attempt 1 of 16");
    EXPECT_THAT(h.explain("t/q", 2), HasSubstr("no free prefetch"));
    const auto got = h.deliveries(one);
    h.settle(one, q, settle_action::ack, runs_of(got));
    EXPECT_EQ(h.explain("t/q", 0), "done, removed");
    EXPECT_EQ(h.ask_refused(h.admin, codec::queue_explain{"t/q", true, 9}).code,
              error_code::not_found);
}

}  // namespace
}  // namespace brokerd::domain::test
