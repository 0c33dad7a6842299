// What explain says of what waits for a key, or for what comes before it.
#include "tests/unit/domain/explain_cases.hpp"
#include "tests/unit/domain/explain_scenes.hpp"

namespace brokerd::domain::test {
namespace {

// ---- a key, or the one place of mode single, is not free ----

const explain_case key_cases[] = {
    {"keys_in_flight",
     [] {
         keyed_scene s;
         s.attach();
         s.publish_keys({"a", "a", "a"});
         return s.explain();
     },
     "2 messages wait: their keys are not free: 1 message in flight, 0 retrying"},
    {"key_in_flight",
     [] {
         keyed_scene s;
         s.attach();
         s.publish_keys({"a", "a"});
         s.h.pass(18s);
         return s.explain(1);
     },
     "ready: another message with its key comes first: t/q@0 is leased by one@host:1 for 12 s "
     "more, "
     "attempt 1 of 16"},
    {"one_at_a_time",
     [] {
         single_scene s;
         s.attach();
         s.publish(3);
         return s.explain();
     },
     "2 messages wait: the queue gives out one message at a time: t/q@0 is leased by one@host:1 "
     "for "
     "30 s more, attempt 1 of 16"},
    {"one_of_several_in_flight",
     [] {
         keyed_scene s(with(slow_retries, &queue_settings::after_failure, after_failure::skip));
         const auto lost = s.attach("one@host:1", 1);
         s.publish_keys({"a"});
         const auto got = s.h.deliveries(lost);
         s.h.close(lost);
         s.attach("two@host:2");
         s.publish_keys({"a", "a"});
         const auto back = s.attach("one@host:1", 100, runs_of(got));
         s.h.settle(back, s.q, settle_action::ack, runs_of(got));
         return s.explain(2);
     },
     "ready: another message with its key comes first: one is leased"},
    {"key_is_blocked",
     [] {
         keyed_scene s;
         const auto one = s.attach();
         s.publish_keys({"a", "a"});
         s.settle_all(one, settle_action::nack);
         return s.explain(1);
     },
     "ready: another message with its key comes first: t/q@0 is retrying, and what comes behind it "
     "waits until it is done or dead"},
    {"single_is_blocked",
     [] {
         single_scene s;
         const auto one = s.attach();
         s.publish(2);
         s.settle_all(one, settle_action::nack);
         return s.explain();
     },
     "1 message waits: the queue gives out one message at a time: t/q@0 is retrying, and what "
     "comes "
     "behind it waits until it is done or dead"},
    {"key_is_blocked_by_what_is_due",
     [] {
         alone_scene s(queue_mode::keyed);
         s.publish_keys({"a"});
         return s.explain(2);
     },
     "ready: another message with its key comes first: t/q@0 failed and is ready again"},
    {"key_waits_for_a_read",
     [] {
         keyed_backlog_scene s;
         s.h.hold_fetches = true;
         s.h.settle(s.one, s.q, settle_action::ack, {run_of(s.got.at(0))});
         return s.explain_beside_reads(40);
     },
     "ready: another message with its key comes first: t/q@20 waits, too"},
    {"key_cannot_be_read",
     [] {
         keyed_backlog_scene s;
         s.h.store.failing = true;
         return s.explain(20);
     },
     "ready: reading its key failed; ask again"},
};

// ---- something else comes first ----

const explain_case order_cases[] = {
    {"max_retrying",
     [] {
         scene s(with(slow_retries, &queue_settings::max_retrying, 1U));
         const auto one = s.attach("one@host:1", 1);
         s.publish(2);
         s.settle_all(one, settle_action::nack);
         return s.explain();
     },
     "1 message waits: 1 message is retrying, as many as max_retrying allows; allow more: "
     "brokerctl "
     "queue set t/q --max-retrying N"},
    {"max_runs",
     [] {
         scene s(with(slow_retries, &queue_settings::max_runs, 2U));
         const auto one = s.attach();
         s.publish(6);
         const auto got = s.h.deliveries(one);
         s.h.settle(one, s.q, settle_action::ack, {run_of(got.at(1)), run_of(got.at(3))});
         s.publish(1);
         return s.explain(6);
     },
     "ready: there are 2 gaps between settled messages, as many as max_runs allows; allow more: "
     "brokerctl queue set t/q --max-runs N"},
    {"max_runs_of_keys",
     [] {
         keyed_scene s(with(slow_retries, &queue_settings::max_runs, 2U));
         s.attach();
         s.publish_keys({"a", "a", "b", "a", "c"});
         return s.explain();
     },
     "3 messages wait: messages wait for their keys at 2 places, as many as max_runs allows; allow "
     "more: brokerctl queue set t/q --max-runs N"},
    {"alone", [] { return alone_scene().explain(0); },
     "ready: attempt 1 of 16 lost 1 ms ago with one@host:1; it is given out alone, to a consumer "
     "that holds nothing else"},
    {"only_what_must_be_alone", [] { return alone_scene().explain(); },
     "1 message waits: two@host:2 gets nothing more until it has settled the 1 message it holds, "
     "as "
     "a message whose consumer was lost is given out alone"},
    {"behind_what_must_be_alone",
     [] {
         alone_scene s;
         s.publish(1);
         return s.explain(2);
     },
     "ready: two@host:2 gets nothing more until it has settled the 1 message it holds, as a "
     "message "
     "whose consumer was lost is given out alone"},
    {"too_large",
     [] {
         scene s;
         s.attach_limited(0, 1000);
         s.h.publish("t", {std::string(500, 'a'), std::string(600, 'b'), "c"});
         return s.explain();
     },
     "2 messages wait: t/q@1 comes next, and its 609 bytes are more than the prefetch leaves any "
     "consumer until it has settled some"},
    {"behind_what_is_too_large",
     [] {
         scene s;
         s.attach_limited(0, 1000);
         s.h.publish("t", {std::string(500, 'a'), std::string(600, 'b'), "c"});
         return s.explain(2);
     },
     "ready: t/q@1 comes next, and its 609 bytes are more than the prefetch leaves any consumer "
     "until it has settled some"},
    {"a_retry_that_is_too_large",
     [] {
         scene s(quick_retries);
         const auto one = s.attach_limited(0, 1000);
         s.h.publish("t", {std::string(900, 'a')});
         const auto large = s.h.deliveries(one);
         s.h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 100, 2000});
         s.h.publish("t", {std::string(500, 'b')});
         s.h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 100, 1000});
         s.h.settle(one, s.q, settle_action::nack, runs_of(large));
         s.h.pass(1ms);
         return s.explain();
     },
     "1 message waits: t/q@0 comes next, and its 909 bytes are more than the prefetch leaves any "
     "consumer until it has settled some"},
    {"passed_over",
     [] {
         scene s;
         s.attach_limited(0, 1000);
         s.h.publish("t", {std::string(500, 'a'), std::string(600, 'b')});
         s.attach("two@host:2", 1);
         s.publish(1);
         return s.explain();
     },
     "1 message waits: the consumers with free prefetch were passed over for a larger message, and "
     "are asked again once they settle one"},
    {"others_before",
     [] {
         backlog_scene s;
         s.publish(1);
         s.publish(1);
         s.publish(1);
         s.forget();
         s.h.hold_fetches = true;
         s.attach();
         return s.explain(2);
     },
     "ready: 2 messages before it"},
    {"next",
     [] {
         backlog_scene s;
         s.publish(1);
         s.forget();
         s.h.hold_fetches = true;
         s.attach();
         return s.explain(0);
     },
     "ready: it is given out next"},
};

// ---- levels of priority ----

const explain_case level_cases[] = {
    {"higher_priorities_first",
     [] {
         levels_scene s;
         s.h.hold_fetches = true;
         s.h.attach(s.h.connect(), "t/q", 1);
         return s.h.explain("t/q", 0);
     },
     "ready: it is given out when there is nothing of higher priority, and nothing older of its "
     "own"},
    {"the_oldest_first_for_the_gaps",
     [] {
         levels_scene s(with(slow_retries, &queue_settings::max_runs, 1U));
         const auto one = s.h.connect();
         const auto q = s.h.attach(one, "t/q", 1).queue;
         const auto first = s.h.deliveries(one);
         s.h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 0, 1 << 20});
         s.h.settle(one, q, settle_action::ack, runs_of(first));
         s.h.close(one, true);
         s.h.hold_fetches = true;
         s.h.attach(s.h.connect(), "t/q", 1);
         return s.h.explain("t/q", 3);
     },
     "ready: the done messages of higher priority leave 1 gap between settled messages, as many as "
     "max_runs allows, so the oldest message is given out next, whatever its priority"},
};

}  // namespace

explain_cases cases_of_keys() {
    return key_cases;
}
explain_cases cases_of_order() {
    return order_cases;
}
explain_cases cases_of_levels() {
    return level_cases;
}

}  // namespace brokerd::domain::test
