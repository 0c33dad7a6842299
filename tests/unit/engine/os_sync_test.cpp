// Topics of durability os: what leaves without a sync, what does not, and when the sync comes.
#include <algorithm>

#include <gmock/gmock.h>

#include "tests/unit/engine/engine_fixture.hpp"

namespace brokerd::engine {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class os_sync_test : public engine_fixture {
protected:
    // Topic t of durability os with queue q, which has reserved offsets, and topic d.
    void make_topics() {
        start();
        open();
        ask(1, codec::topic_create{.topic = "t", .settings = {.durability = durability::os}});
        ask(2, codec::queue_create{.queue = "t/q"});
        ask(3, codec::topic_create{.topic = "d"});
        publish(4, "the first");
        settle_all();
        (void)take();
    }
    // A power cut, and a start after it.
    void start_again() {
        commits.running.reset();
        store.crash();
        make_core();
        start();
        open();
    }
    void publish_to_disk(std::uint32_t id) {
        auto request = publish_of("x");
        request.topic = "d";
        ask(id, std::move(request));
    }
    // Publishes, and the commit is applied without a sync.
    void publish_unsynced(std::uint32_t id) {
        publish(id);
        (void)finish();
        ASSERT_TRUE(commits.running);
        ASSERT_FALSE(commits.running->sync);
        complete();
        (void)finish();
    }
    // What is not synced yet is, and nothing more is wanted then.
    void let_interval_pass() {
        now.mono += os_sync_interval;
        (void)finish();
        ASSERT_TRUE(commits.running);
        EXPECT_TRUE(commits.running->sync);
        complete();
        (void)finish();
        EXPECT_FALSE(commits.running);
    }
    template <typename Body>
    const Body* first_of() const {
        for (const auto& out : sink.outputs) {
            if (const auto* body = std::get_if<Body>(&out.body)) {
                return body;
            }
        }
        return nullptr;
    }
    template <typename Mutation>
    [[nodiscard]] std::vector<Mutation> running() const {
        std::vector<Mutation> found;
        for (const auto& each : commits.running->batch) {
            if (const auto* mutation = std::get_if<Mutation>(&each)) {
                found.push_back(*mutation);
            }
        }
        return found;
    }
};

TEST_F(os_sync_test, a_publish_is_answered_when_its_commit_is_applied) {
    make_topics();
    publish(10);
    (void)finish();
    ASSERT_TRUE(commits.running);
    EXPECT_FALSE(commits.running->sync);
    EXPECT_THAT(take(), IsEmpty());
    complete();
    ASSERT_THAT(answered<domain::publish_accepted>(), ElementsAre(10));
    EXPECT_EQ(first_of<domain::publish_accepted>()->level, durability::os);
    EXPECT_EQ(store.unsynced_commits(), 1U);
}

TEST_F(os_sync_test, a_commit_that_reserves_is_synced) {
    start();
    open();
    ask(1, codec::topic_create{.topic = "t", .settings = {.durability = durability::os}});
    settle_all();
    publish(2);
    (void)finish();
    ASSERT_TRUE(commits.running);
    EXPECT_TRUE(commits.running->sync);
    EXPECT_THAT(running<domain::offsets_reserved>(), SizeIs(1));
    complete();
    EXPECT_EQ(store.unsynced_commits(), 0U);
}

// Promise: os.interval
TEST_F(os_sync_test, what_was_applied_is_synced_within_the_interval) {
    make_topics();
    publish(10);
    (void)finish();
    now.mono += 3ms;
    complete();
    const mono_time first = now.mono - 3ms;  // when that commit began
    EXPECT_LE(finish(), first + limits::os_sync_default);
    publish_unsynced(11);
    publish_unsynced(12);
    EXPECT_LE(finish(), first + limits::os_sync_default) << "the oldest one counts";
    EXPECT_FALSE(core().idle());
    now.mono = first + limits::os_sync_default - 1us;
    (void)finish();
    EXPECT_FALSE(commits.running);
    now.mono += 1us;
    (void)finish();
    ASSERT_TRUE(commits.running) << "although nothing is gathered";
    EXPECT_TRUE(commits.running->sync);
    EXPECT_THAT(commits.running->batch, IsEmpty());
    complete();
    (void)finish();
    EXPECT_EQ(store.unsynced_commits(), 0U);
    EXPECT_TRUE(core().idle());
}

// Promise: os.interval
TEST_F(os_sync_test, under_load_some_commit_is_synced_in_each_interval) {
    make_topics();
    int synced = 0;
    for (std::uint32_t i = 0; i < 100; ++i) {
        publish(10 + i);
        (void)finish();
        ASSERT_TRUE(commits.running);
        synced += commits.running->sync ? 1 : 0;
        now.mono += 1ms;
        complete();
        EXPECT_LE(store.unsynced_commits(), 10U);
    }
    EXPECT_GE(synced, 9);
    EXPECT_LE(synced, 10);
}

TEST_F(os_sync_test, a_neighbour_that_needs_a_sync_has_it_and_all_before_too) {
    make_topics();
    publish_unsynced(10);
    publish(11);
    publish_to_disk(12);
    (void)finish();
    ASSERT_TRUE(commits.running);
    EXPECT_TRUE(commits.running->sync);
    complete();
    EXPECT_THAT(answered<domain::publish_accepted>(), ElementsAre(10, 11, 12));
    EXPECT_EQ(store.unsynced_commits(), 0U);
    const int before = commits.started;
    now.mono += 1s;
    (void)finish();
    EXPECT_EQ(commits.started, before) << "all is synced";
}

// Promise: os.others
TEST_F(os_sync_test, others_wait_for_the_sync_while_commits_pass_them) {
    make_topics();
    publish_unsynced(10);
    publish(11);
    (void)finish();
    ASSERT_TRUE(commits.running);
    publish_to_disk(12);  // while that commit runs
    complete();
    EXPECT_THAT(answered<domain::publish_accepted>(), ElementsAre(10, 11));
    (void)finish();
    ASSERT_TRUE(commits.running);
    EXPECT_TRUE(commits.running->sync);
    complete();
    EXPECT_THAT(answered<domain::publish_accepted>(), ElementsAre(10, 11, 12));
}

TEST_F(os_sync_test, deliveries_and_reads_leave_when_their_commit_is_applied) {
    make_topics();
    ask(5, codec::attach{.queue = "t/q", .consumer = consumer_id{1}});
    settle_all();
    (void)take();
    ask(6, codec::read{.topic = "t",
                       .from = {.kind = position_kind::latest},
                       .messages_max = 1,
                       .bytes_max = 1000,
                       .wait = duration_us{1s}});
    publish_unsynced(10);
    EXPECT_THAT(answered<domain::delivery>(), ElementsAre(0));
    EXPECT_THAT(answered<domain::read_result>(), ElementsAre(6));
    EXPECT_EQ(store.unsynced_commits(), 1U);
}

TEST_F(os_sync_test, what_tells_of_more_than_messages_waits_for_the_sync_of_what_it_depends_on) {
    make_topics();
    publish_unsynced(10);
    (void)take();
    ask(11, codec::message_show{.topic = "t", .offset = 1});
    (void)finish();
    EXPECT_THAT(take(), IsEmpty());
    EXPECT_EQ(core().statistics().held_outputs, 1U);
    publish_unsynced(12);
    EXPECT_THAT(answered<domain::show_result>(), IsEmpty()) << "a later commit is applied only";
    EXPECT_EQ(core().statistics().held_outputs, 1U);
    let_interval_pass();
    EXPECT_THAT(answered<domain::show_result>(), ElementsAre(11));
    EXPECT_EQ(core().statistics().held_outputs, 0U);
}

TEST_F(os_sync_test, a_confirmed_ack_is_synced_at_once) {
    make_topics();
    ask(5, codec::attach{.queue = "t/q", .consumer = consumer_id{1}});
    settle_all();
    const auto* given = first_of<domain::delivery>();
    const auto* attached = first_of<codec::attached>();
    ASSERT_TRUE(given != nullptr && attached != nullptr);
    ask(6, codec::settle{
               .queue = attached->queue, .confirm = true, .runs = {given->runs.at(0).leases}});
    (void)finish();
    ASSERT_TRUE(commits.running);
    EXPECT_TRUE(commits.running->sync);
    EXPECT_THAT(answered<codec::settled>(), IsEmpty());
    complete();
    EXPECT_THAT(answered<codec::settled>(), ElementsAre(6));
}

TEST_F(os_sync_test, a_plain_ack_is_synced_within_100_ms_however_long_the_interval) {
    os_sync_interval = limits::os_sync_max;
    make_core();
    make_topics();
    ask(5, codec::attach{.queue = "t/q", .consumer = consumer_id{1}});
    settle_all();
    const auto* given = first_of<domain::delivery>();
    const auto* attached = first_of<codec::attached>();
    ASSERT_TRUE(given != nullptr && attached != nullptr);
    const codec::settle ack{.queue = attached->queue, .runs = {given->runs.at(0).leases}};
    publish_unsynced(6);
    now.mono += limits::plain_ack_sync_max;
    (void)finish();
    EXPECT_FALSE(commits.running) << "a publish may wait for longer";
    ask(7, ack);
    publish(8);
    (void)finish();
    ASSERT_TRUE(commits.running);
    EXPECT_FALSE(commits.running->sync);
    complete();
    EXPECT_LE(finish(), now.mono + limits::plain_ack_sync_max);
    now.mono += limits::plain_ack_sync_max;
    (void)finish();
    ASSERT_TRUE(commits.running);
    EXPECT_TRUE(commits.running->sync);
}

TEST_F(os_sync_test, health_is_proven_by_a_sync) {
    make_topics();
    std::optional<health_state> state;
    core().request_health([&](const health_state& s) { state = s; }, now);
    publish(10);
    (void)finish();
    ASSERT_TRUE(commits.running);
    EXPECT_TRUE(commits.running->sync);
    complete();
    EXPECT_TRUE(state && state->writable);
}

// Promise: os.offsets
TEST_F(os_sync_test, after_a_power_cut_no_offset_is_used_again) {
    make_topics();
    publish_unsynced(10);
    publish_unsynced(11);
    EXPECT_THAT(answered<domain::publish_accepted>(), ElementsAre(10, 11));
    (void)take();
    start_again();
    const offset_t reserved = 1 + limits::offsets_reserved_ahead;
    const auto& skipped = core().domain().skipped_at_start();
    ASSERT_THAT(skipped, SizeIs(1));
    EXPECT_EQ(skipped[0].topic, "t");
    EXPECT_EQ(skipped[0].offsets, (offset_range{1, limits::offsets_reserved_ahead}));
    EXPECT_EQ(core().statistics().domain.skipped_offsets, limits::offsets_reserved_ahead);
    publish(20);
    settle_all();
    const auto* accepted = first_of<domain::publish_accepted>();
    ASSERT_NE(accepted, nullptr);
    EXPECT_EQ(accepted->base_offset, reserved);
    EXPECT_TRUE(core().domain().check_invariants());
}

TEST_F(os_sync_test, a_stop_syncs_everything_and_gives_the_reservation_back) {
    make_topics();
    publish_unsynced(10);
    core().begin_stop(now);
    core().flush();
    EXPECT_FALSE(core().idle());
    (void)finish();
    ASSERT_TRUE(commits.running);
    EXPECT_TRUE(commits.running->sync);
    const auto given_back = running<domain::offsets_reserved>();
    ASSERT_THAT(given_back, SizeIs(1));
    EXPECT_EQ(given_back[0].below, 0U);
    complete();
    (void)finish();
    EXPECT_TRUE(core().idle());
    publish(11);  // came too late to be told, but is taken
    (void)finish();
    ASSERT_TRUE(commits.running);
    EXPECT_TRUE(commits.running->sync) << "nothing is reserved";
    complete();
    (void)finish();
    EXPECT_TRUE(core().idle());
    (void)take();
    start_again();
    EXPECT_THAT(core().domain().skipped_at_start(), IsEmpty());
    publish(20);
    settle_all();
    const auto* accepted = first_of<domain::publish_accepted>();
    ASSERT_NE(accepted, nullptr);
    EXPECT_EQ(accepted->base_offset, 3U);
}

TEST_F(os_sync_test, a_reload_syncs_what_was_applied) {
    make_topics();
    publish_unsynced(10);
    core().drop_and_reload({error_code::busy, "a test wants it"});
    settle_all();
    EXPECT_EQ(store.unsynced_commits(), 0U);
    EXPECT_TRUE(core().idle());
}

}  // namespace
}  // namespace brokerd::engine
