// What the engine promises: nothing leaves before its commit, one commit gathers while another
// runs, plain acks are lazy but not forgotten, an unknown outcome stops everything, state can be
// reloaded.
#include <algorithm>

#include <gmock/gmock.h>

#include "broker/engine/engine_limits.hpp"
#include "tests/unit/engine/engine_fixture.hpp"

namespace brokerd::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class engine_core_test : public engine_fixture {};

TEST_F(engine_core_test, nothing_is_taken_before_the_epoch_is_durable) {
    ASSERT_TRUE(core().load(now));
    EXPECT_FALSE(core().ready());
    EXPECT_TRUE(core().saturated());
    complete();
    EXPECT_TRUE(core().ready());
    EXPECT_FALSE(core().saturated());
    EXPECT_EQ(core().epoch(), broker_epoch{1});
}

// Promise: durability.disk
TEST_F(engine_core_test, an_answer_leaves_only_when_its_commit_is_durable) {
    start();
    make_queue();
    publish(10);
    (void)finish();
    ASSERT_TRUE(commits.running);
    EXPECT_THAT(take(), IsEmpty());
    complete();
    EXPECT_THAT(answered<domain::publish_accepted>(), ElementsAre(10));
}

TEST_F(engine_core_test, what_depends_on_no_commit_leaves_at_once) {
    start();
    make_queue();
    publish(10);
    (void)finish();
    ASSERT_TRUE(commits.running);
    ask(11, codec::queue_list{});
    (void)finish();
    EXPECT_THAT(answered<codec::queues>(), ElementsAre(11));
    EXPECT_THAT(answered<domain::publish_accepted>(), IsEmpty());
}

TEST_F(engine_core_test, the_next_commit_gathers_while_one_runs) {
    start();
    make_queue();
    const int before = commits.started;
    publish(10);
    (void)finish();
    for (std::uint32_t id = 11; id < 20; ++id) {
        publish(id);
        (void)finish();
    }
    EXPECT_EQ(commits.started, before + 1) << "one commit at a time";
    complete();
    EXPECT_THAT(answered<domain::publish_accepted>(), ElementsAre(10));
    (void)take();
    (void)finish();
    EXPECT_EQ(commits.started, before + 2) << "the other nine together";
    EXPECT_THAT(take(), IsEmpty());
    complete();
    EXPECT_THAT(answered<domain::publish_accepted>(), SizeIs(9));
}

// Promise: durability.seen
TEST_F(engine_core_test, deliveries_wait_for_the_commit_of_their_messages) {
    start();
    make_queue();
    ask(2, codec::attach{.queue = "t/q", .consumer = consumer_id{1}});
    settle_all();
    (void)take();
    publish(10);
    (void)finish();
    EXPECT_THAT(answered<domain::delivery>(), IsEmpty());
    complete();
    (void)finish();
    EXPECT_THAT(answered<domain::delivery>(), ElementsAre(0));
}

TEST_F(engine_core_test, nothing_is_delivered_to_a_consumer_behind_the_answer_to_its_detach) {
    start();
    make_queue();
    ask(2, codec::attach{.queue = "t/q", .consumer = consumer_id{1}});
    settle_all();
    publish(10);
    (void)finish();
    (void)take();
    ask(11, codec::detach{consumer_id{1}});
    (void)finish();
    EXPECT_THAT(take(), IsEmpty()) << "its message is not on the disk yet";
    complete();
    (void)finish();
    const auto outputs = take();
    const auto place_of = [&](auto is) { return std::ranges::find_if(outputs, is); };
    const auto delivery = place_of(
        [](const auto& out) { return std::holds_alternative<domain::delivery>(out.body); });
    const auto answer = place_of([](const auto& out) { return out.request == 11; });
    ASSERT_NE(answer, outputs.end());
    EXPECT_LT(delivery, answer);
}

TEST_F(engine_core_test, a_detach_waits_for_nothing_when_all_was_delivered) {
    start();
    make_queue();
    ask(2, codec::attach{.queue = "t/q", .consumer = consumer_id{1}, .prefetch_messages = 1});
    publish(10);
    settle_all();
    publish(11);
    (void)finish();
    ASSERT_TRUE(commits.running);
    ask(12, codec::detach{consumer_id{1}});
    (void)finish();
    EXPECT_THAT(answered<codec::ok>(), ElementsAre(12));
}

TEST_F(engine_core_test, a_turn_without_changes_commits_nothing) {
    start();
    make_queue();
    const int before = commits.started;
    ask(2, codec::queue_list{});
    ask(3, codec::topic_list{});
    (void)finish();
    EXPECT_EQ(commits.started, before);
}

// Promise: durability.ack
TEST_F(engine_core_test, plain_acks_are_synced_with_the_next_commit_or_after_100_ms) {
    start();
    make_queue();
    ask(2, codec::attach{.queue = "t/q", .consumer = consumer_id{1}});
    publish(3);
    settle_all();
    const auto outputs = take();
    const domain::delivery* given = nullptr;
    queue_id queue;
    for (const auto& out : outputs) {
        if (const auto* found = std::get_if<domain::delivery>(&out.body)) {
            given = found;
        } else if (const auto* attached = std::get_if<codec::attached>(&out.body)) {
            queue = attached->queue;
        }
    }
    ASSERT_NE(given, nullptr);
    const int before = commits.started;
    ask(4, codec::settle{.queue = queue, .runs = {given->runs[0].leases}});
    const auto wake = finish();
    EXPECT_EQ(commits.started, before) << "nobody waits for it";
    EXPECT_LE(wake, now.mono + limits::plain_ack_sync_max);
    now.mono += limits::plain_ack_sync_max;
    (void)finish();
    EXPECT_EQ(commits.started, before + 1);
    complete();
    EXPECT_TRUE(core().idle());
}

TEST_F(engine_core_test, what_falls_due_stays_scheduled_at_a_stop) {
    start();
    make_queue();
    core().begin_stop(now);
    publish(7, "x", 1, domain::schedule_time{});
    settle_all();
    EXPECT_THAT(answered<domain::publish_accepted>(), ElementsAre(7));
    now.mono += 10s;
    settle_all();
    EXPECT_TRUE(core().idle());
    EXPECT_EQ(topic().scheduled, 1U);
    EXPECT_EQ(topic().next_offset, 0U);
}

// Promise: durability.fail_stop
TEST_F(engine_core_test, an_unknown_outcome_stops_everything) {
    start();
    make_queue();
    publish(10);
    (void)finish();
    complete_with(storage::append_status::unknown);
    ASSERT_THAT(fatal, SizeIs(1));
    EXPECT_THAT(fatal[0], HasSubstr("as the test wants"));
    ask(11, codec::queue_list{});
    publish(12);
    EXPECT_EQ(finish(), mono_never);
    EXPECT_THAT(take(), IsEmpty()) << "no answer of any kind any more";
    EXPECT_FALSE(commits.running);
    EXPECT_TRUE(core().idle());
}

TEST_F(engine_core_test, a_failure_of_the_store_in_the_background_stops_everything) {
    start();
    storage::store_statistics measured;
    measured.failure = "compaction failed";
    core().disk_measured(measured);
    ASSERT_THAT(fatal, SizeIs(1));
    EXPECT_THAT(fatal[0], HasSubstr("compaction failed"));
}

TEST_F(engine_core_test, reload_goes_back_to_what_is_durable) {
    start();
    make_queue();
    publish(10, "kept");
    settle_all();
    (void)take();
    publish(11, "in the running commit");
    (void)finish();
    publish(12, "only in memory");
    core().drop_and_reload({error_code::busy, "a test wants it"});
    (void)finish();
    EXPECT_FALSE(sink.closed_for) << "not while a commit runs";
    complete();
    (void)take();
    (void)finish();
    ASSERT_TRUE(sink.closed_for);
    EXPECT_EQ(sink.closed_for->text, "a test wants it");
    complete();
    EXPECT_TRUE(core().ready());
    EXPECT_EQ(core().epoch(), broker_epoch{2});
    EXPECT_THAT(answered<domain::publish_accepted>(), IsEmpty());

    // Connections from before are forgotten, new ones find what was durable.
    ask(13, codec::topic_list{});
    (void)finish();
    EXPECT_THAT(take(), IsEmpty());
    open(2);
    EXPECT_EQ(topic(2).next_offset, 2U);
}

TEST_F(engine_core_test, what_was_counted_since_the_start_is_counted_after_a_reload_too) {
    start();
    make_queue();
    publish(10);
    settle_all();
    core().drop_and_reload({error_code::busy, "a test wants it"});
    settle_all();
    EXPECT_EQ(core().statistics().reloads, 1U);
    EXPECT_EQ(core().statistics().domain.published_messages, 1U);
}

TEST_F(engine_core_test, an_answer_for_a_state_that_was_dropped_is_dropped) {
    start();
    make_queue();
    const auto id = std::uint64_t{1};
    core().drop_and_reload({error_code::busy, "a test wants it"});
    settle_all();
    core().answered({1, {id, domain::log_fetched{}}}, now);
    settle_all();
    EXPECT_TRUE(core().domain().check_invariants());
}

TEST_F(engine_core_test, a_read_that_finds_the_pool_full_is_answered) {
    start();
    make_queue();
    publish(10);
    settle_all();
    core().drop_and_reload({error_code::busy, "so that no chunk is in memory"});
    settle_all();
    open(2);
    (void)take();
    fetches.full = true;
    ask(11, codec::read{.topic = "t"}, 2);
    (void)finish();
    const auto outputs = take();
    ASSERT_THAT(outputs, SizeIs(1));
    ASSERT_TRUE(std::holds_alternative<codec::error>(outputs[0].body));
    EXPECT_EQ(std::get<codec::error>(outputs[0].body).code, error_code::busy);
    EXPECT_EQ(core().statistics().fetches_refused, 1U);
}

// Promise: explain.health
TEST_F(engine_core_test, health_forces_a_commit_and_waits_for_it) {
    start();
    std::optional<health_state> state;
    core().request_health([&](const health_state& s) { state = s; }, now);
    const int before = commits.started;
    (void)finish();
    EXPECT_EQ(commits.started, before + 1);
    EXPECT_FALSE(state);
    complete();
    ASSERT_TRUE(state);
    EXPECT_TRUE(state->writable);
    EXPECT_THAT(state->warnings, IsEmpty());
}

// Promise: explain.health
TEST_F(engine_core_test, health_wants_a_commit_that_started_after_it) {
    start();
    make_queue();
    publish(10);
    (void)finish();
    std::optional<health_state> state;
    core().request_health([&](const health_state& s) { state = s; }, now);
    (void)finish();
    complete();
    EXPECT_FALSE(state);
    (void)finish();
    complete();
    EXPECT_TRUE(state && state->writable);
}

// Promise: explain.health
TEST_F(engine_core_test, health_fails_when_a_commit_does_not_come_back) {
    start();
    std::optional<health_state> state;
    core().request_health([&](const health_state& s) { state = s; }, now);
    EXPECT_EQ(finish(), now.mono + commit_stuck);
    now.mono += commit_stuck;
    (void)finish();
    ASSERT_TRUE(state);
    EXPECT_FALSE(state->writable);
    ASSERT_THAT(state->warnings, SizeIs(1));
    EXPECT_THAT(state->warnings[0], HasSubstr("10 s"));
    // And at once while it lasts.
    state.reset();
    core().request_health([&](const health_state& s) { state = s; }, now);
    ASSERT_TRUE(state);
    EXPECT_FALSE(state->writable);
}

TEST_F(engine_core_test, a_slow_commit_is_counted_and_shown) {
    start();
    make_queue();
    publish(10);
    (void)finish();
    now.mono += commit_slow + 1ms;
    complete();
    EXPECT_EQ(core().statistics().slow_commits, 1U);
    std::optional<health_state> state;
    core().request_health([&](const health_state& s) { state = s; }, now);
    (void)finish();
    complete();
    ASSERT_TRUE(state);
    EXPECT_TRUE(state->writable);
    ASSERT_THAT(state->warnings, SizeIs(1));
    EXPECT_THAT(state->warnings[0], HasSubstr("501 ms"));
}

TEST_F(engine_core_test, too_much_gathered_stops_the_inbox_until_the_commit_is_back) {
    start();
    make_queue();
    publish(9);
    (void)finish();
    const std::string large(512 * limits::kib, 'x');
    std::uint32_t id = 10;
    while (!core().saturated() && id < 1000) {
        publish(id++, large);
    }
    EXPECT_LE(id - 10, gathering_bytes_max / large.size() + 1);
    (void)finish();
    complete();
    (void)finish();
    EXPECT_FALSE(core().saturated());
    EXPECT_EQ(fetches.maintain_calls, 1) << "much was written: the disk is measured";
}

// A million messages that fail at once are not one commit, which would hold up all others.
TEST_F(engine_core_test, too_many_changes_stop_the_inbox_too) {
    start();
    make_queue();
    publish(9);
    (void)finish();
    std::uint32_t id = 10;
    while (!core().saturated() && id < 100'000) {
        ask(id, codec::topic_set{.topic = "t", .settings = {.keep_done = (id % 2 + 1) * 1s}});
        ++id;
    }
    EXPECT_LE(id - 10, gathering_changes_max);
    (void)finish();
    complete();
    (void)finish();
    EXPECT_FALSE(core().saturated());
}

TEST_F(engine_core_test, too_much_that_led_to_nothing_does_not_stop_the_inbox_for_good) {
    start();
    open();
    const auto large = publish_of(std::string(512 * limits::kib, 'x'));
    std::uint32_t id = 10;
    for (std::size_t bytes = 0; bytes <= gathering_bytes_max; bytes += large.batch.view.size()) {
        auto nowhere = large;
        nowhere.topic = "nowhere";
        ask(id++, std::move(nowhere));
    }
    (void)finish();
    if (commits.running) {
        complete();
        (void)finish();
    }
    EXPECT_FALSE(core().saturated());
}

TEST_F(engine_core_test, what_transactions_publish_counts_as_gathered) {
    start();
    make_queue();
    publish(9);
    (void)finish();
    const auto large = publish_of(std::string(512 * limits::kib, 'x'));
    std::uint64_t sequence = 1;
    while (!core().saturated() && sequence < 1000) {
        ask(10, domain::transaction_request{.producer = producer_id{7},
                                            .first_sequence = sequence,
                                            .publishes = {large, large},
                                            .settles = {}});
        sequence += 2;
    }
    EXPECT_LE(sequence - 1, gathering_bytes_max / large.batch.view.size() + 2);
}

}  // namespace
}  // namespace brokerd::engine
