// A topic that drops the oldest under random use, with its invariants checked after each step
// (harness): what a queue was done with is what was acknowledged and what was dropped, the bound
// holds, and in the end nothing is stuck.
#include <gmock/gmock.h>

#include "broker/base/random.hpp"
#include "tests/unit/domain/retention_fixture.hpp"

namespace brokerd::domain::test {
namespace {

constexpr std::uint64_t most_pending = 20;

class random_use {
public:
    random_use(queue_mode mode, std::uint64_t seed)
        : random_(seed), h({.cache_bytes_max = seed % 2 == 0 ? std::size_t{0} : limits::mib}) {
        h.ask<codec::topic_created>(
            h.admin, codec::topic_create{.topic = "t",
                                         .settings = {.max_messages = most_pending,
                                                      .when_full = full_policy::drop_oldest}});
        h.make_queue("t/q", {.lease = 30s, .attempts = 3, .backoff = 1s, .backoff_max = 1s}, mode);
        attach();
    }

    void step() {
        const std::uint64_t what = random_.below(100);
        if (what < 40) {
            publish();
        } else if (what < 85) {
            settle_some();
        } else if (what < 92) {
            h.pass(duration_us{static_cast<std::int64_t>(random_.below(4000000))});
        } else if (what < 97) {
            h.close(one_, random_.chance(1, 2));
            attach();
        } else {
            h.restart();
            attach();
        }
        check();
    }

    // All that is left comes, and no key stays blocked.
    void drain() {
        for (int i = 0; i < 300; ++i) {
            take();
            const auto all = std::exchange(held_, {});
            settle(all, settle_action::ack);
            h.pass(1s);
        }
        check();
        const auto item = h.queue_info("t/q");
        EXPECT_EQ(item.ready + item.leased + item.retrying, 0U);
    }

private:
    void attach() {
        held_.clear();
        one_ = h.connect();
        id_ = h.attach(one_, "t/q", 8).queue;
    }
    void publish() {
        std::vector<keyed_message> batch(1 + random_.below(4));
        for (keyed_message& each : batch) {
            each.key = std::to_string(random_.below(4));
        }
        h.publish_keyed("t", batch);
    }
    void take() {
        for (received& each : h.deliveries(one_)) {
            held_.push_back(std::move(each));
        }
    }
    void settle(const std::vector<received>& messages, settle_action action) {
        if (messages.empty()) {
            return;
        }
        const auto result = h.settle(one_, id_, action, runs_of(messages));
        acked_ += action == settle_action::ack ? result.accepted : 0;
    }
    void settle_some() {
        take();
        std::vector<received> some;
        for (std::size_t i = random_.below(5); i > 0 && !held_.empty(); --i) {
            const auto at =
                held_.begin() + static_cast<std::ptrdiff_t>(random_.below(held_.size()));
            some.push_back(std::move(*at));
            held_.erase(at);
        }
        constexpr settle_action actions[] = {settle_action::ack, settle_action::ack,
                                             settle_action::nack, settle_action::release,
                                             settle_action::reject};
        settle(some, actions[random_.below(5)]);
    }
    void check() {
        const auto item = h.queue_info("t/q");
        const auto topic = h.topic_info("t");
        EXPECT_LE(topic.pending, most_pending);
        EXPECT_EQ(item.done, acked_ + item.dropped);
        EXPECT_EQ(topic.dropped, item.dropped);
        EXPECT_EQ(item.done + item.ready + item.leased + item.retrying + item.dead,
                  topic.next_offset);
    }

    base::random random_;
    harness h;
    connection_id one_;
    queue_id id_;
    std::vector<received> held_;
    std::uint64_t acked_ = 0;
};

class retention_random_test : public testing::TestWithParam<queue_mode> {};

// Promise: bounds.drop_oldest
TEST_P(retention_random_test, counts_are_exact_and_nothing_is_stuck) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        random_use use(GetParam(), seed);
        for (int i = 0; i < 200; ++i) {
            use.step();
            ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << ", step " << i;
        }
        use.drain();
        ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
    }
}

INSTANTIATE_TEST_SUITE_P(all_modes, retention_random_test,
                         testing::Values(queue_mode::shared, queue_mode::keyed,
                                         queue_mode::single));

}  // namespace
}  // namespace brokerd::domain::test
