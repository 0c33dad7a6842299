// A worker process that dies of one message.
#include "tests/integration/client/client_fixture.hpp"
#include "tests/support/run_program.hpp"

namespace brokerd::client_integration {
namespace {

class client_poison_test : public client_fixture {};

// Promise: delivery.poison
TEST_F(client_poison_test, a_worker_that_aborts_on_one_message_makes_exactly_that_one_dead) {
    constexpr std::uint32_t attempts = 3;
    constexpr std::uint64_t poison = 37;
    auto with = connected();
    with.ensure_topic("orders", {.keep_done = 1h});
    with.ensure_queue("orders/billing", {.attempts = attempts, .backoff = 1ms, .backoff_max = 1ms});
    for (std::uint64_t i = 0; i < 250; ++i) {
        (void)with.publish("orders", {.payload = i == poison ? "poison" : std::to_string(i)});
    }
    const auto worker = [&] {
        return test::run_program(test::program_path("tests/aborting_worker"),
                                 {broker.address(), "orders/billing", "stop"})
            .exit_code;
    };
    // Each attempt at it costs the worker its life; what else it held then comes again.
    for (std::uint32_t attempt = 1; attempt <= attempts; ++attempt) {
        ASSERT_EQ(worker(), 128 + SIGABRT);
    }
    // What the last of them held is due a little later, maybe behind the message that ends the
    // next.
    constexpr std::uint64_t healthy = 249;
    std::uint64_t stops = 0;
    auto info = admin(with).queue("orders/billing");
    while (info.done < healthy + stops && stops < 100) {
        (void)with.publish("orders", {.payload = "stop"});
        ++stops;
        EXPECT_EQ(worker(), 0);
        info = admin(with).queue("orders/billing");
    }
    EXPECT_EQ(info.dead, 1U);
    EXPECT_EQ(info.done, healthy + stops);
    const auto past = history(with, "orders", poison);
    ASSERT_THAT(past, testing::SizeIs(attempts));
    for (const failed_attempt& each : past) {
        EXPECT_EQ(each.outcome, attempt_end::lost);
    }
}

}  // namespace
}  // namespace brokerd::client_integration
