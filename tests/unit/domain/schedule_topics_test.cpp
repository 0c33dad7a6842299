// What is scheduled for several topics: they share the commits, the reads and the memory.
#include <algorithm>

#include <gmock/gmock.h>

#include "broker/domain/schedule_book.hpp"
#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::SizeIs;

struct schedules_of_topics : testing::Test {
    // Returns the names.
    std::vector<std::string> make_topics(std::vector<std::string> names) {
        for (const std::string& name : names) {
            h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = name});
        }
        return names;
    }
    // How many messages were appended to each.
    std::vector<offset_t> appended_to(const std::vector<std::string>& names) {
        std::vector<offset_t> counts;
        for (const std::string& name : names) {
            counts.push_back(h.topic_info(name).next_offset);
        }
        return counts;
    }
    // One that holds as many messages as it may.
    void make_full(const std::string& name) {
        h.ask<codec::topic_created>(
            h.admin, codec::topic_create{.topic = name, .settings = {.max_messages = 1}});
        h.publish(name, {"0"});
    }
    // Three, with a small message each that is due in 90 s and read ten seconds before.
    std::vector<std::string> make_small() {
        auto names = make_topics({"x", "y", "z"});
        for (const std::string& name : names) {
            h.publish_as(name, {"x"}, {}, 0, schedule_time{.delay = 90s});
        }
        return names;
    }
    // Between 79 s and 91 s.
    void expect_in_time(const std::vector<std::string>& small) {
        h.hold_fetches = true;
        h.pass(2s);
        EXPECT_THAT(h.out.fetches, SizeIs(small.size())) << "all of them read";
        h.hold_fetches = false;
        h.pass(10s);
        EXPECT_THAT(appended_to(small), Each(1));
    }
    // The first of the fetches on their way; it is left to the test.
    fetch take_fetch() {
        fetch found = std::move(h.out.fetches.front());
        h.out.fetches.erase(h.out.fetches.begin());
        return found;
    }

    harness h;
};

// Two of these batches fill a commit.
TEST_F(schedules_of_topics, topics_that_are_due_together_take_turns) {
    const auto all = make_topics({"first", "second", "third"});
    const schedule_time same{.due = h.now.wall + 1s};
    for (int i = 0; i < 3; ++i) {
        for (const std::string& name : all) {
            h.publish_as(name, {std::string(600'000, 'x')}, {}, 0, same);
        }
    }
    duration_us passed = 1s;
    for (int commits = 1; commits <= 5; ++commits, passed = 1ms) {
        h.now.mono += passed;
        h.now.wall += passed;
        h.run();
        const auto counts = appended_to(all);
        const auto [least, most] = std::ranges::minmax(counts);
        EXPECT_LE(most - least, 1U) << "after commit " << commits;
    }
    EXPECT_THAT(appended_to(all), ElementsAre(3, 3, 3));
}

TEST_F(schedules_of_topics, a_few_topics_read_at_a_time) {
    const auto all = make_topics({"a", "b", "c", "d", "e", "f", "g"});
    for (const std::string& name : all) {
        h.publish_as(name, {"x"}, {}, 0, schedule_time{.delay = 5s});
    }
    h.restart();
    h.hold_fetches = true;
    h.pass(10ms);
    ASSERT_THAT(h.out.fetches, SizeIs(4));
    // One that ends, however it does, lets another begin.
    const fetch first = take_fetch();
    h.apply(fetched{first.id, h.store.read(first.body)});
    h.pass(10ms);
    ASSERT_THAT(h.out.fetches, SizeIs(4));
    h.apply(fetched{take_fetch().id, failure{error_code::storage_failed, "no"}});
    h.pass(10ms);
    EXPECT_THAT(h.out.fetches, SizeIs(4));
    h.hold_fetches = false;
    h.pass(5s);
    EXPECT_THAT(appended_to(all), Each(1));
}

// What the first four have scheduled takes more than half of the memory of all.
TEST_F(schedules_of_topics, without_room_for_more_one_topic_reads_at_a_time) {
    const auto large = make_topics({"a", "b", "c", "d"});
    const auto small = make_topics({"e", "f", "g"});
    const std::string part(750'000, 'x');
    static_assert(4 * 3 * 750'000 > schedule_book::all_bytes_max / 2);
    for (const std::string& name : large) {
        h.publish_as(name, {part, part, part}, {}, 0, schedule_time{.delay = 50s});
    }
    for (const std::string& name : small) {
        h.publish_as(name, {"x"}, {}, 0, schedule_time{.delay = 5s});
    }
    h.restart();
    h.pass(1us);  // these four read
    h.hold_fetches = true;
    for (int i = 0; i < 3; ++i) {
        h.pass(10ms);
        ASSERT_THAT(h.out.fetches, SizeIs(1));
        const fetch one = take_fetch();
        h.apply(fetched{one.id, h.store.read(one.body)});
    }
    h.hold_fetches = false;
    h.pass(5s);
    EXPECT_THAT(appended_to(small), Each(1));
    EXPECT_THAT(appended_to(large), Each(0));
    h.pass(50s);
    EXPECT_THAT(appended_to(large), Each(3));
}

// What is due for them is more than half of the memory of all, and would keep it.
TEST_F(schedules_of_topics, full_topics_leave_memory_to_others) {
    const std::vector<std::string> full{"a", "b", "c", "d", "e", "f", "g", "h"};
    static_assert(8 * 2 * 750'000 > schedule_book::all_bytes_max / 2);
    for (const std::string& name : full) {
        make_full(name);
        for (int i = 1; i <= 3; ++i) {
            h.publish_as(name, {std::to_string(i) + std::string(750'000, 'x')}, {}, 0,
                         schedule_time{.delay = std::chrono::seconds(i)});
        }
    }
    const auto small = make_small();
    h.pass(79s);
    EXPECT_THAT(appended_to(full), Each(1));
    expect_in_time(small);
    for (const std::string& name : full) {
        h.make_queue(name + "/q");
        const auto one = h.connect();
        const auto queue = h.attach(one, name + "/q").queue;
        std::string order;
        for (int i = 0; i < 4; ++i) {
            for (const received& each : h.deliveries(one)) {
                order += each.payload.front();
                h.settle(one, queue, settle_action::ack, {run_of(each)});
            }
            h.pass(10ms);
        }
        EXPECT_EQ(order, "0123");
    }
}

// With one due in each of so many there is no place for the first ones either.
TEST_F(schedules_of_topics, many_full_topics_leave_memory_to_others) {
    std::vector<std::string> full;
    static_assert(16 * 750'000 > schedule_book::all_bytes_max / 2);
    for (char name = 'a'; name < 'a' + 16; ++name) {
        full.emplace_back(1, name);
        make_full(full.back());
        h.publish_as(full.back(), {"1" + std::string(750'000, 'x')}, {}, 0,
                     schedule_time{.delay = 1s});
    }
    const auto small = make_small();
    const std::uint64_t read_before = h.fetches_answered;
    h.pass(79s);
    EXPECT_EQ(h.fetches_answered, read_before) << "what has to wait is not read again and again";
    EXPECT_THAT(appended_to(full), Each(1));
    expect_in_time(small);
    for (const std::string& name : full) {
        h.make_queue(name + "/q");
        const auto one = h.connect();
        const auto queue = h.attach(one, name + "/q").queue;
        h.settle(one, queue, settle_action::ack, runs_of(h.deliveries(one)));
        h.pass(10ms);
        const auto got = h.deliveries(one);
        ASSERT_THAT(got, SizeIs(1));
        EXPECT_EQ(got[0].payload.front(), '1');
    }
}

// One that went back to the store and is cancelled there holds up no other.
TEST_F(schedules_of_topics, what_was_cancelled_while_it_waited_is_not_waited_for) {
    for (char name = 'a'; name < 'a' + 16; ++name) {
        const std::string topic(1, name);
        h.ask<codec::topic_created>(
            h.admin, codec::topic_create{.topic = topic, .settings = {.max_messages = 3}});
        h.publish(topic, {"0", "0"});
        const std::string large(750'000, 'x');
        h.publish_as(topic, {large, large}, {}, 0, schedule_time{.delay = 1s});
        h.publish_as(topic, {"fits"}, {}, 0, schedule_time{.delay = 2s});
    }
    h.pass(10s);
    for (char name = 'a'; name < 'a' + 16; ++name) {
        const std::string topic(1, name);
        EXPECT_EQ(h.topic_info(topic).next_offset, 2U);
        EXPECT_EQ(h.ask<codec::counted>(h.admin, codec::schedule_cancel{topic, {1}}).messages, 1U);
        h.pass(10ms);
        EXPECT_EQ(h.topic_info(topic).next_offset, 3U);
    }
}

}  // namespace
}  // namespace brokerd::domain::test
