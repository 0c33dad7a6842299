// Levels of priority where the simulator found that something else than the rule went out first.
#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

class levels_found_test : public testing::Test {
protected:
    levels_found_test() {
        h.ask<codec::topic_created>(
            h.admin, codec::topic_create{.topic = "t", .settings = {.priorities = 2}});
    }

    void publish(std::uint8_t priority, const std::string& payload) {
        h.publish_keyed("t", {{.payload = payload, .priority = priority}});
    }
    // The next one of a consumer that takes them one by one; "" if there is none.
    std::string take() {
        taken = h.deliveries(one);
        return taken.empty() ? "" : taken.front().payload;
    }
    std::string ack_and_take() {
        h.settle(one, q, settle_action::ack, runs_of(taken));
        return take();
    }

    harness h;
    connection_id one;
    queue_id q;
    std::vector<received> taken;
};

// Promise: priority.bounded
TEST_F(levels_found_test, the_oldest_that_closes_gaps_is_not_that_of_the_level_of_a_retry) {
    h.make_queue("t/q", {.max_runs = 2});
    publish(1, "h0");
    publish(1, "h1");
    publish(0, "l2");
    publish(1, "h3");
    publish(0, "l4");
    publish(1, "h5");
    publish(0, "l6");
    publish(1, "h7");
    one = h.connect();
    q = h.attach(one, "t/q", 1).queue;
    for (const char* failing : {"h0", "h1"}) {
        ASSERT_EQ(take(), failing);
        h.settle(one, q, settle_action::nack, runs_of(taken), 1s);
    }
    ASSERT_EQ(take(), "h3");
    ASSERT_EQ(ack_and_take(), "h5");
    h.pass(2s);  // both retries are due
    EXPECT_EQ(ack_and_take(), "h0") << "there are 2 gaps now; retries go in turns with the others";
    EXPECT_EQ(ack_and_take(), "l2");
    EXPECT_EQ(ack_and_take(), "h1");
}

}  // namespace
}  // namespace brokerd::domain::test
