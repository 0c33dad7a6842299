// What explain says of the state of a message.
#include "tests/unit/domain/explain_cases.hpp"
#include "tests/unit/domain/explain_scenes.hpp"

namespace brokerd::domain::test {
namespace {

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

}  // namespace

explain_cases cases_of_states() {
    return state_cases;
}

}  // namespace brokerd::domain::test
