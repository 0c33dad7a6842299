// The audit of a mixed crash run bites: each ledger, fed with one broken promise of each kind,
// tells it, and tells nothing when all is well. No broker.
#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/crash/mix_clone.hpp"
#include "tests/crash/mix_ids.hpp"
#include "tests/crash/mix_leases.hpp"
#include "tests/crash/mix_order.hpp"
#include "tests/crash/mix_pattern.hpp"
#include "tests/crash/mix_priority.hpp"
#include "tests/crash/mix_publishes.hpp"
#include "tests/crash/mix_retry.hpp"
#include "tests/crash/mix_schedule.hpp"
#include "tests/crash/mix_temporary.hpp"
#include "tests/crash/mix_transaction.hpp"
#include "tests/crash/mix_ttl.hpp"
#include "tests/crash/mix_visits.hpp"

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

timestamp at_ms(std::int64_t ms) {
    return timestamp{} + std::chrono::milliseconds(ms);
}

class mix_audit : public testing::Test {
protected:
    // Exactly one finding, with these words.
    void expect_told(const char* words) { EXPECT_THAT(told.all(), ElementsAre(HasSubstr(words))); }
    void expect_nothing() { EXPECT_THAT(told.all(), IsEmpty()); }

    static stored_message stored(std::uint64_t offset, std::string payload, std::string id = {}) {
        stored_message message;
        message.offset = offset;
        message.payload = std::move(payload);
        message.id = std::move(id);
        return message;
    }
    static stored_message mortal(std::uint64_t offset, std::chrono::milliseconds ttl) {
        stored_message message = stored(offset, "short");
        message.ttl = ttl;
        return message;
    }
    static dead_message dead(std::uint64_t offset, std::uint32_t attempts, std::string reason) {
        dead_message message;
        message.offset = offset;
        message.attempts = attempts;
        message.reason = std::move(reason);
        return message;
    }

    // Numbers 1, 2, 3 published, the first two acknowledged at 0 and 1.
    publish_ledger& published() {
        for (std::uint64_t content = 1; content <= 3; ++content) {
            publishes.submitted(content);
        }
        publishes.acknowledged(0, 1);
        publishes.acknowledged(1, 2);
        return publishes;
    }

    findings told;
    publish_ledger publishes{"t", 1, told};
    lease_ledger leases{"t/q", told};
    order_ledger order{"t/q", told};
    id_ledger ids{"t", told};
    retry_ledger fates{"t/q", 3, told};
    schedule_ledger schedules{"t", told};
    expiry_ledger expiries{"t/q", expiry_policy::dead, told};
    visit_ledger visits{"t/q", told};
    transaction_ledger work{told};
    temporary_ledger temporaries{told};
    priority_ledger priorities{"t/q", 3, 1, told};
    pattern_ledger grown{"t.*/q", told};
};

TEST_F(mix_audit, accepts_publishes_that_are_all_there) {
    published().acknowledged(2, 3);
    publishes.found(2, 3);
    publishes.audit({{0, 1}, {1, 2}, {2, 3}});
    expect_nothing();
}

TEST_F(mix_audit, tells_a_lost_publish) {
    published().acknowledged(2, 3);
    publishes.audit({{0, 1}, {2, 3}});
    expect_told("t@1 with 2 is lost");
}

TEST_F(mix_audit, tells_a_publish_that_is_stored_twice) {
    published().acknowledged(2, 3);
    publishes.found(3, 3);
    expect_told("3 was delivered at 3 and is at 2 as well");
}

TEST_F(mix_audit, tells_an_offset_that_is_used_twice) {
    published().acknowledged(1, 3);
    EXPECT_THAT(told.all(), Contains(HasSubstr("t@1 was acknowledged with 3 and was 2")));
}

TEST_F(mix_audit, tells_a_publish_of_nobody) {
    published().found(2, 4);
    expect_told("which nobody published");
}

TEST_F(mix_audit, tells_publishes_out_of_order_and_without_an_answer) {
    published();
    publishes.audit({{0, 1}, {1, 2}});
    expect_told("3 was never acknowledged");
    findings others;
    publish_ledger swapped("t", 1, others);
    swapped.submitted(1);
    swapped.submitted(2);
    swapped.acknowledged(0, 2);
    swapped.acknowledged(1, 1);
    swapped.audit({{0, 2}, {1, 1}});
    EXPECT_THAT(others.all(), ElementsAre(HasSubstr("lies behind 2")));
}

TEST_F(mix_audit, accepts_redelivery_under_growing_leases_and_late_from_a_buffer) {
    leases.delivered(1, 0, {1, 1});
    leases.delivered(1, 0, {1, 5});
    leases.delivered(2, 0, {2, 1});
    leases.confirmed(0, {2, 1}, 2);
    leases.delivered(1, 0, {1, 7});  // given out long before
    expect_nothing();
}

TEST_F(mix_audit, tells_a_lease_that_does_not_grow) {
    leases.delivered(1, 0, {2, 1});
    leases.delivered(1, 0, {1, 9});
    expect_told("0 was leased as 2:1 and then as 1:9");
}

TEST_F(mix_audit, tells_a_lease_that_is_given_out_twice) {
    leases.delivered(1, 0, {1, 1});
    leases.delivered(2, 1, {1, 1});
    expect_told("lease 1:1 was given out for 0 and for 1");
}

TEST_F(mix_audit, tells_a_confirmed_ack_that_comes_back) {
    leases.delivered(1, 0, {1, 1});
    leases.confirmed(0, {1, 1}, 1);
    leases.delivered(2, 0, {2, 1});
    expect_told("after its ack (1:1) was confirmed");
}

TEST_F(mix_audit, accepts_keys_in_order) {
    order.delivered(0, "a", {1, 1});
    order.delivered(1, "b", {1, 2});
    order.answering(0, "a", {1, 1}, order_ledger::end::open);
    order.delivered(0, "a", {1, 3});
    order.answering(0, "a", {1, 3}, order_ledger::end::dead);
    order.delivered(2, "a", {1, 4});
    order.answering(2, "a", {1, 4}, order_ledger::end::done);
    order.delivered(0, "a", {2, 1});  // the reject was lost
    order.audit({{0, "a"}, {1, "b"}, {2, "a"}}, {0});
    expect_nothing();
}

TEST_F(mix_audit, tells_a_key_that_goes_on_too_early) {
    order.delivered(0, "a", {1, 1});
    order.answering(0, "a", {1, 1}, order_ledger::end::open);
    order.delivered(2, "a", {1, 2});
    order.audit({{0, "a"}, {2, "a"}}, {});
    expect_told("2 of key a was given out before 0 was done or dead");
}

TEST_F(mix_audit, tells_two_of_a_key_in_flight) {
    order.delivered(0, "a", {1, 1});
    order.delivered(2, "a", {1, 2});
    expect_told("2 was given out (1:2) while 0 of its key a was held");
}

TEST_F(mix_audit, tells_what_never_came_and_what_nobody_made_dead) {
    order.audit({{0, "a"}}, {});
    expect_told("0 was never delivered");
    findings others;
    order_ledger unwanted("t/q", others);
    unwanted.delivered(0, "", {1, 1});
    unwanted.audit({{0, ""}}, {0});
    EXPECT_THAT(others.all(), ElementsAre(HasSubstr("0 is dead, which nobody wanted")));
}

TEST_F(mix_audit, tells_an_id_that_is_stored_twice) {
    ids.submitted("x");
    ids.answered("x", 4, false);
    ids.answered("x", 4, true);
    ids.audit({stored(4, "x 1", "x")});
    expect_nothing();
    ids.audit({stored(4, "x 1", "x"), stored(5, "x 2", "x")});
    expect_told("id x is stored at 4 and 5");
}

TEST_F(mix_audit, tells_an_id_with_another_answer) {
    ids.answered("x", 4, true);
    ids.answered("x", 5, true);
    expect_told("id x is at 4 and was answered with 5");
}

TEST_F(mix_audit, tells_an_id_that_is_new_twice_or_lost) {
    ids.submitted("x");
    ids.answered("x", 4, false);
    ids.answered("x", 4, false);
    expect_told("id x was new twice");
    ids.audit({});
    EXPECT_THAT(told.all().back(), HasSubstr("id x is lost"));
}

TEST_F(mix_audit, accepts_attempts_that_are_known_or_unknown) {
    using kind = retry_ledger::kind;
    fates.delivered({0, {1, 1}, 1, {}});
    fates.answered(0, kind::nack, "one");
    fates.delivered({0, {2, 1}, 1, {}});  // the nack was lost
    fates.answered(0, kind::nack, "two");
    fates.confirmed(0, {2, 1});
    failed_attempt once;
    once.reason = "two";
    fates.delivered({0, {2, 2}, 2, {once}});
    fates.answered(0, kind::reject, "three");
    fates.confirmed(0, {2, 2});
    fates.audit({dead(0, 2, "three")});
    ASSERT_NE(fates.some_dead(7), nullptr);
    fates.redriving(0);
    fates.redrove(0, 1);
    fates.delivered({0, {2, 3}, 1, {once, once}});
    fates.answered(0, kind::ack, {});
    fates.audit({});
    expect_nothing();
}

TEST_F(mix_audit, tells_attempts_that_are_not_counted) {
    fates.delivered({0, {1, 1}, 1, {}});
    fates.answered(0, retry_ledger::kind::nack, "one");
    fates.confirmed(0, {1, 1});
    fates.delivered({0, {2, 1}, 1, {}});
    ASSERT_FALSE(told.all().empty());
    EXPECT_THAT(told.all().front(), HasSubstr("came as attempt 1 after 1 to 1 failed ones"));
}

TEST_F(mix_audit, tells_a_history_that_was_forgotten) {
    fates.delivered({0, {1, 1}, 1, {}});
    fates.answered(0, retry_ledger::kind::nack, "one");
    fates.confirmed(0, {1, 1});
    fates.delivered({0, {2, 1}, 2, {}});
    expect_told("0 tells of 0 failed attempts of 1");
}

TEST_F(mix_audit, tells_dead_messages_that_come_are_lost_or_never_died) {
    fates.delivered({0, {1, 1}, 1, {}});
    fates.answered(0, retry_ledger::kind::reject, "no");
    fates.confirmed(0, {1, 1});
    fates.audit({});
    expect_told("0 is dead and not listed");
    fates.audit({dead(0, 1, "no"), dead(1, 1, "no")});
    EXPECT_THAT(told.all().back(), HasSubstr("1 is dead, which nobody wanted"));
    fates.audit({dead(0, 2, "no")});
    EXPECT_THAT(told.all().back(), HasSubstr("is listed with 2"));
    fates.delivered({0, {1, 2}, 2, {}});
    EXPECT_THAT(told.all()[3], HasSubstr("0 was dead for sure and came again"));
}

TEST_F(mix_audit, tells_a_redrive_that_found_nothing_and_work_that_is_left) {
    fates.delivered({0, {1, 1}, 1, {}});
    fates.redrove(0, 0);
    expect_told("a redrive found 0 of it");
    fates.audit({});
    EXPECT_THAT(told.all().back(), HasSubstr("0 was not done and did not come again"));
}

class mix_audit_of_schedules : public mix_audit {
protected:
    // 1 due at 100 ms, 2 at 200 ms, 3 at 300 ms and cancelled.
    void SetUp() override {
        for (const std::uint64_t content : {1U, 2U, 3U}) {
            schedules.submitted(content, at_ms(static_cast<std::int64_t>(content) * 100));
            schedules.acknowledged(content, content + 10);
        }
        schedules.cancelling(3);
        schedules.cancelled(3, 1);
    }
    const schedule_ledger::appended first{1, 0, at_ms(100)};
    const schedule_ledger::appended second{2, 1, at_ms(250)};
};

TEST_F(mix_audit_of_schedules, accepts_what_came_in_time) {
    schedules.audit({first, second});
    expect_nothing();
}

TEST_F(mix_audit_of_schedules, tells_what_came_too_early) {
    schedules.audit({first, {2, 1, at_ms(199)}});
    expect_told("2 came 1000 us before it was due");
}

TEST_F(mix_audit_of_schedules, tells_what_came_twice) {
    schedules.audit({first, second, {1, 2, at_ms(300)}});
    expect_told("1 came twice");
}

TEST_F(mix_audit_of_schedules, tells_what_was_cancelled_and_came) {
    schedules.audit({first, second, {3, 2, at_ms(300)}});
    expect_told("3 was cancelled and came");
}

TEST_F(mix_audit_of_schedules, tells_what_never_came) {
    schedules.audit({second});
    expect_told("1 was scheduled and never came");
}

TEST_F(mix_audit_of_schedules, tells_an_id_that_was_given_twice) {
    schedules.submitted(4, at_ms(0));
    schedules.acknowledged(4, 11);
    expect_told("schedule 11 was given to 1 and to 4");
}

TEST_F(mix_audit, tells_a_delivery_of_what_had_expired) {
    expiries.attaching(at_ms(1000));
    expiries.delivered({0, at_ms(950), 100ms});
    expiries.delivered({1, at_ms(0), std::nullopt});
    expect_nothing();
    expiries.answering(0, at_ms(1200), false);
    expiries.delivered({0, at_ms(950), 100ms});
    expect_told("0 had expired for 150000 us");
}

TEST_F(mix_audit, tells_what_expired_and_is_not_dead_and_what_is_dead_and_did_not_expire) {
    expiries.answering(1, at_ms(1), true);
    expiries.audit({mortal(0, 1ms), stored(1, "long")}, {dead(0, 0, "ttl expired")});
    expect_nothing();
    expiries.audit({mortal(0, 1ms)}, {});
    expect_told("0 neither came nor is dead");
    expiries.audit({stored(1, "long")}, {dead(1, 0, "ttl expired")});
    EXPECT_THAT(told.all().back(), HasSubstr("1 lives for ever and is dead"));
    expiries.confirmed(2);
    expiries.audit({mortal(2, 1ms)}, {dead(2, 0, "ttl expired")});
    EXPECT_THAT(told.all().back(), HasSubstr("2 was done for sure and is dead"));
}

TEST_F(mix_audit, tells_what_is_not_for_a_queue_comes_after_it_was_done_or_never) {
    visits.expect(1);
    visits.expect(2);
    visits.delivered(1);
    visits.delivered(1);
    EXPECT_EQ(visits.missing(), 1U);
    expect_nothing();
    visits.audit();
    expect_told("2 never came");
    visits.delivered(3);
    EXPECT_THAT(told.all().back(), HasSubstr("3 came and is not for it"));
    visits.done(1);
    visits.delivered(1);
    EXPECT_THAT(told.all().back(), HasSubstr("1 was done for sure and came"));
    visits.done_below(3);
    EXPECT_EQ(visits.missing(), 0U);
}

TEST_F(mix_audit, tells_a_transaction_that_is_torn_refused_doubled_or_lost) {
    const std::vector<stored_message> both{stored(0, "1 7")};
    work.committed(7, 1, 0);
    work.audit({1}, both, both);
    expect_nothing();
    work.audit({1}, both, {});
    expect_told("input 1 has a bill and no reminder");
    work.audit({1}, both, {stored(0, "1 8")});
    EXPECT_THAT(told.all().back(), HasSubstr("done by transaction 7 and reminded of by 8"));
    work.audit({1}, {stored(0, "1 7"), stored(1, "1 7")}, both);
    EXPECT_THAT(told.all().back(), HasSubstr("input 1 has more than one bill"));
    work.committed(9, 1, 5);
    EXPECT_THAT(told.all().back(), HasSubstr("input 1 was done by transaction 7 and by 9"));
    work.audit({1}, both, both);
    EXPECT_THAT(told.all().back(), HasSubstr("bill 5 of 1 9 is lost"));
    work.refused(7);
    work.audit({1}, both, both);
    EXPECT_THAT(told.all(), Contains(HasSubstr("of transaction 7, which was refused")));
}

TEST_F(mix_audit, tells_a_clone_that_differs_from_its_source) {
    source_ledger source;
    source.delivered(0, 1);
    source.ended(0, source_ledger::state::dead);
    source.delivered(1, 1);
    source.failed(1);
    source.audit_dead("c", {dead(0, 1, "no")}, {dead(0, 1, "no")}, told);
    source.audit_attempt("c", 1, 2, told);
    expect_nothing();
    visit_ledger expected = source.expected("c", told);
    expected.delivered(0);
    expect_told("0 was done for sure and came");
    expected.audit();
    EXPECT_THAT(told.all().back(), HasSubstr("1 never came"));
    source.audit_attempt("c", 1, 1, told);
    EXPECT_THAT(told.all().back(), HasSubstr("1 failed 1 times and comes as attempt 1"));
    source.audit_dead("c", {dead(0, 1, "no")}, {dead(0, 1, "yes")}, told);
    EXPECT_THAT(told.all().back(), HasSubstr("are not the 1 of its source"));
    source.audit_dead("c", {}, {}, told);
    EXPECT_THAT(told.all().back(), HasSubstr("0 is not dead there"));
}

TEST_F(mix_audit, tells_a_priority_that_was_not_published) {
    priorities.submitted(7, 2);
    priorities.found(0, 7, 2);
    expect_nothing();
    priorities.found(0, 7, 1);
    expect_told("0 with 7 has priority 1 and was published with 2");
}

TEST_F(mix_audit, accepts_levels_in_order_but_for_what_failed_or_may_have_been_leased_at_a_kill) {
    priorities.failing(1);
    priorities.delivered(2, {1, 1});
    priorities.delivered(2, {2, 4});
    priorities.delivered(5, {2, 5});  // and released; its level is known
    priorities.drained(5, 9);         // as high as 2 of three levels
    priorities.drained(6, 2);
    priorities.drained(3, 0);  // leased at the kill, and nobody saw it
    priorities.drained(4, 1);
    priorities.drained(1, 2);
    priorities.drained(2, 2);
    priorities.drained(7, 1);
    priorities.drained(0, 0);
    priorities.audit(2);
    EXPECT_EQ(priorities.drained_count(), 8U);
    expect_nothing();
}

TEST_F(mix_audit, tells_a_level_that_goes_before_a_higher_one) {
    priorities.drained(0, 0);
    priorities.drained(1, 0);
    priorities.drained(2, 1);
    priorities.drained(3, 2);
    priorities.drained(4, 2);
    priorities.audit(2);
    expect_told("3 of 5 messages came out of order, first 2 of level 1 behind 1 of level 0");
}

TEST_F(mix_audit, tells_a_level_that_is_not_drained_in_order_and_a_message_that_is_twice) {
    priorities.delivered(3, {2, 1});
    for (const std::uint64_t offset : {4U, 3U, 2U}) {
        priorities.drained(offset, 1);
    }
    priorities.audit(2);
    expect_told("2 of 3 messages came out of order, first 3 of level 1 behind 4 of level 1");
    priorities.drained(3, 1);
    EXPECT_THAT(told.all().back(), HasSubstr("3 was drained twice"));
}

TEST_F(mix_audit, tells_what_a_pattern_queue_does_not_reach) {
    grown.made("t.1", true);
    grown.delivered("t.1", 0);
    grown.delivered("t.1", 1);
    grown.delivered("t.1", 1);
    grown.audit("t.1", {{0, 1}, {1, 2}});
    grown.audit_queues({"t.1"});
    expect_nothing();
    grown.audit("t.1", {{0, 1}, {1, 2}, {2, 3}});
    expect_told("t.1@2 with 3 never came");
    grown.delivered("t.2", 0);
    EXPECT_THAT(told.all().back(), HasSubstr("t.2@0 came, of a topic that nobody made"));
    grown.audit_queues({});
    EXPECT_THAT(told.all().back(), HasSubstr("t.1 has lost its queue of t.*/q"));
    grown.audit_queues({"t.1", "t.3"});
    EXPECT_THAT(told.all().back(), HasSubstr("t.3 has a queue of t.*/q and nobody made it"));
    grown.made("t.4", false);
    EXPECT_THAT(told.all().back(), HasSubstr("t.4 was made without its queue of t.*/q"));
}

TEST_F(mix_audit, tells_temporary_queues_that_stay_or_go_too_early) {
    temporaries.to_go("t/unused");
    temporaries.to_stay("t/used");
    temporaries.audit_staying({"t/used", "t/unused"});
    temporaries.audit_gone({"t/used"});
    expect_nothing();
    EXPECT_EQ(temporaries.left({"t/unused"}), 1U);
    temporaries.audit_gone({"t/unused"});
    expect_told("t/unused is unused and does not go");
    temporaries.audit_staying({});
    EXPECT_THAT(told.all().back(), HasSubstr("t/used is gone"));
}

}  // namespace
}  // namespace brokerd::crash
