// What explain says of a queue: that it is empty or moves, or what stops it.
#include "tests/unit/domain/explain_cases.hpp"
#include "tests/unit/domain/explain_scenes.hpp"

namespace brokerd::domain::test {
namespace {

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

}  // namespace

explain_cases cases_of_queues() {
    return queue_cases;
}
explain_cases cases_of_standstill() {
    return stopped_cases;
}

}  // namespace brokerd::domain::test
