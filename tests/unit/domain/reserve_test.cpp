// Topics of durability os: what leaves before the sync, and that no offset is used twice, whatever
// a stop without goodbye has left behind.
#include <algorithm>
#include <set>

#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t ahead = limits::offsets_reserved_ahead;

struct reserve_test : testing::Test {
    void SetUp() override { make_topic("t"); }

    void make_topic(const std::string& name) {
        h.ask<codec::topic_created>(
            h.admin,
            codec::topic_create{.topic = name, .settings = {.durability = durability::os}});
    }
    void set_topic(const topic_settings& settings) {
        h.ask<codec::ok>(h.admin, codec::topic_set{.topic = "t", .settings = settings});
    }
    // Applies a publish of one message, and no more.
    output apply_publish(const std::string& payload = "x",
                         std::optional<schedule_time> later = std::nullopt) {
        h.state.apply(
            request{h.admin, 900,
                    publish_request{
                        .topic = "t", .batch = make_batch({payload}), .count = 1, .later = later}},
            h.now, h.out);
        EXPECT_THAT(h.out.outputs, SizeIs(1));
        return h.out.outputs.empty() ? output{} : h.out.outputs.front();
    }
    // All reservations that were made, the newest last.
    [[nodiscard]] std::vector<offset_t> reservations() const {
        std::vector<offset_t> found;
        for (const mutation& each : h.store.history) {
            if (const auto* m = std::get_if<offsets_reserved>(&each)) {
                found.push_back(m->below);
            }
        }
        return found;
    }
    // What is skipped, as the store knows.
    [[nodiscard]] std::vector<offset_run> skipped() const {
        std::vector<offset_run> runs;
        for (const mutation& each : h.store.history) {
            if (const auto* m = std::get_if<offsets_skipped>(&each)) {
                runs = m->runs;
            }
        }
        return runs;
    }
    // Payloads by offset, read in pages.
    std::vector<std::pair<offset_t, std::string>> read_from(offset_t from, std::uint32_t page) {
        std::vector<std::pair<offset_t, std::string>> found;
        for (int pages = 0; pages < 100; ++pages) {
            const auto got = h.ask<read_result>(
                h.admin, codec::read{.topic = "t",
                                     .from = {.kind = position_kind::offset, .offset = from},
                                     .messages_max = page,
                                     .bytes_max = 1 << 20});
            if (got.runs.empty()) {
                EXPECT_EQ(got.position, got.next_offset);
                return found;
            }
            for (const received& each : messages_of(got.runs, {})) {
                EXPECT_GE(each.offset, from);
                found.emplace_back(each.offset, each.payload);
            }
            EXPECT_GT(got.position, found.back().first);
            from = got.position;
        }
        ADD_FAILURE() << "a reader does not come to an end";
        return found;
    }
    // What the queue gives out, acked as it comes.
    std::vector<offset_t> consume_all(connection_id one, queue_id q) {
        std::vector<offset_t> order;
        for (auto got = h.deliveries(one); !got.empty(); got = h.deliveries(one)) {
            for (const received& each : got) {
                order.push_back(each.offset);
            }
            EXPECT_EQ(h.settle(one, q, settle_action::ack, runs_of(got)).accepted, got.size());
        }
        return order;
    }
    // Three messages, a kill, three more, twice.
    void make_holes() {
        h.publish("t", {"a", "b", "c"});
        h.restart();
        second = h.publish("t", {"d", "e", "f"});
        h.restart();
        third = h.publish("t", {"g", "h", "i"});
        all = {0, 1, 2, second, second + 1, second + 2, third, third + 1, third + 2};
    }

    harness h;
    offset_t second = 0;
    offset_t third = 0;
    std::vector<offset_t> all;
};

// ---- what waits for a sync ----

// Promise: os.level
TEST_F(reserve_test, a_publish_leaves_when_it_is_applied_and_is_prompt) {
    h.publish("t", {"reserves"});
    const commit_number gathering = h.gathering;
    const output answer = apply_publish();
    EXPECT_TRUE(answer.when_applied);
    EXPECT_EQ(answer.depends_on, gathering);
    EXPECT_EQ(std::get<publish_accepted>(answer.body).level, durability::os);
    EXPECT_TRUE(h.out.prompt);
    EXPECT_FALSE(h.out.urgent);
    h.run();
    EXPECT_LT(h.durable, gathering);
}

TEST_F(reserve_test, the_commit_that_reserves_is_urgent) {
    (void)apply_publish();
    EXPECT_TRUE(h.out.urgent);
    EXPECT_THAT(h.out.mutations, SizeIs(1));
    h.run();
    EXPECT_THAT(reservations(), ElementsAre(1 + ahead));
}

TEST_F(reserve_test, a_resend_has_the_level_of_the_topic) {
    (void)h.publish_as("t", {"x"}, producer_id{5}, 1);
    output again = h.publish_as("t", {"x"}, producer_id{5}, 1);
    EXPECT_TRUE(std::get<publish_accepted>(again.body).duplicate);
    EXPECT_EQ(std::get<publish_accepted>(again.body).level, durability::os);
    EXPECT_TRUE(again.when_applied);
    set_topic({});
    again = h.publish_as("t", {"x"}, producer_id{5}, 1);
    EXPECT_EQ(std::get<publish_accepted>(again.body).level, durability::disk);
    EXPECT_FALSE(again.when_applied);
}

// Promise: os.others
TEST_F(reserve_test, a_schedule_is_synced) {
    h.publish("t", {"reserves"});
    const output answer = apply_publish("x", schedule_time{.delay = 5s});
    EXPECT_FALSE(answer.when_applied);
    EXPECT_EQ(std::get<publish_accepted>(answer.body).level, durability::disk);
    EXPECT_TRUE(h.out.urgent);
    h.run();
    h.pass(6s);
    EXPECT_EQ(h.topic_info("t").messages, 2U) << "it is appended when it is due";
}

// Promise: os.others
TEST_F(reserve_test, a_transaction_is_synced) {
    h.publish("t", {"reserves"});
    transaction_request what{.producer = producer_id{7}, .first_sequence = 1};
    what.publishes.push_back({.topic = "t", .batch = make_batch({"x"}), .count = 1});
    h.state.apply(request{h.admin, 900, std::move(what)}, h.now, h.out);
    ASSERT_THAT(h.out.outputs, SizeIs(1));
    EXPECT_FALSE(h.out.outputs[0].when_applied);
    EXPECT_TRUE(h.out.urgent);
    h.run();
}

TEST_F(reserve_test, deliveries_and_reads_leave_when_they_are_applied) {
    h.make_queue("t/q");
    const auto one = h.connect();
    h.attach(one, "t/q");
    h.publish("t", {"x"});
    h.publish("t", {"y"});
    std::size_t deliveries = 0;
    for (const output& each : h.outputs) {
        if (std::holds_alternative<delivery>(each.body)) {
            EXPECT_TRUE(each.when_applied);
            ++deliveries;
        }
    }
    EXPECT_EQ(deliveries, 2U);
    const auto id = h.send(h.admin, codec::read{.topic = "t"});
    EXPECT_TRUE(h.answer_to(h.admin, id)->when_applied);
    const auto other = h.send(h.admin, codec::topic_list{});
    EXPECT_FALSE(h.answer_to(h.admin, other)->when_applied);
}

// The domain is told of no sync: it knows which of its commits are.
TEST_F(reserve_test, what_was_only_applied_is_not_taken_for_durable) {
    h.publish("t", {"reserves"});
    const commit_number commit = h.gathering;
    const offset_t offset = h.publish("t", {"x"});
    h.publish("t", {"y"});
    h.publish("t", {"z"});
    const auto show = [&] {
        const auto id = h.send(h.admin, codec::message_show{.topic = "t", .offset = offset});
        return h.answer_to(h.admin, id)->depends_on;
    };
    EXPECT_EQ(show(), commit);
    h.make_queue("t/synced");
    h.publish("t", {"back"});
    h.publish("t", {"and forth"});
    EXPECT_EQ(show(), commit_number{});
}

TEST_F(reserve_test, what_is_given_out_after_a_change_does_not_overtake_what_was_before) {
    h.make_queue("t/q");
    const auto one = h.connect();
    h.publish("t", {"reserves", "x"});
    set_topic({.keep_done = 1s, .durability = durability::os});
    const commit_number changed{h.gathering.value() - 1};
    h.state.apply(
        request{one, 901,
                codec::attach{.queue = "t/q", .consumer = consumer_id{1}, .prefetch_messages = 1}},
        h.now, h.out);
    h.state.dispatch(h.now, h.out);
    const auto given = std::ranges::find_if(h.out.outputs, [](const output& each) {
        return std::holds_alternative<delivery>(each.body);
    });
    ASSERT_NE(given, h.out.outputs.end());
    EXPECT_GE(given->depends_on, changed);
    h.run();
}

TEST(reserve_settings, a_broker_that_keeps_nothing_has_its_own_level) {
    harness h({.level = durability::memory});
    h.ask<codec::topic_created>(
        h.admin, codec::topic_create{.topic = "t", .settings = {.durability = durability::os}});
    const output answer = h.publish_as("t", {"x"}, {}, 0);
    EXPECT_EQ(std::get<publish_accepted>(answer.body).level, durability::memory);
    EXPECT_FALSE(answer.when_applied);
    h.restart();
    EXPECT_EQ(h.topic_info("t").next_offset, 1U) << "nothing was reserved";
}

TEST(reserve_settings, a_topic_cannot_ask_for_less_than_the_system) {
    harness h;
    const topic_settings settings{.durability = durability::memory};
    auto refused = h.ask_refused(h.admin, codec::topic_create{.topic = "t", .settings = settings});
    EXPECT_EQ(refused.code, error_code::invalid_setting);
    EXPECT_EQ(refused.text,
              "durability = memory is not for a topic: disk and os are allowed; for a broker that "
              "keeps nothing start it with --ephemeral");
    h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = "t"});
    refused = h.ask_refused(h.admin, codec::topic_set{.topic = "t", .settings = settings});
    EXPECT_EQ(refused.code, error_code::invalid_setting);
}

// ---- reserving ----

TEST_F(reserve_test, a_reservation_is_renewed_when_less_than_half_is_left) {
    h.publish("t", {"x"});
    ASSERT_THAT(reservations(), ElementsAre(1 + ahead));
    const std::vector<std::string> many(1024, "");
    offset_t next = 1;
    while (next + many.size() + ahead / 2 <= 1 + ahead) {
        h.publish("t", many);
        next += many.size();
    }
    EXPECT_THAT(reservations(), SizeIs(1));
    h.publish("t", many);
    next += many.size();
    EXPECT_THAT(reservations(), ElementsAre(1 + ahead, next + ahead));
}

TEST_F(reserve_test, a_clean_stop_gives_it_back) {
    h.publish("t", {"x", "y"});
    h.stop_and_start();
    EXPECT_EQ(reservations().back(), 0U);
    EXPECT_THAT(h.state.skipped_at_start(), IsEmpty());
    EXPECT_EQ(h.publish("t", {"z"}), 2U);
    EXPECT_EQ(reservations().back(), 3 + ahead);
}

TEST_F(reserve_test, what_is_published_behind_the_stop_is_synced) {
    h.publish("t", {"x"});
    h.state.release_reservations(h.now, h.out);
    h.run();
    const output answer = apply_publish();
    EXPECT_FALSE(answer.when_applied);
    EXPECT_EQ(std::get<publish_accepted>(answer.body).level, durability::disk);
    EXPECT_TRUE(h.out.urgent);
    h.run();
    h.power_cut();
    EXPECT_EQ(h.topic_info("t").next_offset, 2U);
    EXPECT_THAT(h.state.skipped_at_start(), IsEmpty());
}

TEST_F(reserve_test, a_topic_that_is_synced_again_gives_it_back) {
    h.publish("t", {"x"});
    h.publish("t", {"y"});
    set_topic({.durability = durability::disk});
    EXPECT_EQ(reservations().back(), 0U);
    h.power_cut();
    EXPECT_EQ(h.topic_info("t").next_offset, 2U) << "the change is synced, and all before it";
    const output answer = apply_publish();
    EXPECT_FALSE(answer.when_applied);
    EXPECT_FALSE(h.out.prompt);
    h.run();
    set_topic({.durability = durability::os});
    h.publish("t", {"z"});
    EXPECT_EQ(reservations().back(), 4 + ahead);
}

// ---- skipping ----

// Promise: os.offsets
TEST_F(reserve_test, a_power_cut_takes_messages_and_no_offset_is_used_twice) {
    h.make_queue("t/q");
    h.publish("t", {"kept"});
    h.publish("t", {"lost"});
    h.publish("t", {"lost too"});
    h.power_cut();
    ASSERT_THAT(h.state.skipped_at_start(), SizeIs(1));
    EXPECT_EQ(h.state.skipped_at_start()[0].topic, "t");
    EXPECT_EQ(h.state.skipped_at_start()[0].offsets, (offset_range{1, ahead}));
    EXPECT_EQ(h.state.counters().skipped_offsets, ahead);
    EXPECT_EQ(h.publish("t", {"new"}), 1 + ahead);
    EXPECT_EQ(h.topic_info("t").messages, 2U);
    EXPECT_EQ(h.queue_info("t/q").ready, 2U);
    EXPECT_THAT(read_from(0, 10), ElementsAre(std::pair(offset_t{0}, std::string("kept")),
                                              std::pair(1 + ahead, std::string("new"))));
}

TEST_F(reserve_test, a_kill_takes_nothing_and_goes_on_behind_the_reservation) {
    h.publish("t", {"a"});
    h.publish("t", {"b"});
    h.restart();
    EXPECT_EQ(h.topic_info("t").messages, 2U);
    EXPECT_EQ(h.topic_info("t").next_offset, 1 + ahead);
    h.restart();
    EXPECT_THAT(h.state.skipped_at_start(), IsEmpty()) << "nothing was given out since";
    EXPECT_EQ(h.topic_info("t").next_offset, 1 + ahead);
    EXPECT_EQ(h.publish("t", {"c"}), 1 + ahead);
}

TEST_F(reserve_test, a_producers_window_forgets_what_was_lost) {
    h.publish("t", {"reserves"});
    const output lost = h.publish_as("t", {"x"}, producer_id{5}, 1);
    h.power_cut();
    const output again = h.publish_as("t", {"x"}, producer_id{5}, 1);
    EXPECT_FALSE(std::get<publish_accepted>(again.body).duplicate);
    EXPECT_GT(std::get<publish_accepted>(again.body).base_offset,
              std::get<publish_accepted>(lost.body).base_offset);
}

TEST_F(reserve_test, neighbouring_runs_are_one) {
    for (int i = 0; i < 5; ++i) {
        h.publish("t", {"kept, as its commit reserves"});
        h.publish("t", {"lost"});
        h.power_cut();
    }
    EXPECT_THAT(skipped(), SizeIs(5));
    for (int i = 0; i < 5; ++i) {
        h.restart();
    }
    EXPECT_THAT(skipped(), SizeIs(5));
    h.store.history.emplace_back(offsets_reserved{topic_id{1}, h.topic_info("t").next_offset + 10});
    h.restart();
    ASSERT_THAT(skipped(), SizeIs(5)) << "what follows a run belongs to it";
    EXPECT_EQ(skipped().back().count, ahead + 10);
}

// Promise: os.skipped
TEST_F(reserve_test, a_read_from_within_goes_on_behind) {
    make_holes();
    const auto whole = read_from(0, 100);
    ASSERT_THAT(whole, SizeIs(9));
    for (const std::uint32_t page : {1U, 2U, 3U, 4U}) {
        EXPECT_EQ(read_from(0, page), whole) << page;
    }
    for (const offset_t from : {offset_t{3}, second - 1}) {
        const auto rest = read_from(from, 2);
        ASSERT_THAT(rest, SizeIs(6));
        EXPECT_EQ(rest.front(), std::pair(second, std::string("d")));
    }
    // All of it from the store, as a reader that comes after a start.
    h.restart();
    EXPECT_EQ(read_from(0, 2), whole);
    EXPECT_THAT(read_from(third + 3, 2), IsEmpty()) << "skipped up to the end";
    const auto late = h.ask<read_result>(
        h.admin,
        codec::read{.topic = "t", .from = {.kind = position_kind::offset, .offset = third + 5}});
    EXPECT_EQ(late.position, h.topic_info("t").next_offset);
}

TEST_F(reserve_test, a_read_that_waits_behind_skipped_offsets_gets_what_comes) {
    h.publish("t", {"a"});
    h.restart();
    const auto id =
        h.send(h.admin, codec::read{.topic = "t",
                                    .from = {.kind = position_kind::offset, .offset = 5},
                                    .messages_max = 10,
                                    .bytes_max = 1000,
                                    .wait = 10s});
    EXPECT_FALSE(h.answer_to(h.admin, id));
    const offset_t offset = h.publish("t", {"b"});
    const auto answer = h.answer_to(h.admin, id);
    ASSERT_TRUE(answer);
    const auto& got = std::get<read_result>(answer->body);
    ASSERT_THAT(got.runs, SizeIs(1));
    EXPECT_EQ(got.runs[0].leases.first_offset, offset);
}

TEST_F(reserve_test, a_position_by_time_is_that_of_a_message) {
    h.publish("t", {"a"});
    h.pass(10s);
    h.restart();
    h.pass(10s);
    const wall_time time = h.now.wall;
    const offset_t offset = h.publish("t", {"b"});
    for (int i = 0; i < 2; ++i) {
        const auto got = h.ask<read_result>(
            h.admin,
            codec::read{.topic = "t", .from = {.kind = position_kind::time, .time = time - 1s}});
        ASSERT_THAT(got.runs, SizeIs(1));
        EXPECT_EQ(got.runs[0].leases.first_offset, offset);
        h.restart();
    }
}

TEST_F(reserve_test, message_show_says_what_became_of_it) {
    h.make_queue("t/q");
    make_holes();
    const auto refused =
        h.ask_refused(h.admin, codec::message_show{.topic = "t", .offset = second - 1});
    EXPECT_EQ(refused.code, error_code::gone);
    EXPECT_EQ(refused.text, "t@" + std::to_string(second - 1) +
                                " was reserved and never stored: the broker stopped without "
                                "goodbye");
    EXPECT_EQ(h.state_of("t", second).state, message_state::ready);
    EXPECT_EQ(h.explain("t/q", 3), "done");
}

// ---- queues ----

// Promise: os.skipped
TEST_F(reserve_test, every_queue_gets_all_messages_and_no_more) {
    h.make_queue("t/shared");
    h.make_queue("t/keyed", {}, queue_mode::keyed);
    h.make_queue("t/single", {}, queue_mode::single);
    make_holes();
    h.restart();  // so that all is read from the store
    for (const char* name : {"t/shared", "t/keyed", "t/single"}) {
        EXPECT_EQ(h.queue_info(name).ready, 9U) << name;
        const auto one = h.connect();
        const auto q = h.attach(one, name).queue;
        EXPECT_EQ(consume_all(one, q), all) << name;
        const auto info = h.queue_info(name);
        EXPECT_EQ(info.ready + info.leased + info.retrying, 0U);
        EXPECT_EQ(info.floor, h.topic_info("t").next_offset);
    }
}

TEST_F(reserve_test, windows_of_any_size_cross_holes) {
    for (const std::size_t bytes : {1U, 100U, 200U, 400U, 1000U}) {
        h = harness({.read_ahead_bytes = bytes});
        make_topic("t");
        h.make_queue("t/q");
        h.make_queue("t/keyed", {}, queue_mode::keyed);
        make_holes();
        h.restart();
        for (const char* name : {"t/q", "t/keyed"}) {
            const auto one = h.connect();
            const auto q = h.attach(one, name, 2).queue;
            EXPECT_EQ(consume_all(one, q), all) << name << " " << bytes;
        }
    }
}

TEST_F(reserve_test, keys_are_searched_for_over_holes) {
    h.make_queue("t/q", {}, queue_mode::keyed);
    h.publish_keyed("t", {{"a"}, {"b"}, {"a"}});
    h.restart();
    h.publish_keyed("t", {{"a"}, {"b"}, {"c"}});
    h.restart();
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    const std::vector<offset_t> order = consume_all(one, q);
    EXPECT_THAT(order, SizeIs(6));
    std::vector<offset_t> of_a;
    std::ranges::copy_if(order, std::back_inserter(of_a), [](offset_t offset) {
        return offset == 0 || offset == 2 || offset == 3 + ahead;
    });
    EXPECT_TRUE(std::ranges::is_sorted(of_a));
    EXPECT_THAT(of_a, SizeIs(3));
}

TEST_F(reserve_test, a_queue_made_later_has_them_done) {
    make_holes();
    h.make_queue("t/early");
    EXPECT_EQ(h.queue_info("t/early").ready, 9U);
    const auto make_at = [&](const std::string& name, offset_t from) {
        h.ask<codec::queue_created>(
            h.admin, codec::queue_create{.queue = name,
                                         .start = {.kind = position_kind::offset, .offset = from}});
        return h.queue_info(name);
    };
    EXPECT_EQ(make_at("t/within", 100).ready, 6U);
    EXPECT_EQ(h.queue_info("t/within").floor, second);
    EXPECT_EQ(make_at("t/at_the_end", second).ready, 6U);
    EXPECT_EQ(make_at("t/last_skipped", third - 1).ready, 3U);
    h.restart();
    EXPECT_EQ(h.queue_info("t/early").ready, 9U);
    EXPECT_EQ(h.queue_info("t/within").ready, 6U);
    EXPECT_EQ(h.queue_info("t/last_skipped").ready, 3U);
    const auto one = h.connect();
    h.attach(one, "t/within");
    EXPECT_EQ(offsets_of(h.deliveries(one)), std::vector<offset_t>(all.begin() + 3, all.end()));
}

TEST_F(reserve_test, a_queue_that_moves_has_them_done) {
    h.make_queue("t/q");
    make_holes();
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 5).queue;
    const auto got = h.deliveries(one);
    ASSERT_THAT(got, SizeIs(5));
    h.settle(one, q, settle_action::reject, {run_of(got[1])});
    h.settle(one, q, settle_action::nack, {run_of(got[3])}, 1h);
    const auto seek = [&](offset_t to, bool dry_run) {
        return h
            .ask<codec::counted>(
                h.admin, codec::queue_seek{.queue = "t/q",
                                           .to = {.kind = position_kind::offset, .offset = to},
                                           .dry_run = dry_run})
            .messages;
    };
    h.ask<codec::ok>(h.admin, codec::queue_pause{.queue = "t/q", .paused = true});
    for (const auto& [to, ready] : {std::pair<offset_t, std::uint64_t>{0, 8},
                                    {100, 6},
                                    {second - 1, 6},
                                    {second + 1, 5},
                                    {third, 3},
                                    {third + 3, 0}}) {
        EXPECT_EQ(seek(to, true), ready) << to;
        EXPECT_EQ(seek(to, false), ready) << to;
        EXPECT_EQ(h.queue_info("t/q").ready, ready) << to;
        h.restart();
        EXPECT_EQ(h.queue_info("t/q").ready, ready) << to;
    }
    EXPECT_EQ(h.queue_info("t/q").dead, 1U);
}

TEST_F(reserve_test, filters_and_purges_pass_them) {
    h.make_queue("t/all");
    make_holes();
    h.ask<codec::queue_created>(
        h.admin,
        codec::queue_create{.queue = "t/some",
                            .settings = {.filter = "offset >= " + std::to_string(second + 1)}});
    h.pass(2s);
    EXPECT_EQ(h.queue_info("t/some").ready, 5U);
    h.restart();
    h.pass(20s);
    EXPECT_EQ(h.queue_info("t/some").ready, 5U);
    const auto purged = h.ask<codec::counted>(
        h.admin, codec::queue_purge{.queue = "t/all", .filter = "size >= 1", .limit = 4});
    EXPECT_EQ(purged.messages, 4U);
    EXPECT_EQ(h.queue_info("t/all").ready, 5U);
    EXPECT_EQ(h.ask<codec::counted>(h.admin, codec::queue_purge{.queue = "t/all"}).messages, 5U);
    EXPECT_EQ(h.queue_info("t/all").ready, 0U);
}

TEST_F(reserve_test, messages_expire_on_both_sides_of_a_hole) {
    set_topic({.ttl = 60s, .durability = durability::os});
    h.make_queue("t/q");
    make_holes();
    h.pass(90s);
    EXPECT_EQ(h.queue_info("t/q").ready, 0U);
    h.pass(5s);
    EXPECT_EQ(h.topic_info("t").messages, 0U);
    EXPECT_EQ(h.topic_info("t").bytes, 0U);
}

TEST_F(reserve_test, a_lease_of_a_lost_message_does_not_hold) {
    h.make_queue("t/q");
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    h.publish("t", {"kept"});
    h.publish("t", {"lost"});
    const auto got = h.deliveries(one);
    ASSERT_THAT(got, SizeIs(2));
    h.power_cut();
    const auto two = h.connect();
    const auto attached = h.attach(two, "t/q", 0, runs_of(got));
    ASSERT_THAT(attached.gone, SizeIs(1));
    EXPECT_EQ(attached.gone[0].first_offset, 1U);
    const auto settled = h.settle(two, q, settle_action::ack, {run_of(got[1])});
    EXPECT_EQ(settled.accepted, 0U);
    EXPECT_EQ(h.settle(two, q, settle_action::ack, {run_of(got[0])}).accepted, 1U);
}

TEST_F(reserve_test, the_trim_point_takes_them_along) {
    h.make_queue("t/q");
    make_holes();
    ASSERT_THAT(skipped(), SizeIs(2));
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    const auto got = h.deliveries(one);
    ASSERT_THAT(got, SizeIs(9));
    h.settle(one, q, settle_action::ack, {run_of(got[0]), run_of(got[1]), run_of(got[2])});
    h.pass(2s);
    EXPECT_EQ(h.topic_info("t").first_offset, second);
    EXPECT_EQ(h.topic_info("t").messages, 6U);
    EXPECT_THAT(skipped(), SizeIs(1));
    h.restart();
    EXPECT_EQ(h.topic_info("t").messages, 6U);
    const auto two = h.connect();
    h.attach(two, "t/q", 0, runs_of({got.begin() + 3, got.end()}));
    EXPECT_EQ(h.settle(two, q, settle_action::ack, runs_of({got.begin() + 3, got.end()})).accepted,
              6U);
    h.pass(2s);
    EXPECT_EQ(h.topic_info("t").first_offset, h.topic_info("t").next_offset);
    EXPECT_THAT(skipped(), IsEmpty());
    const offset_t end = h.topic_info("t").next_offset;
    h.stop_and_start();
    EXPECT_EQ(h.topic_info("t").next_offset, end);
    EXPECT_EQ(h.publish("t", {"x"}), end);
}

TEST_F(reserve_test, a_topic_that_is_made_again_has_none) {
    make_holes();
    h.ask<codec::ok>(h.admin, codec::topic_remove{.topic = "t"});
    make_topic("t");
    EXPECT_EQ(h.publish("t", {"x"}), 0U);
    EXPECT_EQ(h.topic_info("t").messages, 1U);
    h.stop_and_start();
    EXPECT_EQ(h.publish("t", {"y"}), 1U);
}

}  // namespace
}  // namespace brokerd::domain::test
