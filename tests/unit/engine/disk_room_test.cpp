// What the engine does on a disk that is full, or nearly: publishes are refused, what is due waits,
// and everything goes on when there is room.
#include <gmock/gmock.h>

#include "tests/unit/engine/engine_fixture.hpp"

namespace brokerd::engine {
namespace {

using disk_level = storage::memory_store::disk_level;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class disk_room_test : public engine_fixture {};

// Promise: durability.full_disk
TEST_F(disk_room_test, publishes_are_refused_while_the_disk_is_nearly_full) {
    start();
    make_queue();
    storage::store_statistics measured;
    measured.room = {.free_bytes = 5 << 20, .below_reserve = true};
    core().disk_measured(measured);
    publish(10);
    ask(11, codec::queue_list{});
    (void)finish();
    const auto outputs = take();
    ASSERT_THAT(outputs, SizeIs(2));
    const auto& refused = std::get<domain::publish_refused>(outputs[0].body);
    EXPECT_EQ(refused.why.code, error_code::resource_disk);
    EXPECT_THAT(refused.why.text, HasSubstr("5 MiB"));
    measured.room.below_reserve = false;
    core().disk_measured(measured);
    publish(12);
    settle_all();
    EXPECT_THAT(answered<domain::publish_accepted>(), ElementsAre(12));
}

TEST_F(disk_room_test, transactions_that_publish_are_refused_likewise_and_others_pass) {
    start();
    make_queue();
    ask(2, codec::attach{.queue = "t/q", .consumer = consumer_id{1}, .prefetch_messages = 1});
    publish(3);
    settle_all();
    queue_id queue;
    std::vector<lease_run> leases;
    for (const auto& out : take()) {
        if (const auto* attached = std::get_if<codec::attached>(&out.body)) {
            queue = attached->queue;
        } else if (const auto* delivery = std::get_if<domain::delivery>(&out.body)) {
            leases.push_back(delivery->runs.at(0).leases);
        }
    }
    ASSERT_THAT(leases, SizeIs(1));
    storage::store_statistics measured;
    measured.room = {.free_bytes = 5 << 20, .below_reserve = true};
    core().disk_measured(measured);
    domain::transaction_request transaction{.producer = producer_id{7},
                                            .first_sequence = 1,
                                            .publishes = {publish_of("x")},
                                            .settles = {{.queue = queue, .runs = leases}}};
    ask(10, transaction);
    (void)finish();
    const auto outputs = take();
    ASSERT_THAT(outputs, SizeIs(1));
    const auto& refused = std::get<codec::error>(outputs[0].body);
    EXPECT_EQ(refused.code, error_code::resource_disk);
    EXPECT_THAT(refused.text, HasSubstr("5 MiB"));
    EXPECT_EQ(core().statistics().domain.refused_publishes, 1U);
    transaction.publishes.clear();
    store.set_disk(disk_level::below_reserve);
    ask(11, transaction);
    settle_all();
    EXPECT_THAT(answered<codec::transacted>(), ElementsAre(11));
}

TEST_F(disk_room_test, a_disk_full_from_the_start_refuses_the_first_publish) {
    store.set_disk(disk_level::below_reserve);
    start();
    open();
    publish(10);
    (void)finish();
    ASSERT_THAT(answered<domain::publish_refused>(), ElementsAre(10));
    EXPECT_FALSE(commits.running) << "nothing was taken";
    EXPECT_FALSE(sink.closed_for);
}

TEST_F(disk_room_test, what_was_taken_before_the_disk_was_nearly_full_is_still_written) {
    start();
    make_queue();
    publish(10);
    (void)finish();
    publish(11);
    store.set_disk(disk_level::below_reserve);
    complete();
    publish(12);
    settle_all();
    EXPECT_THAT(answered<domain::publish_accepted>(), ElementsAre(10, 11));
    EXPECT_THAT(answered<domain::publish_refused>(), ElementsAre(12));
    EXPECT_FALSE(sink.closed_for);
    store.set_disk(disk_level::roomy);
    core().request_health([](const health_state& /*state*/) {}, now);
    settle_all();
    (void)take();
    publish(13);
    settle_all();
    EXPECT_THAT(answered<domain::publish_accepted>(), ElementsAre(13));
}

TEST_F(disk_room_test, after_a_commit_refused_for_space_the_next_publish_is_refused) {
    start();
    make_queue();
    store.set_disk(disk_level::full);
    publish(10);
    settle_all();
    ASSERT_TRUE(sink.closed_for) << "the disk was not known to be full";
    EXPECT_EQ(sink.closed_for->code, error_code::resource_disk);
    sink.closed_for.reset();
    open(2);
    publish(11, "x", 2);
    settle_all();
    EXPECT_THAT(answered<domain::publish_refused>(), ElementsAre(11));
    EXPECT_FALSE(sink.closed_for);
}

TEST_F(disk_room_test, a_commit_refused_for_space_is_forgotten_and_everything_goes_on) {
    start();
    make_queue();
    publish(10);
    (void)finish();
    complete_with(storage::append_status::no_space);
    (void)finish();
    ASSERT_TRUE(sink.closed_for);
    EXPECT_EQ(sink.closed_for->code, error_code::resource_disk);
    complete();
    EXPECT_THAT(fatal, IsEmpty());
    open(2);
    EXPECT_EQ(topic(2).next_offset, 0U);
}

// ---- what falls due ----

class due_disk_test : public disk_room_test {
protected:
    // As the look at the disk does that comes now and then.
    void measure(disk_level level) {
        store.set_disk(level);
        core().disk_measured(store.statistics());
    }
    void pass(duration_us span) {
        now.mono += span;
        now.wall += span;
        settle_all();
    }
};

// Promise: durability.full_disk
TEST_F(due_disk_test, what_falls_due_waits_for_room_on_the_disk_also_over_a_start) {
    start();
    make_queue();
    publish(7, "x", 1, domain::schedule_time{.delay = 1s});
    settle_all();
    measure(disk_level::below_reserve);
    publish(8, "x", 1, domain::schedule_time{.delay = 1s});
    settle_all();
    EXPECT_THAT(answered<domain::publish_accepted>(), ElementsAre(7));
    EXPECT_THAT(answered<domain::publish_refused>(), ElementsAre(8));
    pass(5s);
    EXPECT_EQ(topic().scheduled, 1U);
    make_core();
    start();
    open();
    pass(5s);
    EXPECT_EQ(topic().scheduled, 1U);
    EXPECT_EQ(topic().next_offset, 0U);
    measure(disk_level::roomy);
    pass(1s);
    EXPECT_EQ(topic().scheduled, 0U);
    EXPECT_EQ(topic().next_offset, 1U);
}

// The commit that appends it fails for space before anybody knows that there is none.
// Promise: durability.full_disk
TEST_F(due_disk_test, what_falls_due_on_a_full_disk_is_not_lost) {
    start();
    make_queue();
    publish(7, "x", 1, domain::schedule_time{.delay = 1s});
    settle_all();
    store.set_disk(disk_level::full);
    pass(2s);
    ASSERT_TRUE(sink.closed_for) << "the disk was not known to be full";
    EXPECT_EQ(sink.closed_for->code, error_code::resource_disk);
    open();
    pass(5s);
    store.set_disk(disk_level::below_reserve);
    pass(5s);
    EXPECT_EQ(topic().scheduled, 1U);
    EXPECT_EQ(topic().next_offset, 0U);
    measure(disk_level::roomy);
    pass(1s);
    EXPECT_EQ(topic().scheduled, 0U);
    EXPECT_EQ(topic().next_offset, 1U);
    EXPECT_THAT(fatal, IsEmpty());
}

}  // namespace
}  // namespace brokerd::engine
