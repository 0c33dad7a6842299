// Schedules: taken, appended when they are due, listed, cancelled, through restarts and clocks that
// are set.
#include <gmock/gmock.h>

#include "broker/domain/schedule_book.hpp"
#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::Not;
using testing::SizeIs;

template <typename T>
std::size_t count_of(const std::vector<mutation>& mutations) {
    return static_cast<std::size_t>(std::ranges::count_if(
        mutations, [](const mutation& each) { return std::holds_alternative<T>(each); }));
}

struct schedule_test : testing::Test {
    void SetUp() override {
        h.make_queue("orders/q");
        topic = h.topic_info("orders").topic;
    }

    // Returns the id.
    std::uint64_t schedule(const std::string& payload, const schedule_time& when) {
        const output answer = h.publish_as("orders", {payload}, {}, 0, when);
        const auto* ok = std::get_if<publish_accepted>(&answer.body);
        EXPECT_NE(ok, nullptr);
        return ok == nullptr ? 0 : ok->base_offset;
    }
    std::uint64_t schedule(const std::string& payload, duration_us delay) {
        return schedule(payload, schedule_time{.delay = delay});
    }
    failure refusal(const schedule_time& when, const std::string& topic_name = "orders",
                    const std::string& payload = "x") {
        const output answer = h.publish_as(topic_name, {payload}, {}, 0, when);
        const auto* no = std::get_if<publish_refused>(&answer.body);
        return no == nullptr ? failure{.code = error_code::ok} : no->why;
    }
    // Payloads of all that the store's log holds.
    std::vector<std::string> in_log() {
        std::vector<std::string> payloads;
        for (const auto& [last, data] : h.store.log[topic]) {
            for (offset_t offset = data->base_offset(); offset < data->end_offset(); ++offset) {
                const auto record = codec::check_record(data->record(offset));
                EXPECT_TRUE(record);
                payloads.emplace_back(as_text(record->payload));
            }
        }
        return payloads;
    }
    codec::schedules page(std::uint32_t limit, const schedule_key& after = {}) {
        return h.ask<codec::schedules>(
            h.admin,
            codec::schedule_list{
                .topic = "orders", .after_due = after.due, .after_id = after.id, .limit = limit});
    }
    // Ids of all that is listed, page by page.
    std::vector<std::uint64_t> listed(std::uint32_t limit = 100) {
        std::vector<std::uint64_t> ids;
        schedule_key after;
        for (bool more = true; more && ids.size() < 10'000;) {
            const auto found = page(limit, after);
            EXPECT_LE(found.items.size(), limit);
            for (const auto& each : found.items) {
                ids.push_back(each.id);
                after = {each.due, each.id};
            }
            more = found.more;
        }
        return ids;
    }
    std::uint64_t cancel(std::vector<std::uint64_t> ids) {
        return h
            .ask<codec::counted>(h.admin,
                                 codec::schedule_cancel{.topic = "orders", .ids = std::move(ids)})
            .messages;
    }
    // Time passes while nobody looks.
    void skip(duration_us span) {
        h.now.mono += span;
        h.now.wall += span;
    }
    // The one fetch of schedules on its way; it is left to the test.
    fetch take_fetch() {
        fetch found;
        for (const fetch& each : std::exchange(h.out.fetches, {})) {
            if (std::holds_alternative<fetch_schedules>(each.body)) {
                EXPECT_EQ(found.id, 0U) << "more than one";
                found = each;
            }
        }
        EXPECT_NE(found.id, 0U);
        return found;
    }

    harness h;
    topic_id topic;
};

// Promise: schedule.durable
TEST_F(schedule_test, the_answer_depends_on_the_commit_and_carries_the_id) {
    const commit_number gathering = h.gathering;
    h.state.apply(request{h.admin, 900,
                          publish_request{.topic = "orders",
                                          .batch = make_batch({"x"}),
                                          .count = 1,
                                          .later = schedule_time{.delay = 5s}}},
                  h.now, h.out);
    ASSERT_THAT(h.out.outputs, SizeIs(1));
    EXPECT_EQ(h.out.outputs[0].depends_on, gathering);
    EXPECT_EQ(std::get<publish_accepted>(h.out.outputs[0].body).base_offset, 1U);
    EXPECT_TRUE(h.out.urgent);
    EXPECT_TRUE(h.state.dirty());
    h.run();
    EXPECT_THAT(h.store.schedules[topic], SizeIs(1));
    EXPECT_EQ(schedule("y", 5s), 2U);
    EXPECT_THAT(in_log(), IsEmpty());
    EXPECT_EQ(h.topic_info("orders").next_offset, 0U);
}

// Promise: schedule.due
TEST_F(schedule_test, each_is_appended_when_it_is_due_in_order_of_due_time_then_id) {
    const wall_time tie = h.now.wall + 2s;
    schedule("last", 3s);
    schedule("tie 1", schedule_time{.due = tie});
    schedule("tie 2", schedule_time{.due = tie});
    schedule("first", 1s);
    h.pass(1s - 1us);
    EXPECT_THAT(in_log(), IsEmpty());
    h.pass(1us);
    EXPECT_THAT(in_log(), ElementsAre("first"));
    h.pass(2s - 1us);
    EXPECT_THAT(in_log(), ElementsAre("first", "tie 1", "tie 2"));
    h.pass(1us);
    EXPECT_THAT(in_log(), ElementsAre("first", "tie 1", "tie 2", "last"));
    EXPECT_THAT(h.store.schedules[topic], IsEmpty());
}

// Promise: schedule.due
TEST_F(schedule_test, what_is_due_by_now_is_appended_at_once) {
    schedule("no delay", 0s);
    schedule("long ago", schedule_time{.due = wall_from_us(1)});
    EXPECT_LE(h.state.next_deadline(), h.now.mono + 1us);
    h.pass(1us);
    EXPECT_THAT(in_log(), ElementsAre("long ago", "no delay"));
}

TEST_F(schedule_test, messages_reach_the_queue_with_the_time_they_were_appended) {
    const auto one = h.connect();
    h.attach(one, "orders/q");
    schedule("x", 5s);
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    h.pass(5s);
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(0));
    EXPECT_EQ(h.store.log[topic].at(0)->append_time(), h.now.wall);
}

// Promise: schedule.once
TEST_F(schedule_test, is_appended_and_erased_by_one_commit) {
    schedule("x", 1s);
    skip(1s);
    h.state.tick(h.now, h.out);
    h.state.seal(h.now, h.out);
    EXPECT_EQ(count_of<appended>(h.out.mutations), 1U);
    EXPECT_EQ(count_of<schedule_erased>(h.out.mutations), 1U);
    EXPECT_EQ(count_of<schedule_totals>(h.out.mutations), 1U);
    h.run();
    EXPECT_THAT(h.store.schedules[topic], IsEmpty());
}

// Promise: schedule.once
TEST_F(schedule_test, survives_a_restart_also_if_it_fell_due_while_the_broker_was_down) {
    schedule("soon", 5s);
    schedule("far", 10min);
    h.restart();
    EXPECT_THAT(listed(), ElementsAre(1, 2));
    skip(1min);
    h.restart();
    h.pass(1ms);
    EXPECT_THAT(in_log(), ElementsAre("soon"));
    EXPECT_EQ(schedule("next", 20min), 3U) << "ids go on";
    h.pass(10min);
    EXPECT_THAT(in_log(), ElementsAre("soon", "far"));
    h.restart();
    h.pass(10min);
    EXPECT_THAT(in_log(), ElementsAre("soon", "far", "next"));
    EXPECT_EQ(schedule("ids", 1s), 4U);
}

TEST_F(schedule_test, ids_go_on_after_a_restart_with_nothing_scheduled) {
    schedule("x", 1s);
    h.pass(1s);
    h.restart();
    EXPECT_EQ(schedule("y", 1s), 2U);
}

TEST_F(schedule_test, a_resend_has_the_first_id_and_is_scheduled_once) {
    const auto send = [&] {
        const output answer =
            h.publish_as("orders", {"x", "y"}, producer_id{5}, 1, schedule_time{.delay = 5s});
        const auto* ok = std::get_if<publish_accepted>(&answer.body);
        EXPECT_NE(ok, nullptr);
        EXPECT_EQ(ok == nullptr ? 0 : ok->base_offset, 1U);
        return ok != nullptr && ok->duplicate;
    };
    EXPECT_FALSE(send());
    EXPECT_TRUE(send());
    EXPECT_THAT(listed(), ElementsAre(1));
    h.restart();
    EXPECT_TRUE(send());
    h.pass(6s);
    EXPECT_THAT(in_log(), ElementsAre("x", "y"));
    EXPECT_TRUE(send());
    h.restart();
    EXPECT_TRUE(send());
    h.pass(6s);
    EXPECT_THAT(in_log(), SizeIs(2));
    const output next = h.publish_as("orders", {"z"}, producer_id{5}, 3);
    EXPECT_EQ(std::get<publish_accepted>(next.body).base_offset, 2U) << "one row of sequences";
}

// Promise: schedule.cancel
TEST_F(schedule_test, cancelled_is_what_is_still_to_come_and_each_counts_once) {
    schedule("a", 1s);
    schedule("b", 2s);
    schedule("c", 10min);
    schedule("d", 3s);
    EXPECT_EQ(cancel({2, 2, 3, 99}), 2U);
    EXPECT_EQ(cancel({2}), 0U);
    EXPECT_THAT(listed(), ElementsAre(1, 4));
    h.pass(2s);
    EXPECT_EQ(cancel({1, 4}), 1U) << "the first was appended";
    h.restart();
    EXPECT_EQ(cancel({1, 2, 3, 4}), 0U);
    h.pass(20min);
    EXPECT_THAT(in_log(), ElementsAre("a"));
}

TEST_F(schedule_test, a_cancel_depends_on_its_commit) {
    schedule("a", 1s);
    const commit_number before = h.gathering;
    EXPECT_EQ(cancel({1}), 1U);
    EXPECT_EQ(h.last_depends_on, before);
}

TEST_F(schedule_test, one_that_the_store_does_not_have_yet_can_be_listed_and_cancelled) {
    h.late_store = true;
    schedule("x", 1s);
    schedule("far", 10min);
    EXPECT_THAT(h.store.schedules[topic], SizeIs(1)) << "the second is on its way";
    EXPECT_THAT(listed(1), ElementsAre(1, 2));
    EXPECT_EQ(cancel({2, 1}), 2U);
    EXPECT_EQ(cancel({2, 1}), 0U) << "the store still has them";
    EXPECT_THAT(listed(1), IsEmpty());
    h.pass(11min);
    EXPECT_THAT(in_log(), IsEmpty());
}

TEST_F(schedule_test, one_can_be_taken_and_cancelled_by_one_commit) {
    h.state.apply(request{h.admin, 900,
                          publish_request{.topic = "orders",
                                          .batch = make_batch({"x"}),
                                          .count = 1,
                                          .later = schedule_time{.delay = 5s}}},
                  h.now, h.out);
    EXPECT_EQ(cancel({1}), 1U);
    EXPECT_THAT(h.store.schedules[topic], IsEmpty());
    h.pass(6s);
    EXPECT_THAT(in_log(), IsEmpty());
}

TEST_F(schedule_test, pages_go_on_behind_their_last_item) {
    const wall_time due = h.now.wall + 1h;
    h.ask<publish_accepted>(h.admin,
                            publish_request{.topic = "orders",
                                            .batch = make_keyed_batch({{"k", "x"}, {"l", "y"}}),
                                            .count = 2,
                                            .later = schedule_time{.due = due}});
    schedule("b", schedule_time{.due = due});
    schedule("c", 1s);
    const auto first = page(2);
    ASSERT_THAT(first.items, SizeIs(2));
    EXPECT_TRUE(first.more);
    EXPECT_EQ(first.items[0].id, 3U);
    EXPECT_EQ(first.items[0].key, "");
    const auto& keyed = first.items[1];
    EXPECT_EQ(keyed.id, 1U);
    EXPECT_EQ(keyed.due, due);
    EXPECT_EQ(keyed.messages, 2U);
    EXPECT_EQ(keyed.key, "k");
    EXPECT_EQ(keyed.bytes, make_keyed_batch({{"k", "x"}, {"l", "y"}}).view.size());
    const auto second = page(2, {keyed.due, keyed.id});
    ASSERT_THAT(second.items, SizeIs(1));
    EXPECT_FALSE(second.more);
    EXPECT_EQ(second.items[0].id, 2U);
    EXPECT_THAT(page(2, {due, 2}).items, IsEmpty());
    EXPECT_THAT(page(0).items, SizeIs(1)) << "at least one";
}

TEST_F(schedule_test, what_was_appended_is_not_listed_though_the_store_still_has_it) {
    h.late_store = true;
    for (const char* payload : {"a", "b", "c"}) {
        schedule(payload, 1s);
    }
    schedule("d", 5s);
    schedule("e", 5s);
    h.publish("orders", {"now"});  // the store gets all of them
    h.pass(1s);
    ASSERT_THAT(h.store.schedules[topic], SizeIs(5));
    EXPECT_THAT(listed(2), ElementsAre(4, 5));
    EXPECT_THAT(listed(1), ElementsAre(4, 5));
}

TEST_F(schedule_test, a_list_of_what_was_appended_depends_on_that_commit) {
    schedule("a", 1s);
    schedule("b", 5s);
    skip(1s);
    h.state.tick(h.now, h.out);
    const commit_number gathering = h.gathering;
    const std::uint32_t id = 901;
    h.state.apply(request{h.admin, id, codec::schedule_list{.topic = "orders"}}, h.now, h.out);
    h.answer_fetches();
    const auto answer = h.answer_to(h.admin, id);
    ASSERT_TRUE(answer);
    EXPECT_THAT(std::get<codec::schedules>(answer->body).items, SizeIs(1));
    EXPECT_EQ(answer->depends_on, gathering);
    h.run();
}

TEST_F(schedule_test, the_topic_tells_how_much_is_scheduled) {
    EXPECT_EQ(h.topic_info("orders").scheduled, 0U);
    h.publish_as("orders", {"a", "b"}, {}, 0, schedule_time{.delay = 1s});
    schedule("c", 10min);
    const std::uint64_t bytes = make_batch({"a", "b"}).view.size() + make_batch({"c"}).view.size();
    EXPECT_EQ(h.topic_info("orders").scheduled, 3U);
    EXPECT_EQ(h.topic_info("orders").scheduled_bytes, bytes);
    h.restart();
    EXPECT_EQ(h.topic_info("orders").scheduled, 3U);
    EXPECT_EQ(h.topic_info("orders").scheduled_bytes, bytes);
    h.pass(1s);
    EXPECT_EQ(h.topic_info("orders").scheduled, 1U);
    EXPECT_EQ(cancel({2}), 1U);
    EXPECT_EQ(h.topic_info("orders").scheduled, 0U);
    EXPECT_EQ(h.topic_info("orders").scheduled_bytes, 0U);
}

// The memory they need is tested with the book alone.
// Promise: schedule.memory
TEST_F(schedule_test, more_than_memory_holds_come_in_order) {
    constexpr std::uint32_t count = 3000;
    static_assert(count > schedule_book::count_max);
    std::vector<std::string> expected(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t slot = 29 - i / 100;  // later ones are due earlier
        const std::string payload = std::to_string(i);
        expected[slot * 100 + i % 100] = payload;
        h.state.apply(
            request{
                h.admin, 900,
                publish_request{.topic = "orders",
                                .batch = make_batch({payload}),
                                .count = 1,
                                .later = schedule_time{.delay = 1s + slot * duration_us{10'000}}}},
            h.now, h.out);
    }
    h.run();
    EXPECT_THAT(listed(1000), SizeIs(count));
    h.pass(2s);
    EXPECT_EQ(in_log(), expected);
    EXPECT_THAT(h.store.schedules[topic], IsEmpty());
}

TEST_F(schedule_test, more_than_one_commit_appends_come_in_order_beside_publishes) {
    const std::string large(300'000, 'x');
    for (int i = 0; i < 10; ++i) {
        schedule(std::to_string(i) + large, 1s);
    }
    skip(1s);
    h.state.tick(h.now, h.out);
    h.publish("orders", {"now"});
    h.pass(1s);
    const auto all = in_log();
    ASSERT_THAT(all, SizeIs(11));
    EXPECT_THAT(all, Contains("now"));
    EXPECT_NE(all.back(), "now") << "publishes go on beside what is due";
    std::string order;
    for (const auto& each : all) {
        order += each == "now" ? "" : each.substr(0, 1);
    }
    EXPECT_EQ(order, "0123456789");
}

TEST_F(schedule_test, a_fetch_on_its_way_is_put_right_by_what_happens_meanwhile) {
    schedule("a", 5s);
    schedule("b", 6s);
    schedule("c", 7s);
    h.restart();
    h.hold_fetches = true;
    h.pass(1ms);
    const fetch held = take_fetch();
    fetch_result read = h.store.read(held.body);  // as it is now
    h.hold_fetches = false;
    EXPECT_EQ(cancel({2}), 1U);
    schedule("d", 3s);
    schedule("e", 4s);
    EXPECT_EQ(cancel({5}), 1U);
    for (int i = 0; i < 4; ++i) {
        h.publish("orders", {"p"});  // commits that let the book forget
    }
    h.apply(fetched{held.id, std::move(read)});
    EXPECT_THAT(listed(), ElementsAre(4, 1, 3));
    h.pass(10s);
    EXPECT_THAT(in_log(), ElementsAre("p", "p", "p", "p", "d", "a", "c"));
}

TEST_F(schedule_test, a_cancel_on_its_way_does_not_reach_what_was_appended_meanwhile) {
    schedule("a", 1s);
    schedule("b", 5s);
    h.hold_fetches = true;
    const auto id = h.send(h.admin, codec::schedule_cancel{.topic = "orders", .ids = {1, 2}});
    ASSERT_THAT(h.out.fetches, SizeIs(1));
    const fetch held = h.out.fetches.front();
    h.out.fetches.clear();
    fetch_result read = h.store.read(held.body);
    h.pass(1s);
    for (int i = 0; i < 4; ++i) {
        h.publish("orders", {"p"});
    }
    h.hold_fetches = false;
    h.apply(fetched{held.id, std::move(read)});
    const auto answer = h.answer_to(h.admin, id);
    ASSERT_TRUE(answer);
    EXPECT_EQ(std::get<codec::counted>(answer->body).messages, 1U);
    h.pass(10s);
    EXPECT_THAT(in_log(), ElementsAre("a", "p", "p", "p", "p"));
}

// Both do not fit into memory: the second waits in the store for the first to go.
TEST_F(schedule_test, a_large_one_that_has_no_room_yet_is_not_read_again_and_again) {
    static_assert(schedule_book::bytes_max < 3'000'000);
    schedule("small", 55s);
    const std::string part(1'000'000, 'x');
    h.publish_as("orders", {part, part, part}, {}, 0, schedule_time{.delay = 58s});
    h.restart();
    h.hold_fetches = true;
    int reads = 0;
    for (int i = 0; i < 600; ++i) {
        h.pass(100ms);
        for (const fetch& each : std::exchange(h.out.fetches, {})) {
            ++reads;
            h.apply(fetched{each.id, h.store.read(each.body)});
        }
    }
    EXPECT_THAT(in_log(), SizeIs(4));
    EXPECT_LT(reads, 10);
}

TEST_F(schedule_test, reads_that_fail_are_tried_again_and_warned_of) {
    schedule("x", 5s);
    h.restart();
    h.store.failing = true;
    h.pass(10s);
    EXPECT_THAT(in_log(), IsEmpty());
    EXPECT_THAT(h.state.warnings(h.now), Contains(AllOf(HasSubstr("scheduled for topic orders"),
                                                        HasSubstr("the test says so"))));
    EXPECT_EQ(h.ask_refused(h.admin, codec::schedule_list{.topic = "orders"}).code,
              error_code::storage_failed);
    EXPECT_EQ(h.ask_refused(h.admin, codec::schedule_cancel{.topic = "orders", .ids = {1}}).code,
              error_code::storage_failed);
    h.store.failing = false;
    h.pass(2s);
    EXPECT_THAT(in_log(), ElementsAre("x"));
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
}

TEST_F(schedule_test, a_read_that_succeeds_ends_the_warning_though_more_is_to_be_read_later) {
    schedule("soon", 5s);
    schedule("far", 10min);
    h.restart();
    h.store.failing = true;
    h.pass(1ms);
    EXPECT_THAT(h.state.warnings(h.now), SizeIs(1));
    h.store.failing = false;
    h.pass(2s);
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
}

TEST_F(schedule_test, nothing_left_to_be_read_ends_the_warning) {
    schedule("x", 5s);
    h.restart();
    h.store.failing = true;
    h.pass(1ms);
    h.store.failing = false;
    EXPECT_EQ(cancel({1}), 1U);
    EXPECT_THAT(h.state.warnings(h.now), SizeIs(1));
    h.pass(2s);
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
}

TEST_F(schedule_test, while_they_are_held_they_stay_scheduled) {
    h.state.hold_schedules(true);
    schedule("x", 1s);
    h.pass(5s);
    EXPECT_THAT(in_log(), IsEmpty());
    EXPECT_THAT(listed(), ElementsAre(1));
    h.state.hold_schedules(false);
    h.pass(1s);
    EXPECT_THAT(in_log(), ElementsAre("x"));
}

TEST_F(schedule_test, without_room_on_the_disk_new_ones_are_refused_and_due_ones_wait) {
    schedule("first", 1s);
    schedule("second", 2s);
    schedule("cancelled", 3s);
    schedule("later", 1h);
    h.state.hold_schedules(true);
    h.state.refuse_publishes("the disk is full");
    EXPECT_EQ(refusal({.delay = 1s}).code, error_code::resource_disk);
    EXPECT_EQ(refusal({.delay = 1s}).text, "the disk is full");
    const std::uint64_t refused = h.state.counters().refused_publishes;
    h.pass(5s);
    EXPECT_THAT(in_log(), IsEmpty());
    EXPECT_THAT(listed(), ElementsAre(1, 2, 3, 4));
    EXPECT_EQ(cancel({3}), 1U) << "which needs no room";
    h.restart();
    h.state.hold_schedules(true);
    h.pass(5s);
    EXPECT_THAT(in_log(), IsEmpty());
    h.state.hold_schedules(false);
    h.state.refuse_publishes({});
    h.pass(1s);
    EXPECT_THAT(in_log(), ElementsAre("first", "second"));
    EXPECT_THAT(listed(), ElementsAre(4));
    EXPECT_EQ(h.queue_info("orders/q").ready, 2U);
    EXPECT_EQ(h.state.counters().refused_publishes, refused) << "what is due is not refused";
}

TEST_F(schedule_test, go_with_their_topic_also_while_a_fetch_is_on_its_way) {
    schedule("a", 5s);
    h.restart();
    h.hold_fetches = true;
    h.pass(1ms);
    const auto listing = h.send(h.admin, codec::schedule_list{.topic = "orders"});
    const auto cancelling = h.send(h.admin, codec::schedule_cancel{.topic = "orders", .ids = {1}});
    schedule("b", 1s);
    h.ask<codec::ok>(h.admin, codec::topic_remove{.topic = "orders"});
    h.hold_fetches = false;
    h.run();
    for (const auto id : {listing, cancelling}) {
        const auto answer = h.answer_to(h.admin, id);
        ASSERT_TRUE(answer);
        EXPECT_EQ(std::get<codec::error>(answer->body).code, error_code::topic_removed);
    }
    h.pass(10s);
    EXPECT_THAT(h.store.schedules, Not(Contains(Key(topic))));
    h.make_queue("orders/q");
    EXPECT_THAT(listed(), IsEmpty());
    EXPECT_EQ(schedule("c", 1s), 1U) << "another topic";
    h.restart();
    topic = h.topic_info("orders").topic;
    h.pass(10s);
    EXPECT_THAT(in_log(), ElementsAre("c"));
}

// Promise: schedule.clock
TEST_F(schedule_test, a_clock_set_forward_brings_what_is_due_within_a_second) {
    schedule("x", 20s);
    h.now.wall += 30s;
    h.pass(1s);
    EXPECT_THAT(in_log(), ElementsAre("x"));
}

// Promise: schedule.clock
TEST_F(schedule_test, a_clock_set_back_neither_loses_nor_repeats) {
    schedule("a", 1s);
    schedule("b", 5s);
    h.pass(2s);
    h.now.wall -= 30s;
    h.pass(33s - 1us);
    EXPECT_THAT(in_log(), ElementsAre("a"));
    h.pass(1us);
    EXPECT_THAT(in_log(), ElementsAre("a", "b"));
    h.pass(1min);
    EXPECT_THAT(in_log(), SizeIs(2));
}

TEST_F(schedule_test, a_clock_set_back_before_the_commit_appends_nothing_before_it_was_due) {
    const wall_time due = h.now.wall + 1s;
    schedule("x", schedule_time{.due = due});
    skip(1s);
    h.state.tick(h.now, h.out);
    h.now.wall -= 30s;
    h.run();
    h.publish("orders", {"y"});
    ASSERT_THAT(in_log(), ElementsAre("x", "y"));
    EXPECT_EQ(h.store.log[topic].at(0)->append_time(), due);
    EXPECT_EQ(h.store.log[topic].at(1)->append_time(), due) << "nor does the next";
}

TEST_F(schedule_test, times_that_can_not_be_are_refused) {
    const duration_us most{limits::schedule_ahead_max};
    EXPECT_EQ(refusal({.due = h.now.wall + 1s, .delay = 1s}).code, error_code::invalid_argument);
    EXPECT_EQ(refusal({.delay = -1us}).code, error_code::invalid_argument);
    EXPECT_EQ(refusal({.due = wall_from_us(-1)}).code, error_code::invalid_argument);
    EXPECT_EQ(refusal({.delay = most + 1us}).code, error_code::invalid_argument);
    EXPECT_EQ(refusal({.due = h.now.wall + most + 1us}).code, error_code::invalid_argument);
    EXPECT_THAT(listed(), IsEmpty());
    EXPECT_EQ(schedule("x", most), 1U) << "exactly the limit";
    EXPECT_EQ(schedule("x", schedule_time{.due = h.now.wall + most}), 2U);
    EXPECT_THAT(listed(), ElementsAre(1, 2));
    EXPECT_EQ(h.state.counters().refused_publishes, 5U);
}

TEST_F(schedule_test, what_can_not_be_published_can_not_be_scheduled) {
    EXPECT_EQ(refusal({.delay = 1s}, "nowhere").code, error_code::topic_not_found);
    h.ask<codec::topic_created>(
        h.admin, codec::topic_create{.topic = "small", .settings = {.max_message_bytes = 20}});
    EXPECT_EQ(refusal({.delay = 1s}, "small", std::string(12, 'x')).code,
              error_code::message_too_large);
    EXPECT_EQ(refusal({.delay = 1s}, "small", std::string(11, 'x')).code, error_code::ok);
}

TEST_F(schedule_test, a_cancel_names_one_schedule_at_least_and_not_too_many) {
    const auto refusal_of = [&](std::size_t count) {
        return h
            .ask_refused(h.admin,
                         codec::schedule_cancel{.topic = "orders",
                                                .ids = std::vector<std::uint64_t>(count, 1)})
            .code;
    };
    schedule("x", 1s);
    EXPECT_EQ(refusal_of(0), error_code::invalid_argument);
    EXPECT_EQ(refusal_of(limits::schedules_cancel_max + 1), error_code::invalid_argument);
    EXPECT_EQ(cancel(std::vector<std::uint64_t>(limits::schedules_cancel_max, 1)), 1U);
}

TEST_F(schedule_test, a_topic_without_schedules_has_none_and_one_that_is_not_there_is_refused) {
    EXPECT_THAT(listed(), IsEmpty());
    EXPECT_EQ(cancel({1}), 0U);
    EXPECT_EQ(h.ask_refused(h.admin, codec::schedule_list{.topic = "nowhere"}).code,
              error_code::topic_not_found);
    EXPECT_EQ(h.ask_refused(h.admin, codec::schedule_cancel{.topic = "nowhere", .ids = {1}}).code,
              error_code::topic_not_found);
}

}  // namespace
}  // namespace brokerd::domain::test
