// What the tests of clones share: topic t with queue q, messages in all states, and a clone of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {

struct state_counts {
    std::uint64_t ready = 0;
    std::uint64_t leased = 0;
    std::uint64_t retrying = 0;
    std::uint64_t dead = 0;
    std::uint64_t done = 0;
    bool operator==(const state_counts&) const = default;
};

struct clone_fixture : testing::Test {
    explicit clone_fixture(domain_options options = {}) : h(options) {}

    void make(duration_us keep_done, queue_mode mode = queue_mode::shared,
              queue_settings settings = {.backoff = 1s, .jitter_percent = 0}) {
        h.ask<codec::topic_created>(
            h.admin, codec::topic_create{.topic = "t", .settings = {.keep_done = keep_done}});
        h.make_queue("t/q", settings, mode);
        one = h.connect("one@host:1");
        queue = h.attach(one, "t/q").queue;
    }
    codec::queue_created clone(const std::string& name = "copy", const std::string& from = "t/q") {
        return h.ask<codec::queue_created>(h.admin,
                                           codec::queue_clone{.queue = from, .name = name});
    }
    codec::error refused(const std::string& name = "copy", const std::string& from = "t/q") {
        return h.ask_refused(h.admin, codec::queue_clone{.queue = from, .name = name});
    }
    state_counts count(const std::string& path) {
        const auto info = h.queue_info(path);
        return {info.ready, info.leased, info.retrying, info.dead, info.done};
    }
    codec::queue_state_item in(const std::string& name, offset_t offset) {
        const auto shown =
            h.ask<show_result>(h.admin, codec::message_show{.topic = "t", .offset = offset})
                .message;
        for (const auto& each : shown.queues) {
            if (each.queue == name) {
                return each;
            }
        }
        ADD_FAILURE() << "no queue " << name;
        return {};
    }
    void take_no_more() { h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 0, 0}); }
    // 0, 1 done, 2 dead, 3 retrying, 4 leased, 5 to 7 ready.
    void make_all_states(duration_us keep_done = 24h) {
        make(keep_done);
        h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 5, 1 << 20});
        h.publish("t", {"0", "1", "2", "3", "4", "5", "6", "7"});
        got = h.deliveries(one);
        ASSERT_THAT(got, testing::SizeIs(5));
        take_no_more();
        h.settle(one, queue, settle_action::ack, {run_of(got[0]), run_of(got[1])});
        h.settle(one, queue, settle_action::reject, {run_of(got[2])}, duration_us{-1}, "broken");
        h.settle(one, queue, settle_action::nack, {run_of(got[3])}, 1h, "later");
    }
    // A message that died and has left the log, and one that is done.
    void make_kept(const std::string& payload) {
        make(0s);
        h.publish("t", {payload, "done"});
        got = h.deliveries(one);
        if (got.size() == 1) {  // it is large
            h.settle(one, queue, settle_action::reject, runs_of(got));
            h.settle(one, queue, settle_action::ack, runs_of(h.deliveries(one)));
        } else {
            ASSERT_THAT(got, testing::SizeIs(2));
            h.settle(one, queue, settle_action::reject, {run_of(got[0])});
            h.settle(one, queue, settle_action::ack, {run_of(got[1])});
        }
        h.pass(3s);
        ASSERT_EQ(h.topic_info("t").first_offset, 2U);
        ASSERT_THAT(h.store.kept, testing::SizeIs(1));
    }
    // The clone is asked for and its first fetch taken away.
    fetch begin_to_clone() {
        h.hold_fetches = true;
        request = h.send(h.admin, codec::queue_clone{.queue = "t/q", .name = "copy"});
        EXPECT_THAT(h.out.fetches, testing::SizeIs(1));
        fetch first = h.out.fetches.at(0);
        h.out.fetches.clear();
        h.hold_fetches = false;
        return first;
    }
    void expect_cloned() {
        const auto answer = h.answer_to(h.admin, request);
        ASSERT_TRUE(answer);
        EXPECT_TRUE(std::holds_alternative<codec::queue_created>(answer->body));
    }
    std::vector<received> redriven(const std::string& path, connection_id to) {
        h.ask<codec::counted>(h.admin, codec::dead_redrive{.queue = path});
        return h.deliveries(to);
    }

    harness h;
    connection_id one;
    queue_id queue;
    std::vector<received> got;
    std::uint32_t request = 0;
};

}  // namespace brokerd::domain::test
