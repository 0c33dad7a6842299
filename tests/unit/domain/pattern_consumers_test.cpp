// Consumers of pattern queues: one prefetch for all queues, each of which has its turn.
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

constexpr consumer_id the_one{1};

struct pattern_consumers_test : testing::Test {
    void make_rule(const std::vector<std::string>& topics, queue_settings settings = {},
                   queue_mode mode = queue_mode::shared) {
        h.ask<codec::pattern_created>(
            h.admin,
            codec::pattern_create{.pattern = "orders.*/q", .mode = mode, .settings = settings});
        for (const std::string& each : topics) {
            make_topic(each);
        }
    }
    void make_topic(const std::string& name) {
        h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = "orders." + name});
        names[h.queue_info("orders." + name + "/q").id] = name;
    }
    codec::pattern_queues attach(connection_id to, std::uint32_t prefetch = 100,
                                 std::vector<codec::pattern_held> held = {},
                                 std::uint64_t limit = 0) {
        return h.ask<codec::pattern_queues>(to, codec::pattern_attach{.pattern = "orders.*/q",
                                                                      .consumer = the_one,
                                                                      .prefetch_messages = prefetch,
                                                                      .limit = limit,
                                                                      .held = std::move(held)});
    }
    void publish(const std::string& name, std::size_t count) {
        h.publish("orders." + name, std::vector<std::string>(count, "x"));
    }
    // How many of these are of which topic.
    std::map<std::string, std::size_t> spread(const std::vector<received>& got) {
        std::map<std::string, std::size_t> counts;
        for (const received& each : got) {
            ++counts[names[each.queue]];
        }
        return counts;
    }
    std::vector<codec::pattern_held> held_of(const std::vector<received>& got) {
        std::map<queue_id, std::vector<received>> by_queue;
        for (const received& each : got) {
            by_queue[each.queue].push_back(each);
        }
        std::vector<codec::pattern_held> held;
        for (const auto& [queue, messages] : by_queue) {
            held.push_back({queue, runs_of(messages)});
        }
        return held;
    }
    void ack(connection_id from, const std::vector<received>& got) {
        for (const codec::pattern_held& each : held_of(got)) {
            EXPECT_EQ(h.settle(from, each.queue, settle_action::ack, each.runs).refused, 0U);
        }
    }
    // What was told of queues that came and went, since the last call.
    std::vector<codec::pattern_queues> told(connection_id to) {
        std::vector<codec::pattern_queues> found;
        std::erase_if(h.outputs, [&](const output& each) {
            const auto* news = std::get_if<codec::pattern_queues>(&each.body);
            if (news == nullptr || each.connection != to || each.request != 0) {
                return false;
            }
            found.push_back(*news);
            return true;
        });
        return found;
    }
    template <typename Body>
    std::vector<Body> pushed(connection_id to) {
        std::vector<Body> found;
        for (const output& each : h.outputs) {
            if (each.connection == to && each.request == 0) {
                if (const auto* body = std::get_if<Body>(&each.body)) {
                    found.push_back(*body);
                }
            }
        }
        return found;
    }

    harness h;
    connection_id one = h.connect("one@host:1");
    std::map<queue_id, std::string> names;
};

TEST_F(pattern_consumers_test, gets_messages_of_all_queues_and_is_told_of_which) {
    make_rule({"a", "b"}, {.lease = 7s, .attempts = 5});
    publish("a", 2);
    publish("b", 3);
    const auto attached = attach(one);
    EXPECT_EQ(attached.consumer, the_one);
    ASSERT_THAT(attached.joined, SizeIs(2));
    EXPECT_EQ(attached.joined[0].topic, "orders.a");
    EXPECT_EQ(attached.joined[0].lease, 7s);
    EXPECT_EQ(attached.joined[0].attempts, 5U);
    EXPECT_EQ(names.at(attached.joined[1].queue), "b");
    EXPECT_THAT(attached.gone, IsEmpty());
    const auto got = h.deliveries(one);
    EXPECT_EQ(spread(got), (std::map<std::string, std::size_t>{{"a", 2}, {"b", 3}}));
    ack(one, got);
    EXPECT_EQ(h.queue_info("orders.a/q").done, 2U);
    EXPECT_EQ(h.queue_info("orders.b/q").done, 3U);
}

TEST_F(pattern_consumers_test, a_plain_delivery_names_no_queue) {
    make_rule({"a"});
    publish("a", 1);
    h.attach(one, "orders.a/q");
    EXPECT_EQ(h.deliveries(one).at(0).queue, queue_id{});
}

TEST_F(pattern_consumers_test, the_prefetch_is_for_all_together_and_room_goes_around) {
    make_rule({"a", "b", "c"});
    for (const char* each : {"a", "b", "c"}) {
        publish(each, 50);
    }
    attach(one, 24);
    auto held = h.deliveries(one);
    EXPECT_EQ(spread(held), (std::map<std::string, std::size_t>{{"a", 8}, {"b", 8}, {"c", 8}}));
    // One comes back, one is given out: each queue has its turn.
    std::map<std::string, std::size_t> given;
    for (int i = 0; i < 9; ++i) {
        ack(one, {held.front()});
        held.erase(held.begin());
        const auto got = h.deliveries(one);
        ASSERT_THAT(got, SizeIs(1));
        ++given[names[got[0].queue]];
        held.push_back(got[0]);
    }
    EXPECT_EQ(given, (std::map<std::string, std::size_t>{{"a", 3}, {"b", 3}, {"c", 3}}));
}

TEST_F(pattern_consumers_test, one_that_always_has_messages_starves_no_other) {
    make_rule({"a", "b"});
    attach(one, 1);
    publish("a", 1);
    auto held = h.deliveries(one);
    publish("b", 1);
    for (int i = 0; i < 3; ++i) {
        publish("a", 1);
        ack(one, held);
        held = h.deliveries(one);
        ASSERT_THAT(held, SizeIs(1));
        if (names[held[0].queue] == "b") {
            EXPECT_LE(i, 1);
            return;
        }
    }
    FAIL() << "b has no turn";
}

TEST_F(pattern_consumers_test, an_idle_queue_costs_no_room) {
    make_rule({"a", "b", "c"});
    attach(one, 10);
    publish("b", 25);
    auto got = h.deliveries(one);
    EXPECT_THAT(got, SizeIs(10));
    ack(one, got);
    EXPECT_EQ(spread(h.deliveries(one)), (std::map<std::string, std::size_t>{{"b", 10}}));
}

TEST_F(pattern_consumers_test, a_large_message_gets_the_room_it_needs) {
    make_rule({"a", "b"});
    h.ask<codec::pattern_queues>(
        one, codec::pattern_attach{
                 .pattern = "orders.*/q", .consumer = the_one, .prefetch_bytes = 1000});
    h.publish("orders.a", {std::string(300, 'x'), std::string(300, 'x')});
    auto held = h.deliveries(one);
    ASSERT_THAT(held, SizeIs(2));
    h.publish("orders.b", {std::string(800, 'y')});
    h.publish("orders.a", {std::string(100, 'x')});
    EXPECT_THAT(h.deliveries(one), IsEmpty()) << "there is room for it, but not its turn";
    EXPECT_EQ(h.explain("orders.a/q"),
              "1 message waits: every consumer is to be given a message of another queue first, "
              "and has to settle some of what it holds for that");
    ack(one, held);
    const auto got = h.deliveries(one);
    ASSERT_FALSE(got.empty());
    EXPECT_EQ(names[got[0].queue], "b");
    ack(one, got);
    EXPECT_EQ(h.queue_info("orders.a/q").ready, 0U);
}

TEST_F(pattern_consumers_test, a_limit_is_for_all_together) {
    make_rule({"a", "b"});
    publish("a", 3);
    publish("b", 3);
    attach(one, 100, {}, 4);
    const auto got = h.deliveries(one);
    EXPECT_THAT(got, SizeIs(4));
    ack(one, got);
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    EXPECT_THAT(h.explain(names[got[0].queue] == "a" ? "orders.b/q" : "orders.a/q"),
                HasSubstr("has been given as many messages as it asked for"));
}

TEST_F(pattern_consumers_test, set_prefetch_is_for_all_together) {
    make_rule({"a", "b"});
    publish("a", 5);
    publish("b", 5);
    attach(one, 0);
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    h.ask<codec::ok>(one, codec::set_prefetch{the_one, 7, 1 << 20});
    EXPECT_THAT(h.deliveries(one), SizeIs(7));
}

TEST_F(pattern_consumers_test, queues_join_and_leave_while_it_is_attached) {
    make_rule({});
    EXPECT_THAT(attach(one).joined, IsEmpty());
    make_topic("a");
    make_topic("b");
    auto news = told(one);
    ASSERT_THAT(news, SizeIs(2));
    ASSERT_THAT(news[0].joined, SizeIs(1));
    EXPECT_EQ(news[0].joined[0].topic, "orders.a");
    publish("a", 1);
    publish("b", 1);
    const auto held = h.deliveries(one);
    EXPECT_THAT(held, SizeIs(2));

    h.ask<codec::ok>(h.admin, codec::topic_remove{.topic = "orders.a"});
    news = told(one);
    ASSERT_THAT(news, SizeIs(1));
    ASSERT_THAT(news[0].left, SizeIs(1));
    EXPECT_EQ(names.at(news[0].left[0].queue), "a");
    EXPECT_EQ(news[0].left[0].code, error_code::topic_removed);
    EXPECT_THAT(pushed<codec::detached>(one), IsEmpty());
    publish("b", 1);
    EXPECT_THAT(h.deliveries(one), SizeIs(1));
    h.ask<codec::ok>(h.admin, codec::queue_remove{.queue = "orders.b/q"});
    ASSERT_THAT(told(one), SizeIs(1));
    make_topic("c");
    ASSERT_THAT(told(one), SizeIs(1));
    publish("c", 1);
    EXPECT_EQ(spread(h.deliveries(one)), (std::map<std::string, std::size_t>{{"c", 1}}));
}

TEST_F(pattern_consumers_test, what_leaves_gives_its_room_to_others) {
    make_rule({"a", "b"});
    attach(one, 3);
    publish("a", 3);
    EXPECT_THAT(h.deliveries(one), SizeIs(3));
    publish("b", 2);
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    h.ask<codec::ok>(h.admin, codec::queue_remove{.queue = "orders.a/q"});
    EXPECT_EQ(spread(h.deliveries(one)), (std::map<std::string, std::size_t>{{"b", 2}}));
}

TEST_F(pattern_consumers_test, nothing_of_a_queue_comes_before_it_is_told) {
    make_rule({"a"});
    publish("a", 1);
    attach(one);
    make_topic("b");
    publish("b", 1);
    const queue_id of_a = h.queue_info("orders.a/q").id;
    std::vector<queue_id> known;
    for (const output& each : h.outputs) {
        if (const auto* news = std::get_if<codec::pattern_queues>(&each.body)) {
            for (const auto& member : news->joined) {
                known.push_back(member.queue);
            }
        } else if (const auto* given = std::get_if<delivery>(&each.body)) {
            for (const record_run& run : given->runs) {
                EXPECT_TRUE(run.queue == of_a ||
                            std::ranges::find(known, run.queue) != known.end());
            }
        }
    }
    EXPECT_THAT(known, SizeIs(1));
}

TEST_F(pattern_consumers_test, goes_with_its_rule_and_releases_what_it_holds) {
    make_rule({"a"});
    publish("a", 2);
    attach(one);
    EXPECT_THAT(h.deliveries(one), SizeIs(2));
    h.ask<codec::counted>(h.admin, codec::pattern_remove{.pattern = "orders.*/q"});
    const auto ended = pushed<codec::detached>(one);
    ASSERT_THAT(ended, SizeIs(1));
    EXPECT_EQ(ended[0].consumer, the_one);
    EXPECT_EQ(ended[0].code, error_code::pattern_not_found);
    EXPECT_EQ(h.queue_info("orders.a/q").ready, 2U);
    EXPECT_EQ(h.queue_info("orders.a/q").consumers, 0U);
    EXPECT_EQ(h.ask_refused(one, codec::pattern_attach{.pattern = "orders.*/q"}).code,
              error_code::pattern_not_found);
    h.attach(one, "orders.a/q");
    EXPECT_EQ(h.deliveries(one).at(0).attempt, 1U);
}

TEST_F(pattern_consumers_test, detach_and_goodbye_are_no_attempts) {
    make_rule({"a", "b"});
    publish("a", 1);
    publish("b", 1);
    attach(one);
    EXPECT_THAT(h.deliveries(one), SizeIs(2));
    h.ask<codec::ok>(one, codec::detach{the_one});
    EXPECT_EQ(h.ask_refused(one, codec::detach{the_one}).code, error_code::consumer_not_found);
    attach(one);
    for (const received& each : h.deliveries(one)) {
        EXPECT_EQ(each.attempt, 1U);
    }
    h.close(one, true);
    EXPECT_EQ(h.queue_info("orders.a/q").ready, 1U);
    EXPECT_EQ(h.queue_info("orders.b/q").ready, 1U);
}

TEST_F(pattern_consumers_test, what_was_held_is_taken_up_after_a_lost_connection) {
    make_rule({"a", "b"});
    publish("a", 2);
    publish("b", 2);
    attach(one);
    const auto got = h.deliveries(one);
    h.close(one);
    EXPECT_EQ(h.queue_info("orders.a/q").retrying, 2U);
    const auto two = h.connect("one@host:1");
    auto held = held_of(got);
    held.push_back({queue_id{999}, {run_of(got[0])}});
    const auto attached = attach(two, 100, held);
    ASSERT_THAT(attached.gone, SizeIs(1)) << "only what is of no queue of the rule";
    EXPECT_EQ(attached.gone[0].queue, queue_id{999});
    EXPECT_EQ(h.queue_info("orders.a/q").leased, 2U);
    EXPECT_EQ(h.queue_info("orders.b/q").leased, 2U);
    EXPECT_THAT(h.deliveries(two), IsEmpty());
    ack(two, got);
    EXPECT_EQ(h.queue_info("orders.b/q").done, 2U);
}

TEST_F(pattern_consumers_test, what_was_held_is_taken_up_after_a_restart) {
    make_rule({"a", "b"});
    publish("a", 2);
    publish("b", 1);
    attach(one);
    const auto got = h.deliveries(one);
    h.restart();
    const auto two = h.connect("one@host:1");
    EXPECT_THAT(attach(two, 3, held_of(got)).gone, IsEmpty());
    publish("a", 1);
    EXPECT_THAT(h.deliveries(two), IsEmpty()) << "what was taken up counts";
    ack(two, got);
    EXPECT_THAT(h.deliveries(two), SizeIs(1));
}

TEST_F(pattern_consumers_test, what_another_got_meanwhile_is_gone) {
    make_rule({"a", "b"}, {.backoff = 0s, .jitter_percent = 0});
    publish("a", 1);
    publish("b", 1);
    attach(one);
    const auto got = h.deliveries(one);
    h.close(one);
    const auto other = h.connect("other@host:2");
    h.attach(other, "orders.a/q");
    h.pass(1s);
    ASSERT_THAT(h.deliveries(other), SizeIs(1));
    const auto two = h.connect("one@host:1");
    const auto attached = attach(two, 100, held_of(got));
    ASSERT_THAT(attached.gone, SizeIs(1));
    EXPECT_EQ(names.at(attached.gone[0].queue), "a");
    EXPECT_EQ(h.queue_info("orders.b/q").leased, 1U);
}

// Its leases are read queue by queue; what happens meanwhile.
struct attaching_test : pattern_consumers_test {
    void SetUp() override {
        make_rule({"a", "b"});
        publish("a", 1);
        publish("b", 1);
        attach(one);
        got = h.deliveries(one);
        h.close(one);
        for (int i = 0; i < 3; ++i) {
            h.publish("orders.a", {"more"});  // memory forgets what was put
        }
        two = h.connect("one@host:1");
        h.hold_fetches = true;
        request =
            h.send(two, codec::pattern_attach{
                            .pattern = "orders.*/q", .consumer = the_one, .held = held_of(got)});
        ASSERT_FALSE(h.out.fetches.empty());
        ASSERT_FALSE(h.answer_to(two, request));
    }
    void go_on() {
        h.hold_fetches = false;
        h.run();
    }
    template <typename Answer>
    Answer answer() {
        const auto found = h.answer_to(two, request);
        EXPECT_TRUE(found && std::holds_alternative<Answer>(found->body));
        return found && std::holds_alternative<Answer>(found->body) ? std::get<Answer>(found->body)
                                                                    : Answer{};
    }

    connection_id two;
    std::vector<received> got;
    std::uint32_t request = 0;
};

TEST_F(attaching_test, nothing_is_given_out_before_it_is_answered) {
    EXPECT_THAT(h.deliveries(two), IsEmpty());
    go_on();
    EXPECT_THAT(answer<codec::pattern_queues>().gone, IsEmpty());
    EXPECT_THAT(h.deliveries(two), SizeIs(3));
    ack(two, got);
}

TEST_F(attaching_test, until_then_it_is_no_consumer) {
    const auto early = h.send(two, codec::detach{the_one});
    EXPECT_TRUE(std::holds_alternative<codec::error>(h.answer_to(two, early)->body));
    const auto more = h.send(two, codec::set_prefetch{the_one, 5, 5});
    EXPECT_TRUE(std::holds_alternative<codec::error>(h.answer_to(two, more)->body));
    const auto again = h.send(two, codec::pattern_attach{"orders.*/q", the_one});
    EXPECT_EQ(std::get<codec::error>(h.answer_to(two, again)->body).code,
              error_code::consumer_exists);
    go_on();
    EXPECT_THAT(answer<codec::pattern_queues>().joined, SizeIs(2));
    h.ask<codec::ok>(two, codec::detach{the_one});
}

TEST_F(attaching_test, the_rule_goes) {
    h.send(h.admin, codec::pattern_remove{.pattern = "orders.*/q"});
    go_on();
    EXPECT_EQ(answer<codec::error>().code, error_code::pattern_not_found);
    EXPECT_THAT(pushed<codec::detached>(two), IsEmpty());
}

TEST_F(attaching_test, a_queue_goes_and_one_comes) {
    h.send(h.admin, codec::topic_remove{.topic = "orders.b"});
    h.send(h.admin, codec::topic_create{.topic = "orders.c"});
    go_on();
    const auto attached = answer<codec::pattern_queues>();
    ASSERT_THAT(attached.joined, SizeIs(2));
    EXPECT_EQ(attached.joined[1].topic, "orders.c");
    ASSERT_THAT(attached.gone, SizeIs(1));
    EXPECT_EQ(names.at(attached.gone[0].queue), "b");
    EXPECT_THAT(told(two), IsEmpty());
}

TEST_F(attaching_test, a_queue_whose_leases_were_taken_up_goes) {
    // Of one queue all is read, of the other one not yet.
    const fetch first = h.out.fetches.front();
    h.out.fetches.erase(h.out.fetches.begin());
    h.state.apply(fetched{first.id, h.store.read(first.body)}, h.now, h.out);
    std::string taken;
    for (const char* each : {"a", "b"}) {
        if (h.queue_info(std::string("orders.") + each + "/q").leased > 0) {
            taken = each;
        }
    }
    ASSERT_FALSE(taken.empty());
    ASSERT_FALSE(h.answer_to(two, request));
    h.send(h.admin, codec::topic_remove{.topic = "orders." + taken});
    go_on();
    const auto attached = answer<codec::pattern_queues>();
    EXPECT_THAT(attached.joined, SizeIs(1));
    ASSERT_THAT(attached.gone, SizeIs(1));
    EXPECT_EQ(names.at(attached.gone[0].queue), taken);
    EXPECT_THAT(attached.gone[0].runs, SizeIs(1));
}

TEST_F(attaching_test, the_connection_goes) {
    h.close(two);
    go_on();
    EXPECT_EQ(h.queue_info("orders.a/q").consumers, 0U);
}

TEST_F(attaching_test, what_cannot_be_read_refuses_it) {
    h.store.failing = true;
    go_on();
    EXPECT_EQ(answer<codec::error>().code, error_code::storage_failed);
    h.store.failing = false;
    h.pass(2s);
    EXPECT_THAT(attach(two, 100, held_of(got)).gone, IsEmpty());
}

// ---- what must be alone, modes ----

TEST_F(pattern_consumers_test, a_message_to_be_alone_waits_until_nothing_of_any_queue_is_held) {
    make_rule({"a", "b"}, {.backoff = 0s, .jitter_percent = 0});
    const auto lost = h.connect("lost@host:9");
    h.attach(lost, "orders.a/q");
    publish("a", 1);
    attach(one);
    publish("b", 1);
    auto held = h.deliveries(one);
    ASSERT_THAT(held, SizeIs(1));
    h.close(lost);
    h.pass(1s);
    publish("b", 1);
    EXPECT_THAT(h.deliveries(one), IsEmpty()) << "nothing else until it has had that";
    ack(one, held);
    held = h.deliveries(one);
    ASSERT_THAT(held, SizeIs(1));
    EXPECT_EQ(names[held[0].queue], "a");
    EXPECT_EQ(held[0].attempt, 2U);
    publish("b", 1);
    EXPECT_THAT(h.deliveries(one), IsEmpty()) << "it is alone";
    ack(one, held);
    EXPECT_EQ(spread(h.deliveries(one)), (std::map<std::string, std::size_t>{{"b", 2}}));
}

TEST_F(pattern_consumers_test, two_queues_with_messages_to_be_alone_take_turns) {
    make_rule({"a", "b"}, {.backoff = 0s, .jitter_percent = 0});
    const auto lost = h.connect("lost@host:9");
    h.attach(lost, "orders.a/q");
    h.attach(lost, "orders.b/q", 100, {}, consumer_id{2});
    publish("a", 1);
    publish("b", 1);
    h.close(lost);
    h.pass(1s);
    attach(one);
    std::vector<std::string> order;
    for (int i = 0; i < 2; ++i) {
        const auto got = h.deliveries(one);
        ASSERT_THAT(got, SizeIs(1));
        order.push_back(names[got[0].queue]);
        ack(one, got);
    }
    EXPECT_THAT(order, testing::UnorderedElementsAre("a", "b"));
}

TEST_F(pattern_consumers_test, keyed_queues_keep_the_order_of_their_keys) {
    make_rule({"a", "b"}, {}, queue_mode::keyed);
    for (const char* topic : {"orders.a", "orders.b"}) {
        h.publish_keyed(topic, {{"k", "1"}, {"k", "2"}, {"l", "3"}});
    }
    attach(one);
    auto got = h.deliveries(one);
    EXPECT_EQ(spread(got), (std::map<std::string, std::size_t>{{"a", 2}, {"b", 2}}));
    ack(one, got);
    got = h.deliveries(one);
    ASSERT_THAT(got, SizeIs(2));
    EXPECT_EQ(got[0].payload, "2");
    EXPECT_EQ(got[1].payload, "2");
}

TEST_F(pattern_consumers_test, single_queues_have_one_active_consumer_each) {
    make_rule({"a", "b"}, {}, queue_mode::single);
    const auto first = h.connect("first@host:3");
    h.attach(first, "orders.a/q");
    attach(one);
    publish("a", 1);
    publish("b", 1);
    EXPECT_EQ(spread(h.deliveries(one)), (std::map<std::string, std::size_t>{{"b", 1}}));
    h.close(first, true);
    EXPECT_EQ(spread(h.deliveries(one)), (std::map<std::string, std::size_t>{{"a", 1}}));
}

TEST_F(pattern_consumers_test, shares_a_queue_with_plain_consumers) {
    make_rule({"a", "b"});
    const auto plain = h.connect("plain@host:4");
    h.attach(plain, "orders.a/q", 10);
    attach(one, 10);
    publish("a", 20);
    EXPECT_THAT(h.deliveries(plain), SizeIs(10));
    EXPECT_THAT(h.deliveries(one), SizeIs(10));
}

// ---- what is shown ----

TEST_F(pattern_consumers_test, is_listed_with_each_queue) {
    make_rule({"a", "b"});
    publish("a", 2);
    attach(one, 50);
    const auto all = h.ask<codec::consumers>(h.admin, codec::consumer_list{}).items;
    ASSERT_THAT(all, SizeIs(2));
    EXPECT_EQ(all[0].topic, "orders.a");
    EXPECT_EQ(all[0].name, "one@host:1");
    EXPECT_EQ(all[0].consumer, the_one);
    EXPECT_EQ(all[0].prefetch_messages, 50U);
    EXPECT_EQ(all[0].leased, 2U);
    EXPECT_EQ(all[1].leased, 0U);
    EXPECT_EQ(h.ask<codec::patterns>(h.admin, codec::pattern_list{}).items.at(0).consumers, 1U);
    EXPECT_THAT(h.explain("orders.a/q", 0), HasSubstr("one@host:1"));
    publish("b", 60);
    EXPECT_EQ(h.explain("orders.b/q"),
              "12 messages wait: no free prefetch: 1 consumer holds all it may take");
}

TEST_F(pattern_consumers_test, counts_as_one_of_its_connection) {
    make_rule({"a", "b"});
    attach(one);
    EXPECT_EQ(h.ask_refused(one, codec::attach{.queue = "orders.a/q", .consumer = the_one}).code,
              error_code::consumer_exists);
    EXPECT_EQ(
        h.ask_refused(one, codec::pattern_attach{.pattern = "orders.*/q", .consumer = the_one})
            .code,
        error_code::consumer_exists);
    h.ask<codec::attached>(one, codec::attach{.queue = "orders.a/q", .consumer = consumer_id{2}});
    EXPECT_EQ(h.ask_refused(one, codec::pattern_attach{.pattern = "orders.*/q",
                                                       .consumer = consumer_id{3},
                                                       .prefetch_messages = 1'000'000})
                  .code,
              error_code::invalid_argument);
}

TEST_F(pattern_consumers_test, gets_nothing_new_while_it_is_drained) {
    make_rule({"a"});
    publish("a", 1);
    attach(one);
    const auto got = h.deliveries(one);
    h.apply(connection_draining{one});
    make_topic("b");
    publish("a", 1);
    publish("b", 1);
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    EXPECT_THAT(pushed<holds_nothing>(one), IsEmpty());
    ack(one, got);
    EXPECT_THAT(pushed<holds_nothing>(one), SizeIs(1));
}

TEST_F(pattern_consumers_test, a_temporary_queue_stays_while_it_is_attached) {
    make_rule({"a"});
    h.ask<codec::ok>(h.admin,
                     codec::queue_set{.queue = "orders.a/q", .settings = {.expires = 10s}});
    attach(one);
    h.pass(1min);
    EXPECT_EQ(h.queue_info("orders.a/q").consumers, 1U);
    h.close(one, true);
    h.pass(11s);
    EXPECT_EQ(h.ask<codec::patterns>(h.admin, codec::pattern_list{}).items.at(0).queues, 0U);
}

}  // namespace
}  // namespace brokerd::domain::test
