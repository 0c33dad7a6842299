// What the tests of the bounds of topics share: a topic t, what is published to it, and who
// consumes it.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {

struct retention_fixture : testing::Test {
    void make(topic_settings settings, const std::vector<std::string>& queues = {"q"}) {
        EXPECT_TRUE(h.ask<codec::topic_created>(
                         h.admin, codec::topic_create{.topic = "t", .settings = settings})
                        .created);
        for (const std::string& each : queues) {
            h.make_queue("t/" + each, slow_retries());
        }
    }
    void set(topic_settings settings) {
        h.ask<codec::ok>(h.admin, codec::topic_set{.topic = "t", .settings = settings});
    }
    [[nodiscard]] static queue_settings slow_retries() {
        return {.lease = 10min, .backoff = 1h, .backoff_max = 1h, .jitter_percent = 0};
    }

    // One by one: payloads 0, 1, 2, ...
    void publish(int count) {
        for (int i = 0; i < count; ++i) {
            h.publish("t", {std::to_string(published++)});
        }
    }
    // Nothing, if it is taken.
    std::optional<failure> refusal(const std::vector<std::string>& payloads,
                                   std::optional<schedule_time> later = {}) {
        const output answer = h.publish_as("t", payloads, {}, 0, later);
        const auto* no = std::get_if<publish_refused>(&answer.body);
        return no == nullptr ? std::nullopt : std::optional(no->why);
    }
    [[nodiscard]] bool is_full(const std::vector<std::string>& payloads = {"x"}) {
        const auto why = refusal(payloads);
        EXPECT_TRUE(!why || why->code == error_code::topic_full) << why->text;
        return why.has_value();
    }

    // A consumer of the queue; it takes whatever comes.
    connection_id attach(const std::string& queue = "q", std::uint32_t prefetch = 100) {
        const connection_id made = h.connect();
        ids[queue] = h.attach(made, "t/" + queue, prefetch).queue;
        return made;
    }
    codec::settled settle(connection_id of, const std::vector<received>& messages,
                          settle_action action = settle_action::ack,
                          const std::string& queue = "q") {
        return h.settle(of, ids[queue], action, runs_of(messages));
    }
    codec::topic_item topic() { return h.topic_info("t"); }
    codec::queue_item queue(const std::string& name = "q") { return h.queue_info("t/" + name); }
    [[nodiscard]] static std::uint64_t bytes_of(const std::string& payload) {
        return make_batch({payload}).view.size();
    }

    harness h;
    std::map<std::string, queue_id> ids;
    int published = 0;
};

}  // namespace brokerd::domain::test
