// Why a queue or a message does not move: a case for each sentence that explain has.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>

#include "broker/domain/explain_reasons.hpp"
#include "tests/unit/domain/explain_scenes.hpp"

namespace brokerd::domain::test {
namespace {

struct explain_case {
    const char* name;
    std::string (*said)();
    std::string sentence;
};

void PrintTo(const explain_case& each, std::ostream* out) {
    *out << each.name;
}

// ---- a queue ----

const explain_case queue_cases[] = {
    {"empty", [] { return scene().explain(); }, "empty"},
    {"empty_and_paused",
     [] {
         scene s;
         s.pause();
         return s.explain();
     },
     "empty, and paused"},
    {"empty_and_temporary", [] { return scene({.expires = 10s}).explain(); },
     "empty; the queue is removed in 10 s unless a consumer comes"},
    {"empty_but_for_dead",
     [] {
         scene s;
         s.publish(1);
         s.settle_all(s.attach(), settle_action::reject);
         return s.explain();
     },
     "empty but for 1 dead message: see brokerctl dead ls t/q"},
    {"empty_at_its_end",
     [] {
         scene s({.until = 1});
         s.h.make_queue("t/slow");
         s.publish(2);
         s.settle_all(s.attach(), settle_action::ack);
         return s.explain();
     },
     "empty, and at its end: messages from 1 on are not for it"},
    {"empty_but_scheduled",
     [] {
         scene s;
         s.h.publish_as("t", {"a", "b"}, {}, 0, schedule_time{.delay = 5s});
         return s.explain();
     },
     "empty; 2 messages are scheduled for its topic: see brokerctl schedule ls t"},
    {"empty_for_want_of_disk",
     [] {
         scene s;
         s.h.publish_as("t", {"a"}, {}, 0, schedule_time{.delay = 5s});
         s.h.state.hold_schedules(true);
         s.h.pass(6s);
         return s.explain();
     },
     "empty; what is scheduled for its topic is due, but the disk has no room for it: free some"},
    {"empty_for_want_of_room",
     [] {
         scene s;
         s.h.make_queue("t/slow");
         s.h.ask<codec::ok>(s.h.admin,
                            codec::topic_set{.topic = "t", .settings = {.max_messages = 1}});
         s.publish(1);
         s.settle_all(s.attach(), settle_action::ack);
         s.h.publish_as("t", {"a"}, {}, 0, schedule_time{.delay = 5s});
         s.h.pass(6s);
         return s.explain();
     },
     "empty; what is scheduled for its topic is due, but the topic is full (max_messages 1): other "
     "queues hold what it has"},
    {"empty_as_schedules_cannot_be_read",
     [] {
         scene s;
         s.h.publish_as("t", {"a"}, {}, 0, schedule_time{.delay = 1h});
         s.h.store.failing = true;
         s.h.restart();
         s.h.pass(1ms);
         return s.explain();
     },
     "empty; reading what is scheduled for its topic failed (the test says so); it is tried again"},
    {"all_leased",
     [] {
         scene s;
         s.attach();
         s.attach("two@host:2");
         s.publish(1);
         return s.explain();
     },
     "nothing waits: 1 message is leased to 1 consumer"},
    {"all_retrying",
     [] {
         scene s;
         s.publish(2);
         s.settle_all(s.attach(), settle_action::nack, 5s);
         return s.explain();
     },
     "nothing is ready: 2 messages retrying, the next is due in 5 s"},
    {"all_retrying_and_temporary",
     [] {
         scene s({.expires = 10s});
         s.publish(1);
         const auto one = s.attach();
         s.settle_all(one, settle_action::nack, 50s);
         s.h.close(one, true);
         return s.explain();
     },
     "nothing is ready: 1 message retrying, the next is due in 50 s; the queue is removed in 10 s "
     "unless a consumer comes"},
    {"all_retrying_for_long",
     [] {
         scene s;
         s.publish(1);
         s.settle_all(s.attach(), settle_action::nack);
         s.h.restart();
         return s.explain();
     },
     "nothing is ready: 1 message retrying, the next is due in more than 1 min"},
    {"all_retrying_and_moved",
     [] {
         scene s;
         s.publish(1);
         s.settle_all(s.attach(), settle_action::nack);
         s.h.restart();
         s.h.hold_fetches = true;
         s.h.send(s.h.admin, codec::queue_purge{.queue = "t/q"});
         return s.explain();
     },
     "nothing is ready: 1 message retrying, and the queue is being moved by a seek or purge"},
    {"all_retrying_and_unreadable",
     [] {
         scene s;
         s.publish(1);
         s.settle_all(s.attach(), settle_action::nack);
         s.h.restart();
         s.h.store.failing = true;
         s.attach();
         return s.explain();
     },
     "nothing is ready: 1 message retrying, and reading when the next is due failed (the test says "
     "so); it is tried again"},
    {"moving",
     [] {
         backlog_scene s;
         s.publish(1);
         s.publish(1);
         s.forget();
         s.h.hold_fetches = true;
         s.attach();
         return s.explain();
     },
     "moving: 2 messages are being given out to 1 consumer"},
};

// ---- nothing at all is given out ----

const explain_case stopped_cases[] = {
    {"paused",
     [] {
         scene s;
         s.publish(1);
         s.attach();
         s.pause();
         s.publish(1);
         return s.explain();
     },
     "1 message waits: the queue is paused; resume it: brokerctl queue resume t/q"},
    {"too_old",
     [] {
         scene s;
         s.h.publish_keyed("t", {{"", "x", 1000}});
         s.idle(1s);
         return s.explain(0);
     },
     "ready: its time to live is over: it is not given out any more, and done soon"},
    {"too_old_after_a_failure",
     [] {
         scene s({.backoff = 1s, .jitter_percent = 0});
         s.h.make_queue("t/slow");  // holds the record in the log
         s.h.publish_keyed("t", {{"", "x", 2000}});
         const auto one = s.attach();
         s.settle_all(one, settle_action::nack);
         s.h.close(one, true);
         s.h.pass(3s);
         return s.explain(0);
     },
     "ready: attempt 1 of 16 nacked 3 s ago by one@host:1; its time to live is over: it is not "
     "given out any more, and done as soon as a consumer asks"},
    {"too_old_among_too_many_gaps",
     [] {
         scene s({.max_runs = 2});
         s.h.publish_keyed("t", {{"", "a"},
                                 {"", "b", 1},
                                 {"", "c"},
                                 {"", "d", 1},
                                 {"", "e"},
                                 {"", "f", 1},
                                 {"", "g"}});
         s.h.pass(1s);
         return s.explain(5);
     },
     "ready: its time to live is over: it is not given out any more, and done as soon as there are "
     "less than 2 gaps between settled messages, the queue's max_runs"},
    {"not_for_it_among_too_many_gaps",
     [] {
         scene s({.max_runs = 1, .filter = "key = 'a'"});
         s.publish_keys({"a", "b", "a", "b", "a"});
         return s.explain(3);
     },
     "ready: it is not for the queue: it is not given out, and done as soon as there are far less "
     "than 1 gap between settled messages, the queue's max_runs"},
    {"not_looked_at_yet",
     [] {
         backlog_scene s;
         s.publish_keys({"a", "b"});
         s.h.hold_fetches = true;
         s.attach();
         s.h.ask<codec::ok>(s.h.admin,
                            codec::queue_set{.queue = "t/q", .settings = {.filter = "key = 'a'"}});
         return s.explain_beside_reads(1);
     },
     "ready: the queue's filter has not been asked yet whether it is for it"},
    {"no_consumer",
     [] {
         scene s;
         s.publish(2);
         return s.explain();
     },
     "2 messages wait: no consumer is attached"},
    {"no_consumer_for_a_message",
     [] {
         scene s;
         s.publish(2);
         return s.explain(1);
     },
     "ready: no consumer is attached"},
    {"no_consumer_of_a_temporary_queue",
     [] {
         scene s({.expires = 10s});
         s.publish(1);
         return s.explain(0);
     },
     "ready: no consumer is attached; the queue is removed in 10 s unless one comes"},
    {"reading_failed",
     [] {
         backlog_scene s;
         s.publish(1);
         s.forget();
         s.h.store.failing = true;
         s.attach();
         return s.explain();
     },
     "1 message waits: reading failed (the test says so); it is tried again"},
    {"keys_are_being_read",
     [] {
         keyed_scene s;
         const auto one = s.attach();
         s.publish_keys({"a", "b"});
         const auto got = s.h.deliveries(one);
         s.h.restart();
         s.h.hold_fetches = true;
         s.attach("one@host:1", 100, {run_of(got.at(0))});
         return s.explain();
     },
     "1 message waits: the keys of messages that were leased or retrying at the start are being "
     "read"},
    {"shutting_down",
     [] {
         scene s;
         s.h.apply(connection_draining{s.attach()});
         s.publish(1);
         return s.explain();
     },
     "1 message waits: brokerd is shutting down and gives out nothing more"},
    {"limit",
     [] {
         scene s;
         s.attach_limited(1, 1000);
         s.publish(2);
         return s.explain();
     },
     "1 message waits: every consumer has been given as many messages as it asked for"},
    {"limit_of_the_active_one",
     [] {
         single_scene s;
         const auto one = s.attach_limited(1, 1000);
         s.attach("two@host:2");
         s.publish(2);
         s.settle_all(one, settle_action::ack);
         return s.explain();
     },
     "1 message waits: the active consumer one@host:1 (1 stands by) has been given as many "
     "messages "
     "as it asked for"},
    {"none_takes_more",
     [] {
         scene s;
         s.attach_limited(1, 1000);
         s.publish(2);
         s.attach("two@host:2", 0);
         return s.explain();
     },
     "1 message waits: no consumer takes more now: each holds all it may, was given as many as it "
     "asked for, or has a prefetch of 0"},
    {"prefetch_of_0",
     [] {
         scene s;
         s.attach("one@host:1", 0);
         s.publish(1);
         return s.explain();
     },
     "1 message waits: every consumer has set its prefetch to 0, and gets nothing more until it "
     "raises it"},
    {"works_alone",
     [] {
         scene s(quick_retries);
         const auto lost = s.attach();
         s.publish(1);
         s.h.close(lost);
         s.attach("two@host:2");
         s.h.pass(1ms);
         s.publish(1);
         return s.explain();
     },
     "1 message waits: every consumer holds a message that was given out alone, and gets nothing "
     "more until that is settled"},
    {"no_free_prefetch",
     [] {
         scene s;
         s.attach("one@host:1", 1);
         s.publish(2);
         return s.explain();
     },
     "1 message waits: no free prefetch: 1 consumer holds all it may take"},
    {"no_free_prefetch_of_two",
     [] {
         scene s;
         s.attach("one@host:1", 1);
         s.attach("two@host:2", 1);
         s.publish(3);
         return s.explain(2);
     },
     "ready: no free prefetch: 2 consumers hold all they may take"},
    {"no_free_prefetch_of_the_active_one",
     [] {
         single_scene s;
         s.attach("one@host:1", 1);
         s.attach("two@host:2", 1);
         s.attach("three@host:3", 1);
         s.publish(2);
         return s.explain();
     },
     "1 message waits: no free prefetch: the active consumer one@host:1 (2 stand by) holds all it "
     "may take"},
    {"prefetch_kept_for_another_queue",
     [] {
         scene s;
         s.h.ask<codec::pattern_created>(s.h.admin, codec::pattern_create{.pattern = "*/q"});
         s.h.ask<codec::topic_created>(s.h.admin, codec::topic_create{.topic = "u"});
         s.h.ask<codec::pattern_queues>(
             s.h.connect("one@host:1"),
             codec::pattern_attach{
                 .pattern = "*/q", .consumer = consumer_id{1}, .prefetch_bytes = 100});
         s.publish(1);
         s.h.publish("u", {std::string(200, 'x')});
         s.publish(1);
         return s.explain();
     },
     "1 message waits: every consumer is to be given a message of another queue first, and has to "
     "settle some of what it holds for that"},
};

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

// ---- the state of a message ----

const explain_case state_cases[] = {
    {"leased",
     [] {
         scene s;
         s.attach();
         s.publish(1);
         s.h.pass(18s);
         return s.explain(0);
     },
     "leased by one@host:1 for 12 s more, attempt 1 of 16"},
    {"nacked",
     [] {
         scene s;
         s.publish(1);
         s.settle_all(s.attach(), settle_action::nack, 5s, "busy");
         s.h.pass(1s);
         return s.explain(0);
     },
     "retrying: attempt 1 of 16 nacked 1 s ago by one@host:1 (\"busy\"); due in 4 s"},
    {"expired",
     [] {
         scene s;
         s.attach();
         s.publish(1);
         s.h.pass(30s);
         return s.explain(0);
     },
     "retrying: attempt 1 of 16 expired 0 ms ago at one@host:1; due in 1 h"},
    {"lost",
     [] {
         scene s;
         s.publish(1);
         s.h.close(s.attach());
         return s.explain(0);
     },
     "retrying: attempt 1 of 16 lost 0 ms ago with one@host:1; due in 1 h"},
    {"due",
     [] {
         scene s;
         s.publish(1);
         const auto one = s.attach();
         s.settle_all(one, settle_action::nack, 5s);
         s.h.close(one, true);
         s.h.pass(5s);
         return s.explain(0);
     },
     "ready: attempt 1 of 16 nacked 5 s ago by one@host:1; no consumer is attached"},
    {"redriven",
     [] {
         scene s;
         s.publish(1);
         const auto one = s.attach();
         s.settle_all(one, settle_action::reject, duration_us{-1}, "bad");
         s.h.close(one, true);
         s.h.ask<codec::counted>(s.h.admin, codec::dead_redrive{.queue = "t/q"});
         return s.explain(0);
     },
     "ready: redriven with all attempts; the last one: rejected 0 ms ago by one@host:1 (\"bad\"); "
     "no "
     "consumer is attached"},
    {"taken_back",
     [] {
         scene s;
         s.publish(1);
         const auto lost = s.attach();
         const auto got = s.h.deliveries(lost);
         s.h.close(lost);
         const auto back = s.attach("one@host:1", 0, runs_of(got));
         s.h.settle(back, s.q, settle_action::release, runs_of(got));
         s.h.close(back, true);
         return s.explain(0);
     },
     "ready: no attempt failed; no consumer is attached"},
    {"retrying_of_a_damaged_store",
     [] {
         scene s;
         s.publish(1);
         s.settle_all(s.attach(), settle_action::nack);
         s.h.restart();
         s.h.store.exceptions.clear();
         return s.explain(0);
     },
     "retrying: its attempts are not in the store"},
    {"retrying_and_moved",
     [] {
         scene s;
         s.publish(1);
         s.settle_all(s.attach(), settle_action::nack, 5s);
         s.h.restart();
         s.idle(6s);
         s.h.hold_fetches = true;
         s.h.send(s.h.admin, codec::queue_seek{.queue = "t/q"});
         return s.explain_beside_reads(0);
     },
     "retrying: attempt 1 of 16 nacked 6 s ago by one@host:1; due now: the queue is being moved by "
     "a "
     "seek or purge"},
    {"retrying_and_unreadable",
     [] {
         scene s;
         s.publish(1);
         s.settle_all(s.attach(), settle_action::nack, 500ms);
         s.h.restart();
         s.h.store.failing = true;
         s.attach();
         s.h.store.failing = false;
         s.idle(600ms);
         return s.explain(0);
     },
     "retrying: attempt 1 of 16 nacked 600 ms ago by one@host:1; due now: reading failed (the test "
     "says so); it is tried again"},
    {"retrying_without_a_record",
     [] {
         backlog_scene s;
         s.publish(1);
         s.settle_all(s.attach(), settle_action::nack, 5s);
         s.forget();
         s.h.store.log[s.h.topic_info("t").topic].clear();
         s.h.pass(9s);
         return s.explain(0);
     },
     "retrying: attempt 1 of 16 nacked 9 s ago by one@host:1; due now, but its record is not in "
     "the "
     "store; it is looked for again when brokerd starts"},
    {"dead",
     [] {
         scene s;
         s.publish(1);
         s.settle_all(s.attach(), settle_action::reject);
         return s.explain(0);
     },
     "dead: attempt 1 of 16 rejected 0 ms ago by one@host:1; it stays until it is redriven or "
     "purged: brokerctl dead redrive t/q"},
    {"dead_of_age",
     [] {
         scene s({.on_expiry = expiry_action::dead});
         s.h.publish_keyed("t", {{"", "x", 1000}});
         s.h.pass(1100ms);
         s.idle(2s);
         return s.explain(0);
     },
     "dead: its time to live was over 2 s ago; it stays until it is redriven or purged: brokerctl "
     "dead redrive t/q"},
    {"redriven_after_its_time",
     [] {
         scene s({.on_expiry = expiry_action::dead});
         s.h.publish_keyed("t", {{"", "x", 1000}});
         s.h.pass(2s);
         s.h.ask<codec::counted>(s.h.admin, codec::dead_redrive{.queue = "t/q"});
         return s.explain(0);
     },
     "ready: redriven after its time to live was over, so it does not expire again; no consumer is "
     "attached"},
    {"dead_of_a_damaged_store",
     [] {
         scene s;
         s.publish(1);
         s.settle_all(s.attach(), settle_action::reject);
         s.h.restart();
         s.h.store.exceptions.clear();
         return s.explain(0);
     },
     "dead: its attempts are not in the store"},
    {"done",
     [] {
         scene s;
         s.h.make_queue("t/slow");
         s.publish(1);
         s.settle_all(s.attach(), settle_action::ack);
         return s.explain(0);
     },
     "done"},
    {"done_behind_the_end",
     [] {
         scene s({.until = 1});
         s.publish(2);
         return s.explain(1);
     },
     "done; the queue ends before it, at 1"},
    {"done_by_the_filter",
     [] {
         scene s({.filter = "key = 'a'"});
         s.h.make_queue("t/slow");
         s.publish_keys({"b"});
         return s.explain(0);
     },
     "done; the queue's filter does not take it"},
    {"done_and_removed",
     [] {
         scene s;
         s.publish(1);
         s.settle_all(s.attach(), settle_action::ack);
         return s.explain(0);
     },
     "done, removed"},
    {"before_the_queue",
     [] {
         scene s;
         s.publish(1);
         s.h.ask<codec::queue_created>(
             s.h.admin,
             codec::queue_create{.queue = "t/late", .start = {.kind = position_kind::latest}});
         return s.h.explain("t/late", 0);
     },
     "done: it was published before the queue's first message"},
};

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

std::vector<explain_case> all_cases() {
    std::vector<explain_case> all;
    for (const std::span<const explain_case> each :
         {std::span<const explain_case>(queue_cases), std::span<const explain_case>(stopped_cases),
          std::span<const explain_case>(key_cases), std::span<const explain_case>(order_cases),
          std::span<const explain_case>(level_cases), std::span<const explain_case>(state_cases)}) {
        all.insert(all.end(), each.begin(), each.end());
    }
    return all;
}

class explain_test : public testing::TestWithParam<explain_case> {};

// Promise: explain.states
TEST_P(explain_test, says) {
    EXPECT_EQ(GetParam().said(), GetParam().sentence);
}

INSTANTIATE_TEST_SUITE_P(sentences, explain_test, testing::ValuesIn(all_cases()),
                         [](const auto& each) { return std::string(each.param.name); });

// The parts between the {} follow each other in the text.
bool is_said_in(std::string_view sentence, std::string_view text) {
    while (true) {
        const auto hole = sentence.find("{}");
        const std::string_view part = sentence.substr(0, hole);
        const auto at = text.find(part);
        if (at == std::string_view::npos) {
            return false;
        }
        if (hole == std::string_view::npos) {
            return true;
        }
        text.remove_prefix(at + part.size());
        sentence.remove_prefix(hole + 2);
    }
}

// Promise: explain.states
TEST(explain_sentences, each_has_a_case) {
    const auto cases = all_cases();
    for (const std::string_view sentence : explain_sentences()) {
        EXPECT_TRUE(std::ranges::any_of(cases, [&](const explain_case& each) {
            return is_said_in(sentence, each.sentence);
        })) << sentence;
    }
}

TEST(explain_sentences, what_is_not_appended_yet_is_refused_with_one) {
    scene s;
    const auto refused = s.h.ask_refused(s.h.admin, codec::queue_explain{"t/q", true, 9});
    EXPECT_EQ(refused.code, error_code::not_found);
    EXPECT_EQ(refused.text, "t@9 does not exist; the next message will be t@0");
}

}  // namespace
}  // namespace brokerd::domain::test
