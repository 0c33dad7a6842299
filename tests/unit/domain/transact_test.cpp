// Transactions: all of it or nothing, over topics and queues, resends and restarts.
#include <gmock/gmock.h>

#include "protocol/codec/record.hpp"
#include "protocol/types/limits.hpp"
#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr producer_id transactor{77};

struct transact_test : testing::Test {
    void SetUp() override {
        h.make_queue("in/work", {.lease = 1min, .backoff = 1h, .backoff_max = 1h});
        h.make_queue("other/work", {.lease = 1min, .backoff = 1h, .backoff_max = 1h});
        h.make_queue("out/q");
        worker = h.connect("worker@host:1");
        in = h.attach(worker, "in/work", 10, {}, consumer_id{1}).queue;
        other = h.attach(worker, "other/work", 10, {}, consumer_id{2}).queue;
        h.publish("in", {"a", "b", "c"});
        h.publish("other", {"x", "y"});
        for (received& each : h.deliveries(worker)) {
            (each.payload < "w" ? from_in : from_other).push_back(std::move(each));
        }
        ASSERT_THAT(from_in, SizeIs(3));
        ASSERT_THAT(from_other, SizeIs(2));
    }

    static publish_request part(const std::string& topic, const std::vector<std::string>& payloads,
                                std::optional<schedule_time> later = {}) {
        std::uint64_t largest = 0;
        for (const std::string& each : payloads) {
            largest = std::max<std::uint64_t>(largest, each.size() + codec::record_bytes_min);
        }
        return {.topic = topic,
                .batch = make_batch(payloads),
                .count = static_cast<std::uint32_t>(payloads.size()),
                .largest_record = largest,
                .later = later};
    }
    static codec::transact_settle settle_of(queue_id queue, std::vector<lease_run> runs,
                                            settle_action action = settle_action::ack) {
        return {.queue = queue, .action = action, .runs = std::move(runs)};
    }
    transaction_request both(std::uint64_t sequence = 1) const {
        return {.producer = transactor,
                .first_sequence = sequence,
                .publishes = {part("out", {"1", "2"}), part("other", {"z"})},
                .settles = {settle_of(in, {run_of(from_in[0])}),
                            settle_of(other, runs_of(from_other), settle_action::nack)}};
    }
    // Nothing of `both` was done.
    void expect_untouched() {
        EXPECT_EQ(h.queue_info("in/work").leased, 3U);
        EXPECT_EQ(h.queue_info("in/work").done, 0U);
        EXPECT_EQ(h.queue_info("other/work").leased, 2U);
        EXPECT_EQ(h.topic_info("out").next_offset, 0U);
        EXPECT_EQ(h.topic_info("other").next_offset, 2U);
    }
    static std::vector<std::uint64_t> bases_of(const codec::transacted& answer) {
        std::vector<std::uint64_t> bases;
        for (const auto& each : answer.publishes) {
            bases.push_back(each.base_offset);
        }
        return bases;
    }

    harness h;
    connection_id worker;
    queue_id in;
    queue_id other;
    std::vector<received> from_in;
    std::vector<received> from_other;
};

// Promise: transaction.whole, transaction.parts
TEST_F(transact_test, settles_and_publishes_in_one_commit) {
    const auto commits = h.gathering;
    const auto answer = h.ask<codec::transacted>(worker, both());
    EXPECT_FALSE(answer.duplicate);
    EXPECT_THAT(bases_of(answer), ElementsAre(0, 2));
    EXPECT_EQ(h.last_depends_on, commits) << "the answer waits for the commit that holds all of it";
    EXPECT_EQ(h.queue_info("in/work").done, 1U);
    EXPECT_EQ(h.queue_info("in/work").leased, 2U);
    EXPECT_EQ(h.queue_info("other/work").retrying, 2U);
    EXPECT_EQ(h.topic_info("out").next_offset, 2U);
    EXPECT_EQ(h.topic_info("other").next_offset, 3U);
    h.restart();
    EXPECT_EQ(h.queue_info("in/work").done, 1U);
    EXPECT_EQ(h.queue_info("other/work").retrying, 2U);
    EXPECT_EQ(h.queue_info("out/q").ready, 2U);
}

// Everything before the commit is lost, whichever part of it.
// Promise: transaction.whole
TEST_F(transact_test, a_crash_before_the_commit_leaves_nothing_of_it) {
    h.state.apply(request{worker, 900, both()}, h.now, h.out);
    h.restart();
    EXPECT_EQ(h.queue_info("in/work").done, 0U);
    EXPECT_EQ(h.queue_info("in/work").ready, 3U);
    EXPECT_EQ(h.queue_info("other/work").ready, 2U);
    EXPECT_EQ(h.topic_info("out").next_offset, 0U);
    const auto answer = h.ask<codec::transacted>(h.connect(), both());
    EXPECT_FALSE(answer.duplicate) << "a resend finds all of it or nothing";
    EXPECT_THAT(bases_of(answer), ElementsAre(0, 2));
}

// Promise: dedup.outcome
TEST_F(transact_test, a_resend_has_the_first_outcome) {
    const auto first = h.ask<codec::transacted>(worker, both());
    h.publish("out", {"between"});
    auto again = h.ask<codec::transacted>(worker, both());
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.publishes, first.publishes);
    h.restart();
    again = h.ask<codec::transacted>(h.connect(), both());
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.publishes, first.publishes);
    EXPECT_EQ(h.topic_info("out").next_offset, 3U);
}

TEST_F(transact_test, a_resend_without_publishes_is_known_too) {
    const transaction_request acks{
        .producer = transactor, .first_sequence = 5, .settles = {settle_of(in, runs_of(from_in))}};
    EXPECT_FALSE(h.ask<codec::transacted>(worker, acks).duplicate);
    const auto again = h.ask<codec::transacted>(worker, acks);
    EXPECT_TRUE(again.duplicate);
    EXPECT_THAT(again.publishes, IsEmpty());
    EXPECT_EQ(h.queue_info("in/work").done, 3U);
}

TEST_F(transact_test, sequences_are_their_own) {
    h.publish_as("out", {"plain"}, transactor, 1);
    h.ask<codec::settled>(worker, codec::settle{.queue = in,
                                                .confirm = true,
                                                .producer = transactor,
                                                .sequence = 1,
                                                .runs = {run_of(from_in[2])}});
    const auto answer = h.ask<codec::transacted>(worker, both());
    EXPECT_FALSE(answer.duplicate);
    EXPECT_THAT(bases_of(answer), ElementsAre(1, 2));
}

TEST_F(transact_test, sequences_in_part_used_are_refused) {
    h.ask<codec::transacted>(worker, both(1));  // 1 and 2
    const transaction_request overlapping{.producer = transactor,
                                          .first_sequence = 2,
                                          .publishes = {part("out", {"1"}), part("out", {"2"})}};
    EXPECT_EQ(h.ask_refused(worker, overlapping).code, error_code::sequence_mismatch);
    EXPECT_EQ(h.topic_info("out").next_offset, 2U);
}

TEST_F(transact_test, sequences_that_are_forgotten_are_refused) {
    h.ask<codec::transacted>(worker,
                             transaction_request{.producer = transactor,
                                                 .first_sequence = 2 + limits::producer_window,
                                                 .publishes = {part("out", {"late"})}});
    EXPECT_EQ(h.ask_refused(worker, both(1)).code, error_code::sequence_too_old);
    EXPECT_EQ(h.queue_info("in/work").leased, 3U);
}

// Promise: transaction.refused
TEST_F(transact_test, one_lease_that_is_gone_refuses_all_of_it) {
    h.settle(worker, other, settle_action::ack, {run_of(from_other[1])});
    const auto refused = h.ask_refused(worker, both());
    EXPECT_EQ(refused.code, error_code::lease_gone);
    EXPECT_THAT(refused.text, HasSubstr("other/work@1"));
    EXPECT_EQ(h.queue_info("in/work").leased, 3U);
    EXPECT_EQ(h.queue_info("other/work").leased, 1U);
    EXPECT_EQ(h.topic_info("out").next_offset, 0U);
    // Its sequences are free again.
    transaction_request rest = both();
    rest.settles[1].runs = {run_of(from_other[0])};
    EXPECT_FALSE(h.ask<codec::transacted>(worker, rest).duplicate);
}

// Promise: transaction.refused
TEST_F(transact_test, a_publish_that_is_refused_refuses_all_of_it) {
    transaction_request bad = both();
    bad.publishes.push_back(part("nowhere", {"1"}));
    const auto refused = h.ask_refused(worker, bad);
    EXPECT_EQ(refused.code, error_code::topic_not_found);
    EXPECT_THAT(refused.text, HasSubstr("brokerctl topic create nowhere"));
    expect_untouched();
    bad.publishes.back() = part("out", {"1"});
    bad.publishes.back().largest_record = limits::message_bytes_max + 1;
    EXPECT_EQ(h.ask_refused(worker, bad).code, error_code::message_too_large);
    expect_untouched();
    bad.publishes.back() = part("out", {"1"}, schedule_time{.due = h.now.wall, .delay = 1s});
    EXPECT_EQ(h.ask_refused(worker, bad).code, error_code::invalid_argument);
    expect_untouched();
}

// A full disk refuses what is new, and still knows what was done.
TEST_F(transact_test, without_room_only_what_is_new_is_refused) {
    h.ask<codec::transacted>(worker, both());
    h.publish_as("out", {"kept"}, producer_id{5}, 1);
    h.state.refuse_publishes("no room");
    EXPECT_TRUE(h.ask<codec::transacted>(worker, both()).duplicate);
    const auto resent = h.publish_as("out", {"kept"}, producer_id{5}, 1);
    EXPECT_TRUE(std::get<publish_accepted>(resent.body).duplicate);
    const auto fresh = h.publish_as("out", {"new"}, producer_id{5}, 2);
    EXPECT_EQ(std::get<publish_refused>(fresh.body).why.code, error_code::resource_disk);
    transaction_request what{.producer = transactor,
                             .first_sequence = 10,
                             .publishes = {part("out", {"1"})},
                             .settles = {settle_of(in, {run_of(from_in[1])})}};
    EXPECT_EQ(h.ask_refused(worker, what).code, error_code::resource_disk);
    what.publishes.clear();
    EXPECT_FALSE(h.ask<codec::transacted>(worker, what).duplicate);
    h.state.refuse_publishes({});
    h.publish("out", {"again"});
}

TEST_F(transact_test, runs_without_leases_name_nothing) {
    transaction_request what = both();
    what.settles[0].runs.push_back({0, 0, from_in[0].lease.epoch, 1});
    EXPECT_FALSE(h.ask<codec::transacted>(worker, what).duplicate);
}

TEST_F(transact_test, what_it_cannot_mean_is_refused) {
    transaction_request bad = both();
    bad.settles[1].action = settle_action::extend;
    EXPECT_EQ(h.ask_refused(worker, bad).code, error_code::invalid_argument);
    bad = both();
    bad.settles.push_back(settle_of(in, runs_of(from_in), settle_action::reject));
    const auto twice = h.ask_refused(worker, bad);
    EXPECT_EQ(twice.code, error_code::invalid_argument);
    EXPECT_THAT(twice.text, HasSubstr("in/work@0 twice"));
    bad = both();
    bad.producer = {};
    EXPECT_EQ(h.ask_refused(worker, bad).code, error_code::invalid_argument);
    bad = both(0);
    EXPECT_EQ(h.ask_refused(worker, bad).code, error_code::invalid_argument);
    bad = both();
    bad.settles[0].queue = queue_id{12345};
    EXPECT_EQ(h.ask_refused(worker, bad).code, error_code::queue_removed);
    expect_untouched();
}

// Promise: transaction.parts
TEST_F(transact_test, schedules_and_rejects) {
    const auto answer = h.ask<codec::transacted>(
        worker,
        transaction_request{
            .producer = transactor,
            .first_sequence = 1,
            .publishes = {part("out", {"now"}), part("out", {"later"}, schedule_time{.delay = 5s})},
            .settles = {settle_of(in, {run_of(from_in[1])}, settle_action::reject)}});
    EXPECT_THAT(bases_of(answer), ElementsAre(0, 1));
    EXPECT_EQ(h.queue_info("in/work").dead, 1U);
    EXPECT_EQ(h.topic_info("out").next_offset, 1U);
    h.pass(5s);
    EXPECT_EQ(h.topic_info("out").next_offset, 2U);
}

struct late_transact_test : transact_test {
    // The leases of both queues have ended with their connection; memory knows nothing of that any
    // more.
    void SetUp() override {
        transact_test::SetUp();
        h.close(worker);
        h.publish("out", {"p"});
        h.publish("out", {"q"});
        h.publish("out", {"r"});
        worker = h.connect();
    }
};

TEST_F(late_transact_test, late_leases_hold) {
    EXPECT_THAT(bases_of(h.ask<codec::transacted>(worker, both())), ElementsAre(3, 2));
    EXPECT_EQ(h.queue_info("in/work").done, 1U);
    EXPECT_EQ(h.queue_info("other/work").retrying, 2U);
    EXPECT_EQ(h.state_of("other", 0).attempts, 1U) << "the nack replaces the lost attempt";
}

TEST_F(late_transact_test, nothing_is_done_when_a_read_fails) {
    h.store.failing = true;
    EXPECT_EQ(h.ask_refused(worker, both()).code, error_code::storage_failed);
    h.store.failing = false;
    EXPECT_EQ(h.queue_info("in/work").retrying, 3U);
    EXPECT_EQ(h.topic_info("out").next_offset, 3U);
    EXPECT_FALSE(h.ask<codec::transacted>(worker, both()).duplicate);
}

TEST_F(late_transact_test, a_resend_that_overtakes_the_reads_has_the_outcome_too) {
    h.hold_fetches = true;
    const auto first = h.send(worker, both());
    const auto resent = h.send(worker, both());
    EXPECT_FALSE(h.answer_to(worker, first));
    h.hold_fetches = false;
    h.run();
    const auto one = h.answer_to(worker, first);
    const auto two = h.answer_to(worker, resent);
    ASSERT_TRUE(one && two);
    EXPECT_FALSE(std::get<codec::transacted>(one->body).duplicate);
    EXPECT_TRUE(std::get<codec::transacted>(two->body).duplicate);
    EXPECT_EQ(h.topic_info("out").next_offset, 5U);
}

// What changes in one queue while another one is read is not judged by what was read before.
TEST_F(late_transact_test, what_is_settled_during_the_reads_is_gone) {
    h.hold_fetches = true;
    const auto answer_next = [&] {
        ASSERT_FALSE(h.out.fetches.empty());
        const fetch next = std::move(h.out.fetches.front());
        h.out.fetches.erase(h.out.fetches.begin());
        h.apply(fetched{next.id, h.store.read(next.body)});
    };
    const auto request = h.send(worker, both());
    answer_next();  // that of in/work
    ASSERT_THAT(h.out.fetches, SizeIs(1));
    const fetch last = std::move(h.out.fetches.front());
    h.out.fetches.clear();
    h.send(worker, codec::settle{.queue = in,
                                 .action = settle_action::nack,
                                 .reason = "not now",
                                 .runs = {run_of(from_in[0])}});
    answer_next();
    for (int i = 0; i < 4; ++i) {
        h.publish("out", {"a commit"});
    }
    EXPECT_FALSE(h.answer_to(worker, request));
    h.apply(fetched{last.id, h.store.read(last.body)});
    const auto answer = h.answer_to(worker, request);
    ASSERT_TRUE(answer);
    EXPECT_EQ(std::get<codec::error>(answer->body).code, error_code::lease_gone);
    h.hold_fetches = false;
    h.run();
    EXPECT_EQ(h.state_of("in", 0).history.back().reason, "not now");
    EXPECT_EQ(h.queue_info("in/work").done, 0U);
}

// A lease that is lost while another queue is read holds as a late one.
TEST_F(late_transact_test, what_is_lost_during_the_reads_holds) {
    h.attach(worker, "in/work", 10, {}, consumer_id{1});
    h.publish("in", {"d"});
    const auto held = h.deliveries(worker);
    ASSERT_THAT(held, SizeIs(1));
    transaction_request what = both();
    what.settles[0].runs = {run_of(held[0])};  // nothing to read
    const auto asking = h.connect();
    h.hold_fetches = true;
    const auto request = h.send(asking, what);
    h.close(worker);
    for (int i = 0; i < 4; ++i) {
        h.publish("out", {"a commit"});
    }
    EXPECT_FALSE(h.answer_to(asking, request));
    h.hold_fetches = false;
    h.run();
    const auto answer = h.answer_to(asking, request);
    ASSERT_TRUE(answer);
    EXPECT_TRUE(std::holds_alternative<codec::transacted>(answer->body));
    EXPECT_EQ(h.queue_info("in/work").done, 1U);
}

TEST_F(late_transact_test, a_resend_is_known_although_a_queue_is_removed_during_its_reads) {
    h.hold_fetches = true;
    const auto first = h.send(worker, both());
    const auto resent = h.send(worker, both());
    // The reads of the first come, then the queue goes, then those of the second.
    ASSERT_THAT(h.out.fetches, SizeIs(2));
    const fetch later = std::move(h.out.fetches.back());
    h.out.fetches.pop_back();
    while (!h.out.fetches.empty()) {
        const fetch next = std::move(h.out.fetches.back());
        h.out.fetches.pop_back();
        h.apply(fetched{next.id, h.store.read(next.body)});
    }
    h.ask<codec::ok>(h.admin, codec::queue_remove{"other/work"});
    h.hold_fetches = false;
    h.apply(fetched{later.id, h.store.read(later.body)});
    const auto one = h.answer_to(worker, first);
    const auto two = h.answer_to(worker, resent);
    ASSERT_TRUE(one && two);
    EXPECT_TRUE(std::holds_alternative<codec::transacted>(one->body));
    ASSERT_TRUE(std::holds_alternative<codec::transacted>(two->body));
    EXPECT_TRUE(std::get<codec::transacted>(two->body).duplicate);
}

TEST_F(late_transact_test, a_queue_removed_during_the_reads_refuses_all_of_it) {
    h.hold_fetches = true;
    const auto request = h.send(worker, both());
    h.ask<codec::ok>(h.admin, codec::queue_remove{"other/work"});
    h.hold_fetches = false;
    h.run();
    const auto answer = h.answer_to(worker, request);
    ASSERT_TRUE(answer);
    EXPECT_EQ(std::get<codec::error>(answer->body).code, error_code::queue_removed);
    EXPECT_EQ(h.queue_info("in/work").retrying, 3U);
    EXPECT_EQ(h.topic_info("out").next_offset, 3U);
}

TEST_F(late_transact_test, a_goodbye_behind_it_waits) {
    h.attach(worker, "in/work", 10, {}, consumer_id{1});
    h.publish("in", {"d"});
    const auto held = h.deliveries(worker);
    ASSERT_THAT(held, SizeIs(1));
    transaction_request what = both();
    what.settles[0].runs.push_back(run_of(held[0]));
    h.hold_fetches = true;
    const auto request = h.send(worker, what);
    h.close(worker, true);
    h.hold_fetches = false;
    h.run();
    const auto answer = h.answer_to(worker, request);
    ASSERT_TRUE(answer);
    EXPECT_TRUE(std::holds_alternative<codec::transacted>(answer->body));
    EXPECT_EQ(h.queue_info("in/work").done, 2U);
    EXPECT_EQ(h.queue_info("in/work").consumers, 0U);
}

TEST_F(transact_test, leases_of_before_a_restart_hold) {
    h.restart();
    EXPECT_THAT(bases_of(h.ask<codec::transacted>(h.connect(), both())), ElementsAre(0, 2));
    EXPECT_EQ(h.queue_info("in/work").done, 1U);
    EXPECT_EQ(h.queue_info("in/work").ready, 2U);
    EXPECT_EQ(h.queue_info("other/work").retrying, 2U);
}

TEST_F(transact_test, a_seek_fences_them) {
    h.ask<codec::counted>(
        h.admin, codec::queue_seek{.queue = "other/work", .to = {.kind = position_kind::earliest}});
    EXPECT_EQ(h.ask_refused(worker, both()).code, error_code::lease_gone);
    EXPECT_EQ(h.queue_info("in/work").leased, 3U);
    EXPECT_EQ(h.topic_info("out").next_offset, 0U);
}

// A topic that goes takes no sequences with it.
TEST_F(transact_test, sequences_outlive_topics) {
    h.ask<codec::transacted>(worker, both());
    h.ask<codec::ok>(h.admin, codec::topic_remove{"out"});
    EXPECT_TRUE(h.ask<codec::transacted>(worker, both()).duplicate);
    h.restart();
    EXPECT_TRUE(h.ask<codec::transacted>(h.connect(), both()).duplicate);
}

}  // namespace
}  // namespace brokerd::domain::test
