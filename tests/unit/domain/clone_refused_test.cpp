// Clones that are refused, or wait: names, bounds, moves, reads that fail.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "protocol/types/limits.hpp"
#include "tests/unit/domain/clone_fixture.hpp"

namespace brokerd::domain::test {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

struct clone_refused_test : clone_fixture {
    using clone_fixture::clone_fixture;
};

TEST_F(clone_refused_test, names_are_checked) {
    make(24h);
    EXPECT_EQ(refused("copy", "t/nothing").code, error_code::queue_not_found);
    EXPECT_EQ(refused("copy", "no path").code, error_code::invalid_name);
    EXPECT_EQ(refused("a b").code, error_code::invalid_name);
    EXPECT_EQ(refused("t/copy").code, error_code::invalid_name);
    const auto exists = refused("q");
    EXPECT_EQ(exists.code, error_code::queue_exists);
    EXPECT_EQ(exists.text,
              "queue t/q exists; choose another name, or remove it first: brokerctl queue rm t/q");
}

struct one_queue_test : clone_refused_test {
    one_queue_test() : clone_refused_test({.queues_per_topic_max = 1}) {}
};

TEST_F(one_queue_test, a_topic_has_so_many_queues) {
    make(24h);
    EXPECT_EQ(refused().code, error_code::too_many_queues);
}

TEST_F(clone_refused_test, needs_room_on_the_disk) {
    make(24h);
    h.state.refuse_publishes("the disk is full");
    EXPECT_EQ(refused().code, error_code::resource_disk);
    h.state.refuse_publishes({});
    clone();
}

TEST_F(clone_refused_test, a_queue_that_is_moved_is_busy) {
    make_all_states();
    h.restart();
    h.hold_fetches = true;
    h.send(h.admin, codec::queue_seek{.queue = "t/q", .to = {}});
    EXPECT_EQ(refused().code, error_code::busy);
    h.hold_fetches = false;
    h.run();
    clone();
    EXPECT_EQ(count("t/copy"), (state_counts{7, 0, 0, 1, 0}));
}

TEST_F(clone_refused_test, a_move_that_begins_meanwhile_goes_first) {
    make_all_states();
    h.restart();
    const fetch first = begin_to_clone();
    h.hold_fetches = true;
    h.send(h.admin, codec::queue_seek{.queue = "t/q", .to = {}});
    h.state.apply(fetched{first.id, h.store.read(first.body)}, h.now, h.out);
    h.hold_fetches = false;
    h.run();
    const auto answer = h.answer_to(h.admin, request);
    ASSERT_TRUE(answer);
    ASSERT_TRUE(std::holds_alternative<codec::error>(answer->body));
    EXPECT_EQ(std::get<codec::error>(answer->body).code, error_code::busy);
    clone();
}

TEST_F(clone_refused_test, a_second_clone_waits_for_the_first) {
    make_all_states();
    h.restart();
    const fetch first = begin_to_clone();
    EXPECT_EQ(refused("other").code, error_code::busy);
    h.apply(fetched{first.id, h.store.read(first.body)});
    expect_cloned();
    clone("other");
    EXPECT_EQ(count("t/other"), count("t/copy"));
}

TEST_F(clone_refused_test, is_refused_if_the_name_is_taken_meanwhile) {
    make_all_states();
    h.restart();
    const fetch first = begin_to_clone();
    h.make_queue("t/copy");
    h.apply(fetched{first.id, h.store.read(first.body)});
    const auto answer = h.answer_to(h.admin, request);
    ASSERT_TRUE(answer);
    ASSERT_TRUE(std::holds_alternative<codec::error>(answer->body));
    EXPECT_EQ(std::get<codec::error>(answer->body).code, error_code::queue_exists);
}

TEST_F(clone_refused_test, is_refused_if_the_queue_goes_meanwhile) {
    make_all_states();
    for (int i = 0; i < 6; ++i) {  // more than may be under way at once
        const std::string name = fmt::format("gone{}", i);
        clone(name);
        for (int commits = 0; commits < 3; ++commits) {
            h.publish("t", {"x"});  // memory forgets what the store has
        }
        h.hold_fetches = true;
        request = h.send(h.admin, codec::queue_clone{.queue = "t/" + name, .name = name + ".copy"});
        h.ask<codec::ok>(h.admin, codec::queue_remove{.queue = "t/" + name});
        h.hold_fetches = false;
        h.run();
        const auto answer = h.answer_to(h.admin, request);
        ASSERT_TRUE(answer);
        ASSERT_TRUE(std::holds_alternative<codec::error>(answer->body));
        EXPECT_EQ(std::get<codec::error>(answer->body).code, error_code::queue_removed);
    }
    clone();
}

TEST_F(clone_refused_test, a_failed_read_changes_nothing) {
    make_all_states();
    h.restart();
    h.store.failing = true;
    EXPECT_EQ(refused().code, error_code::storage_failed);
    h.store.failing = false;
    clone();
    EXPECT_EQ(count("t/copy"), (state_counts{4, 0, 1, 1, 2}));
}

TEST_F(clone_refused_test, attempts_that_are_lost_are_told) {
    make_all_states();
    h.restart();
    h.store.exceptions.erase({queue, 3});
    const auto lost = refused();
    EXPECT_EQ(lost.code, error_code::storage_failed);
    EXPECT_EQ(lost.text, "the attempts of t/q@3 are not in the store");
}

TEST_F(clone_refused_test, a_record_that_is_lost_is_told) {
    make_kept("dead");
    h.restart();
    h.store.kept.clear();
    const auto lost = refused();
    EXPECT_EQ(lost.code, error_code::storage_failed);
    EXPECT_EQ(lost.text, "the record of t/q@0 is not in the store");
    EXPECT_EQ(h.ask_refused(h.admin, codec::queue_remove{"t/copy"}).code,
              error_code::queue_not_found);
}

TEST_F(clone_refused_test, copies_so_many_exceptions) {
    make(24h);
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, limits::prefetch_messages_max,
                                              limits::prefetch_bytes_max});
    const auto reject = [&](std::size_t count) {
        h.publish("t", std::vector<std::string>(count, "x"));
        const auto given = h.deliveries(one);
        ASSERT_THAT(given, SizeIs(count));
        h.settle(one, queue, settle_action::reject,
                 {{given[0].offset, static_cast<std::uint32_t>(count), given[0].lease.epoch,
                   given[0].lease.counter}});
    };
    reject(limits::clone_exceptions_max / 2);
    reject(limits::clone_exceptions_max / 2);
    clone();
    EXPECT_EQ(count("t/copy").dead, limits::clone_exceptions_max);
    reject(1);
    const auto too_many = refused("other");
    EXPECT_EQ(too_many.code, error_code::invalid_argument);
    EXPECT_THAT(too_many.text, HasSubstr("100001 retrying and dead messages"));
    EXPECT_THAT(too_many.text, HasSubstr("brokerctl dead purge t/q"));
}

struct large_clone_test : clone_refused_test {
    large_clone_test() : clone_refused_test({.message_bytes_max = limits::message_bytes_max}) {}
};

TEST_F(large_clone_test, copies_so_much_of_what_has_left_the_log) {
    h.ask<codec::topic_created>(
        h.admin, codec::topic_create{.topic = "t",
                                     .settings = {.max_message_bytes = limits::message_bytes_max}});
    make_kept(std::string(limits::clone_bytes_max, 'x'));
    const auto too_large = refused();
    EXPECT_EQ(too_large.code, error_code::invalid_argument);
    EXPECT_THAT(too_large.text, HasSubstr("33554432 bytes"));
    h.ask<codec::counted>(h.admin, codec::dead_purge{.queue = "t/q"});
    clone();
}

}  // namespace
}  // namespace brokerd::domain::test
