// The engine while its state is loaded again, which may take long: the turns go on without it, and
// nothing of the dropped state reaches the new one.
#include <gmock/gmock.h>

#include "broker/engine/engine_limits.hpp"
#include "tests/unit/engine/engine_fixture.hpp"

namespace brokerd::engine {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class reload_test : public engine_fixture {
protected:
    // Queue t/q is there with one message; a load was asked for and has not come back.
    void start_reload() {
        start();
        make_queue();
        publish(10);
        settle_all();
        (void)take();
        hold_loads = true;
        core().drop_and_reload({error_code::busy, "a test wants it"});
        EXPECT_EQ(finish(), mono_never) << "only the load brings the next turn";
        ASSERT_TRUE(fetches.loading);
        ASSERT_TRUE(sink.closed_for);
    }
};

TEST_F(reload_test, turns_go_on_without_the_state) {
    start_reload();
    EXPECT_TRUE(core().saturated()) << "commands wait";
    EXPECT_FALSE(core().idle());
    now.mono += 1h;
    EXPECT_EQ(finish(), mono_never);
    EXPECT_FALSE(commits.running);
    const auto counted = core().statistics();
    EXPECT_EQ(counted.reloads, 1U);
    EXPECT_EQ(counted.domain.published_messages, 1U);
    EXPECT_EQ(core().epoch(), broker_epoch{1});
    (void)complete_load();
    EXPECT_TRUE(core().saturated()) << "the epoch is not durable";
    complete();
    EXPECT_FALSE(core().saturated());
    EXPECT_EQ(core().epoch(), broker_epoch{2});
    open(2);
    EXPECT_EQ(topic(2).next_offset, 1U);
    EXPECT_TRUE(core().domain().check_invariants());
}

TEST_F(reload_test, an_answer_to_the_dropped_state_is_dropped_while_it_loads) {
    start_reload();
    core().answered({1, {1, domain::log_fetched{}}}, now);
    EXPECT_EQ(finish(), mono_never);
    (void)complete_load();
    settle_all();
    EXPECT_TRUE(core().domain().check_invariants());
}

TEST_F(reload_test, what_the_disk_has_room_for_is_known_when_it_is_loaded) {
    start_reload();
    store.set_disk(storage::memory_store::disk_level::below_reserve);
    core().disk_measured(store.statistics());
    (void)complete_load();
    complete();
    open(2);
    publish(11, "x", 2);
    (void)finish();
    EXPECT_THAT(answered<domain::publish_refused>(), testing::ElementsAre(11));
}

TEST_F(reload_test, a_reload_wanted_meanwhile_comes_when_the_epoch_is_durable) {
    start_reload();
    core().drop_and_reload({error_code::busy, "another one"});
    EXPECT_EQ(finish(), mono_never);
    sink.closed_for.reset();
    (void)complete_load();
    EXPECT_FALSE(fetches.loading) << "not while a commit runs";
    complete();
    (void)finish();
    ASSERT_TRUE(sink.closed_for);
    EXPECT_EQ(sink.closed_for->text, "another one");
    (void)complete_load();
    complete();
    EXPECT_EQ(core().epoch(), broker_epoch{3});
}

TEST_F(reload_test, a_stop_waits_for_the_load_and_stores_nothing_of_the_dropped_state) {
    start();
    open();
    ask(1, codec::topic_create{.topic = "t", .settings = {.durability = durability::os}});
    publish(2);  // so that offsets are reserved
    settle_all();
    hold_loads = true;
    core().drop_and_reload({error_code::busy, "a test wants it"});
    (void)finish();
    core().begin_stop(now);
    core().flush();
    (void)finish();
    EXPECT_FALSE(commits.running);
    EXPECT_FALSE(core().idle());
    (void)complete_load();
    ASSERT_TRUE(commits.running);
    EXPECT_TRUE(commits.running->sync);
    complete();
    (void)finish();
    EXPECT_TRUE(core().idle());
    EXPECT_TRUE(core().domain().check_invariants());
    // The reservation was given back: the start skips nothing.
    make_core();
    start();
    EXPECT_THAT(core().domain().skipped_at_start(), IsEmpty());
}

TEST_F(reload_test, health_fails_when_the_load_does_not_come_back) {
    start_reload();
    std::optional<health_state> state;
    core().request_health([&](const health_state& s) { state = s; }, now);
    EXPECT_EQ(finish(), now.mono + commit_stuck);
    EXPECT_FALSE(state);
    now.mono += commit_stuck;
    EXPECT_EQ(finish(), mono_never);
    ASSERT_TRUE(state);
    EXPECT_FALSE(state->writable);
    ASSERT_THAT(state->warnings, SizeIs(1));
    EXPECT_THAT(state->warnings[0], HasSubstr("state"));
    EXPECT_THAT(state->warnings[0], HasSubstr("10 s"));
    (void)complete_load();
    complete();
    core().request_health([&](const health_state& s) { state = s; }, now);
    settle_all();
    EXPECT_TRUE(state->writable);
}

TEST_F(reload_test, a_load_that_fails_stops_everything) {
    start_reload();
    auto load = *std::exchange(fetches.loading, std::nullopt);
    load.found = refuse(error_code::storage_failed, "it is damaged");
    core().loaded(std::move(load), now);
    ASSERT_THAT(fatal, SizeIs(1));
    EXPECT_THAT(fatal[0], HasSubstr("it is damaged"));
    EXPECT_TRUE(core().idle());
    EXPECT_FALSE(core().saturated()) << "commands are dropped";
    open(2);
    EXPECT_EQ(finish(), mono_never);
}

TEST_F(reload_test, a_store_that_fails_meanwhile_stops_everything) {
    start_reload();
    storage::store_statistics measured;
    measured.failure = "compaction failed";
    core().disk_measured(measured);
    ASSERT_THAT(fatal, SizeIs(1));
    EXPECT_TRUE(core().idle());
    (void)complete_load();
    EXPECT_FALSE(commits.running);
    EXPECT_THAT(fatal, SizeIs(1));
}

}  // namespace
}  // namespace brokerd::engine
