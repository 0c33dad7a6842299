// Many connections at once: one that does not read, and several I/O threads.
#include <future>

#include "tests/integration/broker_fixture.hpp"

namespace brokerd::integration {
namespace {

class crowd_test : public broker_fixture {
protected:
    static constexpr std::size_t messages = 40;

    // 40 messages of 512 KiB: far more than the outbox of a connection and its socket take.
    void publish_much() {
        const auto publisher = client();
        const std::string payload(512 * 1024, 'x');
        for (std::size_t i = 0; i < messages; ++i) {
            (void)publish(*publisher, {payload});
        }
    }
    static codec::attached attach_greedily(raw_client& with, const char* queue) {
        return with.ask<codec::attached>(
            codec::attach{.queue = queue,
                          .consumer = consumer_id{1},
                          .prefetch_messages = 1000,
                          .prefetch_bytes = limits::prefetch_bytes_max});
    }
    // Takes so many messages and acks them.
    static void consume(raw_client& with, queue_id queue, std::uint64_t count) {
        std::uint64_t taken = 0;
        while (taken < count) {
            const auto delivered = with.expect<codec::deliver>();
            codec::settle done{.queue = queue};
            for (const auto& run : delivered.runs) {
                done.runs.push_back(run.leases);
                taken += run.leases.count;
            }
            with.send(1, done);
        }
        EXPECT_EQ(taken, count);
    }
};

// Promise: delivery.stuck_consumer
TEST_F(crowd_test, a_consumer_that_does_not_read_holds_up_nobody) {
    broker({"--heartbeat", "500ms", "--dead-after", "1s"});
    const auto stuck = client("stuck@here:1");
    create_queue(*stuck, {.backoff = 1ms, .backoff_max = 1ms});
    (void)stuck->ask<codec::queue_created>(codec::queue_create{.queue = "t/other"});
    (void)attach_greedily(*stuck, "t/q");
    publish_much();

    // What it does not take waits in the queue, not in the memory of the broker.
    const auto lively = client("lively@here:2");
    for (const auto& each : lively->ask<codec::connections>(codec::connection_list{}).items) {
        EXPECT_LE(each.outbox_bytes, limits::outbox_bytes_max + limits::frame_bytes_default);
    }
    consume(*lively, attach_greedily(*lively, "t/other").queue, messages);

    // It answers no ping either, so it is closed, and its messages are given to others.
    const auto heir = client("heir@here:3");
    consume(*heir, attach_greedily(*heir, "t/q").queue, messages);
}

// Where the engine runs, on a thread of its own or on that of the first connections.
class crowd_of_threads_test : public crowd_test, public testing::WithParamInterface<std::string> {};

INSTANTIATE_TEST_SUITE_P(engine_thread, crowd_of_threads_test, testing::Values("own", "shared"),
                         [](const auto& each) { return each.param; });

// Promise: delivery.fan_out
TEST_P(crowd_of_threads_test, connections_on_several_threads_see_one_broker) {
    constexpr int crowd = 12;
    constexpr int rounds = 50;
    broker({"--io-threads", "4", "--engine-thread", GetParam()});
    const auto watcher = client();
    create_queue(*watcher);
    std::vector<std::future<void>> all;
    for (int i = 0; i < crowd; ++i) {
        all.push_back(std::async(std::launch::async, [&, i] {
            raw_client own(broker().port());
            (void)own.hello("crowd@here:" + std::to_string(i));
            for (int round = 0; round < rounds; ++round) {
                (void)publish(own, {std::to_string(i) + ":" + std::to_string(round)});
            }
            const auto queue = own.ask<codec::attached>(codec::attach{.queue = "t/q",
                                                                      .consumer = consumer_id{1},
                                                                      .prefetch_messages = 10,
                                                                      .limit = rounds})
                                   .queue;
            consume(own, queue, rounds);
            (void)own.ask<codec::ok>(codec::goodbye{});
        }));
    }
    for (auto& each : all) {
        each.get();
    }
    const auto state = queue_state(*watcher);
    EXPECT_EQ(state.done, std::uint64_t{crowd * rounds});
}

}  // namespace
}  // namespace brokerd::integration
