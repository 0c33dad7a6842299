// Levels of priority where the simulator found that something else than the rule went out first.
#include <gmock/gmock.h>

#include "tests/unit/domain/levels_fixture.hpp"

namespace brokerd::domain::test {
namespace {

class levels_found_test : public levels_fixture {
protected:
    levels_found_test() : levels_fixture(2) {}

    // The next one of a consumer that takes them one by one; "" if there is none.
    std::string take() {
        taken = h.deliveries(one);
        return taken.empty() ? "" : taken.front().payload;
    }
    std::string ack_and_take() {
        h.settle(one, q, settle_action::ack, runs_of(taken));
        return take();
    }

    connection_id one;
    queue_id q;
    std::vector<received> taken;
};

// Promise: priority.bounded
TEST_F(levels_found_test, the_oldest_that_closes_gaps_is_not_that_of_the_level_of_a_retry) {
    h.make_queue("t/q");
    for (const char* payload :
         {"h0", "h1", "h2", "l3", "h4", "l5", "h6", "l7", "h8", "l9", "h10", "l11", "h12"}) {
        publish(*payload == 'h' ? 1 : 0, {payload});
    }
    one = h.connect();
    q = h.attach(one, "t/q", 1).queue;
    for (const char* failing : {"h0", "h1", "h2"}) {
        ASSERT_EQ(take(), failing);
        h.settle(one, q, settle_action::nack, runs_of(taken), 1s);
    }
    ASSERT_EQ(take(), "h4");
    ASSERT_EQ(ack_and_take(), "h6");
    ASSERT_EQ(ack_and_take(), "h8");
    ASSERT_EQ(ack_and_take(), "h10");
    h.ask<codec::ok>(h.admin, codec::queue_set{"t/q", {.max_runs = 2}});
    h.pass(2s);  // the retries are due, and go in turns with the others
    std::vector<std::string> fresh;
    while (!ack_and_take().empty()) {
        if (taken.front().attempt == 1) {
            fresh.push_back(taken.front().payload);
        }
    }
    EXPECT_THAT(fresh, testing::ElementsAre("l3", "l5", "l7", "h12", "l9", "l11"))
        << "with l7 one gap is left";
    EXPECT_EQ(h.queue_info("t/q").done, 13U);
}

}  // namespace
}  // namespace brokerd::domain::test
