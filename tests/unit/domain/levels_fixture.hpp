// What the tests of levels of priority share: a topic t that has some, what is published to it by
// priority, and who takes it one by one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {

class levels_fixture : public testing::Test {
protected:
    explicit levels_fixture(std::uint8_t priorities, const domain_options& options = {})
        : h(options) {
        h.ask<codec::topic_created>(
            h.admin, codec::topic_create{.topic = "t", .settings = {.priorities = priorities}});
    }

    void publish(std::uint8_t priority, const std::vector<std::string>& payloads,
                 std::optional<std::uint64_t> ttl_ms = {}) {
        std::vector<keyed_message> messages;
        for (const std::string& each : payloads) {
            messages.push_back({.payload = each, .ttl_ms = ttl_ms, .priority = priority});
        }
        h.publish_keyed("t", messages);
    }
    // In batches, and thereby chunks, of one message each.
    void publish_singly(std::uint8_t priority, int count, const std::string& payload = "x",
                        std::optional<std::uint64_t> ttl_ms = {}) {
        for (int i = 0; i < count; ++i) {
            publish(priority, {payload}, ttl_ms);
        }
    }
    // What one consumer gets that takes messages one by one and acknowledges them.
    std::vector<std::string> drain(const std::string& queue = "t/q") {
        const auto one = h.connect();
        const auto q = h.attach(one, queue, 1).queue;
        std::vector<std::string> payloads;
        for (auto got = h.deliveries(one); !got.empty(); got = h.deliveries(one)) {
            payloads.push_back(got.front().payload);
            h.settle(one, q, settle_action::ack, runs_of(got));
        }
        h.close(one, true);
        return payloads;
    }

    harness h;
};

}  // namespace brokerd::domain::test
