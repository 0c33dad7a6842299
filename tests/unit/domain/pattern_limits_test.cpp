// What bounds the consumers of pattern queues: how many queues they are attached to, how much is
// read for them at once, how much one queue is given in a turn; and what their end waits for.
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "broker/domain/core.hpp"
#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// Rules WORD.*/q.
struct pattern_limits_test : testing::Test {
    explicit pattern_limits_test(domain_options options = {}) : h(options) {}

    void make_rule(const std::string& first_word, queue_mode mode = queue_mode::shared) {
        h.ask<codec::pattern_created>(
            h.admin, codec::pattern_create{.pattern = first_word + ".*/q",
                                           .mode = mode,
                                           .settings = {.backoff = 0s, .jitter_percent = 0}});
    }
    void make_topic(const std::string& name, durability level = durability::disk) {
        h.ask<codec::topic_created>(
            h.admin, codec::topic_create{.topic = name, .settings = {.durability = level}});
    }
    static codec::pattern_attach attach_to(const std::string& first_word, std::uint32_t id = 1,
                                           std::uint32_t prefetch = 100) {
        return {.pattern = first_word + ".*/q",
                .consumer = consumer_id{id},
                .prefetch_messages = prefetch};
    }
    std::size_t attach(const std::string& first_word, std::uint32_t id = 1,
                       std::uint32_t prefetch = 100) {
        return h.ask<codec::pattern_queues>(one, attach_to(first_word, id, prefetch)).joined.size();
    }

    harness h;
    connection_id one = h.connect("one@host:1");
};

// ---- how many queues ----

struct few_queues_test : pattern_limits_test {
    few_queues_test()
        : pattern_limits_test({.queues_per_group_max = 3, .group_queues_per_connection_max = 4}) {}

    void make_topics(const std::vector<std::string>& names) {
        for (const std::string& each : names) {
            make_topic(each);
        }
    }
    // Which queues joined which consumers since the last call, by their topics.
    std::vector<std::pair<std::uint32_t, std::string>> joined() {
        std::vector<std::pair<std::uint32_t, std::string>> found;
        for (const output& each : h.outputs) {
            const auto* news = std::get_if<codec::pattern_queues>(&each.body);
            if (news != nullptr && each.request == 0) {
                for (const codec::pattern_member& member : news->joined) {
                    found.emplace_back(news->consumer.value(), member.topic);
                }
            }
        }
        h.outputs.clear();
        return found;
    }
    // Consumer 1 has three queues of a, consumer 2 one of b; another one of b has no place.
    void fill() {
        make_rule("a");
        make_rule("b");
        make_topics({"a.1", "a.2", "a.3", "b.1"});
        ASSERT_EQ(attach("a", 1), 3U);
        ASSERT_EQ(attach("b", 2), 1U);
        make_topic("b.2");
        ASSERT_THAT(joined(), IsEmpty());
        ASSERT_THAT(h.state.warnings(h.now), ElementsAre(HasSubstr("attached to 1 of its 2")));
    }
};

TEST_F(few_queues_test, a_consumer_is_attached_to_so_many) {
    make_rule("a");
    make_topics({"a.1", "a.2", "a.3"});
    EXPECT_EQ(attach("a"), 3U);
    h.ask<codec::ok>(one, codec::detach{consumer_id{1}});
    make_topic("a.4");
    EXPECT_EQ(h.ask_refused(one, attach_to("a")).code, error_code::pattern_too_wide);
    h.ask<codec::ok>(h.admin, codec::topic_remove{.topic = "a.1"});
    EXPECT_EQ(attach("a"), 3U);
}

TEST_F(few_queues_test, those_of_a_connection_are_attached_to_so_many) {
    make_rule("a");
    make_rule("b");
    make_topics({"a.1", "a.2", "a.3", "b.1"});
    EXPECT_EQ(attach("a", 1), 3U);
    EXPECT_EQ(attach("b", 2), 1U);
    h.ask<codec::ok>(one, codec::detach{consumer_id{2}});
    make_topic("b.2");
    EXPECT_EQ(h.ask_refused(one, attach_to("b", 2)).code, error_code::too_many_consumers);
    const auto two = h.connect("two@host:2");
    EXPECT_THAT(h.ask<codec::pattern_queues>(two, attach_to("b")).joined, SizeIs(2));
}

TEST_F(few_queues_test, one_that_was_kept_out_joins_when_its_own_consumer_has_fewer) {
    fill();
    h.ask<codec::ok>(h.admin, codec::topic_remove{.topic = "b.1"});
    EXPECT_THAT(joined(), ElementsAre(Pair(2, "b.2")));
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
}

TEST_F(few_queues_test, one_that_was_kept_out_joins_when_another_consumer_has_fewer) {
    fill();
    h.publish("b.2", {"waits"});
    h.ask<codec::ok>(h.admin, codec::topic_remove{.topic = "a.1"});
    EXPECT_EQ(h.deliveries(one).at(0).payload, "waits");
    EXPECT_THAT(joined(), ElementsAre(Pair(2, "b.2")));
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
}

TEST_F(few_queues_test, those_that_were_kept_out_join_when_another_consumer_goes) {
    fill();
    make_topic("b.3");
    h.ask<codec::ok>(one, codec::detach{consumer_id{1}});
    EXPECT_THAT(joined(), UnorderedElementsAre(Pair(2, "b.2"), Pair(2, "b.3")));
    make_topic("b.4");
    EXPECT_THAT(joined(), IsEmpty()) << "one consumer has so many";
}

TEST_F(few_queues_test, those_that_were_kept_out_join_when_another_rule_goes) {
    fill();
    h.ask<codec::counted>(h.admin, codec::pattern_remove{.pattern = "a.*/q", .queues = true});
    EXPECT_THAT(joined(), ElementsAre(Pair(2, "b.2")));
}

// Also who attaches takes places until it is refused.
TEST_F(few_queues_test, those_that_were_kept_out_join_when_an_attach_fails) {
    make_rule("a");
    make_rule("b");
    make_topics({"a.1", "b.1"});
    h.publish("a.1", {"held"});
    ASSERT_EQ(attach("a", 1), 1U);
    const auto got = h.deliveries(one);
    ASSERT_THAT(got, SizeIs(1));
    h.close(one);
    make_topics({"a.2", "a.3"});
    one = h.connect("one@host:1");
    ASSERT_EQ(attach("b", 2), 1U);
    h.hold_fetches = true;
    auto again = attach_to("a", 1);
    again.held = {{got[0].queue, runs_of(got)}};
    const auto request = h.send(one, again);
    ASSERT_FALSE(h.answer_to(one, request)) << "what it holds is being read";
    make_topic("b.2");
    h.publish("b.2", {"waits"});
    ASSERT_THAT(joined(), IsEmpty());
    h.store.failing = true;
    h.hold_fetches = false;
    h.run();
    EXPECT_THAT(payloads_of(h.deliveries(one)), ElementsAre("waits"));
    const auto answer = h.answer_to(one, request);
    ASSERT_TRUE(answer);
    EXPECT_EQ(std::get<codec::error>(answer->body).code, error_code::storage_failed);
    EXPECT_THAT(joined(), ElementsAre(Pair(2, "b.2")));
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
}

// ---- how much is read at once ----

struct lagging_test : pattern_limits_test {
    static constexpr std::size_t topics = 3 * core::dispatch_reads_max;

    // Memory has nothing of the messages, one of each topic.
    void SetUp() override {
        make_rule("a");
        for (std::size_t i = 0; i < topics; ++i) {
            make_topic(fmt::format("a.{}", i));
            h.publish(fmt::format("a.{}", i), {"x"});
        }
        h.restart();
        one = h.connect("one@host:1");
    }
};

TEST_F(lagging_test, one_of_many_queues_that_lag_behind_leaves_room_to_the_reads_of_others) {
    h.hold_fetches = true;
    h.send(one, attach_to("a", 1, 1000));
    EXPECT_THAT(h.out.fetches, SizeIs(core::dispatch_reads_max));
    const auto id = h.send(h.admin, codec::read{.topic = "a.1"});
    ASSERT_THAT(h.out.fetches, SizeIs(core::dispatch_reads_max + 1)) << "others do not wait";
    const fetch last = h.out.fetches.back();
    h.out.fetches.pop_back();
    h.apply(fetched{last.id, h.store.read(last.body)});
    EXPECT_TRUE(h.answer_to(h.admin, id));
    EXPECT_THAT(h.out.fetches, SizeIs(core::dispatch_reads_max));
    const fetch first = h.out.fetches.front();
    h.out.fetches.erase(h.out.fetches.begin());
    h.apply(fetched{first.id, h.store.read(first.body)});
    EXPECT_THAT(h.out.fetches, SizeIs(core::dispatch_reads_max)) << "the next one";
    EXPECT_THAT(h.deliveries(one), SizeIs(1));
    h.hold_fetches = false;
    h.run();
    EXPECT_THAT(h.deliveries(one), SizeIs(topics - 1));
}

TEST_F(lagging_test, what_cannot_be_read_holds_up_no_other_read) {
    h.store.failing = true;
    h.send(one, attach_to("a", 1, 1000));
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    h.store.failing = false;
    h.pass(2s);
    EXPECT_THAT(h.deliveries(one), SizeIs(topics));
}

TEST_F(lagging_test, who_leaves_is_waited_for_by_nobody) {
    h.hold_fetches = true;
    h.send(one, attach_to("a", 1, 1000));
    h.close(one);
    h.ask<codec::counted>(h.admin, codec::pattern_remove{.pattern = "a.*/q", .queues = true});
    h.hold_fetches = false;
    h.run();
    make_rule("a");
    one = h.connect("one@host:1");
    EXPECT_EQ(attach("a", 1, 1000), topics);
    EXPECT_THAT(h.deliveries(one), SizeIs(topics));
}

// ---- how much a queue is given in a turn ----

TEST_F(pattern_limits_test, the_room_for_keyed_queues_goes_around) {
    make_rule("a", queue_mode::keyed);
    std::map<queue_id, std::string> names;
    for (const char* name : {"a.1", "a.2", "a.3"}) {
        make_topic(name);
        h.publish(name, std::vector<std::string>(50, "x"));
        names[h.queue_info(fmt::format("{}/q", name)).id] = name;
    }
    attach("a", 1, 24);
    std::map<std::string, std::size_t> given;
    auto held = h.deliveries(one);
    for (const received& each : held) {
        ++given[names[each.queue]];
    }
    EXPECT_THAT(given, ElementsAre(Pair("a.1", 8), Pair("a.2", 8), Pair("a.3", 8)));
    for (int i = 0; i < 9; ++i) {
        const received& first = held.front();
        h.settle(one, first.queue, settle_action::ack, {run_of(first)});
        held.erase(held.begin());
        const auto got = h.deliveries(one);
        ASSERT_THAT(got, SizeIs(1));
        ++given[names[got[0].queue]];
        held.push_back(got[0]);
    }
    EXPECT_THAT(given, ElementsAre(Pair("a.1", 11), Pair("a.2", 11), Pair("a.3", 11)));
}

// A queue with many retries that are due has its turn like any other.
TEST_F(pattern_limits_test, retries_of_a_keyed_queue_take_turns_too) {
    make_rule("a", queue_mode::keyed);
    for (const char* name : {"a.1", "a.2"}) {
        make_topic(name);
        h.publish(name, std::vector<std::string>(20, "x"));
    }
    const queue_id first = h.queue_info("a.1/q").id;
    attach("a", 1, 100);
    auto held = h.deliveries(one);
    ASSERT_THAT(held, SizeIs(40));
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 0, 1 << 20});
    for (const received& each : held) {
        h.settle(one, each.queue,
                 each.queue == first ? settle_action::nack : settle_action::release,
                 {run_of(each)});
    }
    h.pass(1s);
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 4, 1 << 20});
    held = h.deliveries(one);
    ASSERT_THAT(held, SizeIs(4));
    std::map<bool, std::size_t> given;
    for (int i = 0; i < 16; ++i) {
        const received next = held.front();
        ++given[next.queue == first];
        h.settle(one, next.queue, settle_action::ack, {run_of(next)});
        held.erase(held.begin());
        for (const received& each : h.deliveries(one)) {
            held.push_back(each);
        }
        ASSERT_FALSE(held.empty());
    }
    EXPECT_GE(given[true], 4U);
    EXPECT_GE(given[false], 4U);
}

// ---- what a detach waits for ----

struct unsynced_detach_test : pattern_limits_test {
    void SetUp() override {
        make_rule("a");
        make_topic("a.os", durability::os);
        h.publish("a.os", {"reserves"});
        attach("a");
        EXPECT_THAT(h.deliveries(one), SizeIs(1));
    }
    // What the answer to the detach waits for.
    output detach() {
        const auto id = h.send(one, codec::detach{consumer_id{1}});
        const auto answer = h.answer_to(one, id);
        EXPECT_TRUE(answer && std::holds_alternative<codec::ok>(answer->body));
        return answer.value_or(output{});
    }
    void publish(const std::string& topic, int times = 3) {
        for (int i = 0; i < times; ++i) {
            h.publish(topic, {"x"});
        }
    }
};

TEST_F(unsynced_detach_test, of_topics_of_durability_os_it_waits_for_no_sync) {
    publish("a.os");
    const auto got = h.deliveries(one);
    const output answer = detach();
    EXPECT_TRUE(answer.when_applied);
    EXPECT_EQ(answer.depends_on, got.back().depends_on) << "but not before its last delivery";
}

TEST_F(unsynced_detach_test, with_another_topic_that_has_given_it_nothing_likewise) {
    make_topic("a.disk");
    publish("a.os");
    EXPECT_TRUE(detach().when_applied);
}

TEST_F(unsynced_detach_test, with_another_topic_that_has_it_waits_for_the_sync) {
    make_topic("a.disk");
    publish("a.os");
    publish("a.disk", 1);
    const output answer = detach();
    EXPECT_FALSE(answer.when_applied);
    EXPECT_NE(answer.depends_on, commit_number{});
}

TEST_F(unsynced_detach_test, what_it_was_told_last_is_synced_before) {
    publish("a.os");
    make_topic("a.other");
    h.ask<codec::ok>(h.admin, codec::topic_remove{.topic = "a.other"});
    const output answer = detach();
    EXPECT_FALSE(answer.when_applied);
    EXPECT_NE(answer.depends_on, commit_number{});
}

TEST_F(unsynced_detach_test, a_topic_that_was_of_durability_disk_until_now_is_synced_before) {
    make_topic("a.disk");
    publish("a.os");
    publish("a.disk", 1);
    h.ask<codec::ok>(
        h.admin, codec::topic_set{.topic = "a.disk", .settings = {.durability = durability::os}});
    const commit_number changed = h.last_depends_on;
    EXPECT_GE(detach().depends_on, changed);
}

}  // namespace
}  // namespace brokerd::domain::test
