// Peers that take their answers slowly, and a broker that does not read for a while: nothing is cut
// off and nobody is called dead for it.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "tests/integration/broker_fixture.hpp"

namespace brokerd::integration {
namespace {

using std::this_thread::sleep_for;

class slow_reader_test : public broker_fixture {
protected:
    static constexpr std::uint32_t reads = 12;  // of 1 MiB each: more than the system takes

    // Topic t with 1 MiB.
    void publish_something() {
        watcher = client("watcher@here:1");
        create_queue(*watcher);
        (void)publish(*watcher, {std::string(512 * limits::kib, 'x')});
        (void)publish(*watcher, {std::string(512 * limits::kib, 'y')});
    }
    static void ask_for_much(raw_client& with) {
        for (std::uint32_t i = 0; i < reads; ++i) {
            with.send(10 + i, codec::read{.topic = "t", .bytes_max = 2 * limits::mib});
        }
    }
    static void expect_read(raw_client& with) {
        for (std::uint32_t i = 0; i < reads; ++i) {
            EXPECT_EQ(with.expect<codec::messages>().runs.size(), 2U);
        }
    }
    // The types of all frames up to the end, taken one by one.
    static std::vector<codec::frame_type> take_slowly(raw_client& with,
                                                      std::chrono::milliseconds before_each) {
        std::vector<codec::frame_type> types;
        while (const auto frame = with.next()) {
            types.push_back(frame->type);
            sleep_for(before_each);
        }
        return types;
    }
    [[nodiscard]] codec::connection_item state_of(const std::string& name) {
        for (const auto& each : watcher->ask<codec::connections>(codec::connection_list{}).items) {
            if (each.name == name) {
                return each;
            }
        }
        return {};
    }

    std::unique_ptr<raw_client> watcher;
};

// Promise: durability.drain
TEST_F(slow_reader_test, shut_down_waits_until_answers_are_taken) {
    broker({"--drain", "30s"});
    publish_something();
    const auto slow = client();
    ask_for_much(*slow);
    slow->publish(50, "t", make_batch({"last"}));
    while (queue_state(*watcher).ready < 3) {
    }
    broker().signal(SIGTERM);
    (void)watcher->expect<codec::draining>();
    EXPECT_EQ(watcher->expect_error().code, error_code::draining);
    EXPECT_TRUE(watcher->closed());
    // All answers, whatever came between them; then why it ends.
    const auto types = take_slowly(*slow, 100ms);
    EXPECT_EQ(std::ranges::count(types, codec::frame_type::messages), reads);
    EXPECT_EQ(std::ranges::count(types, codec::frame_type::published), 1);
    EXPECT_EQ(types.back(), codec::frame_type::error);
    EXPECT_EQ(broker().wait(), 0);
}

// One that takes nothing more, and one that goes on taking, which would need 10 s for all of it
// (how long exactly each may take is in closing_time_test).
TEST_F(slow_reader_test, shut_down_does_not_wait_longer_than_the_drain_time) {
    broker({"--drain", "100ms"});
    publish_something();
    const auto silent = client("silent@here:2");
    ask_for_much(*silent);
    const auto slow = client("slow@here:3");
    ask_for_much(*slow);
    while (state_of("silent@here:2").outbox_bytes < limits::mib ||
           state_of("slow@here:3").outbox_bytes < limits::mib) {
    }
    std::jthread taking([&slow](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any stopped;
        while (!stop.stop_requested() && slow->next()) {
            std::unique_lock lock(mutex);
            stopped.wait_for(lock, stop, 1s, [] { return false; });
        }
    });
    broker().signal(SIGTERM);
    EXPECT_EQ(broker().wait(5s), 0);
}

TEST_F(slow_reader_test, goodbye_cuts_nothing_off_that_is_being_taken) {
    publish_something();
    const auto slow = client();
    ask_for_much(*slow);
    slow->send(99, codec::goodbye{});
    // From where the goodbye is looked at, with a full outbox, to its end this takes longer than a
    // broker waits for a peer that takes nothing more. Of what was asked before the goodbye all
    // that had its answer by then comes.
    const auto types = take_slowly(*slow, 500ms);
    EXPECT_GE(std::ranges::count(types, codec::frame_type::messages), 8);
    EXPECT_EQ(types.back(), codec::frame_type::ok);
}

TEST_F(slow_reader_test, a_client_may_end_its_direction_behind_a_goodbye) {
    publish_something();
    const auto leaving = client();
    ask_for_much(*leaving);
    leaving->publish(50, "t", make_batch({"last"}));
    leaving->send(99, codec::goodbye{});
    leaving->end_sending();
    expect_read(*leaving);
    EXPECT_EQ(leaving->expect<codec::published>().items.at(0).request, 50U);
    (void)leaving->expect<codec::ok>();
    EXPECT_TRUE(leaving->closed());
}

// With a full outbox one more piece is read, which ends within a frame; the rest lies unread.
TEST_F(slow_reader_test, a_frame_is_not_late_while_the_broker_does_not_read) {
    publish_something();
    const auto slow = client("slow@here:2");
    (void)slow->ask<codec::attached>(codec::attach{.queue = "t/q",
                                                   .consumer = consumer_id{1},
                                                   .prefetch_messages = 1000,
                                                   .prefetch_bytes = limits::prefetch_bytes_max});
    std::uint64_t messages = 2;
    while (state_of("slow@here:2").outbox_bytes <= limits::outbox_bytes_max) {
        (void)publish(*watcher, {std::string(512 * limits::kib, 'z')});
        ++messages;
    }
    byte_buffer bytes;
    codec::encode_frame(bytes, 1, codec::ping{});
    codec::encode_frame(bytes, 2, codec::ping{});
    const auto cut = bytes.size() - 8;
    const auto before = state_of("slow@here:2").bytes_in;
    slow->send_bytes(byte_view{bytes}.first(cut));
    while (state_of("slow@here:2").bytes_in < before + cut) {
    }
    slow->send_bytes(byte_view{bytes}.subspan(cut));
    sleep_for(limits::frame_base_deadline + 1s);
    std::uint64_t pongs = 0;
    for (std::uint64_t taken = 0; taken < messages || pongs < 2;) {
        const auto frame = slow->next();
        ASSERT_TRUE(frame);
        ASSERT_NE(frame->type, codec::frame_type::error);
        pongs += frame->type == codec::frame_type::pong ? 1U : 0U;
        if (frame->type == codec::frame_type::deliver) {
            const auto deliver = codec::decode<codec::deliver>(frame->body);
            for (const auto& run : deliver->runs) {
                taken += run.leases.count;
            }
        }
    }
}

// More connections than one look at the sockets tells of: the timer of the lane comes before some.
TEST_F(slow_reader_test, a_broker_that_was_stopped_reads_before_it_calls_anybody_dead) {
    constexpr std::size_t crowd = 300;
    broker({"--io-threads", "1", "--heartbeat", "1s", "--dead-after", "2s"});
    std::vector<std::unique_ptr<raw_client>> all;
    for (std::size_t i = 0; i < crowd; ++i) {
        all.push_back(client());
    }
    for (const auto& each : all) {
        each->send(1, codec::ping{});
        (void)each->expect<codec::pong>();
    }
    broker().signal(SIGSTOP);
    sleep_for(2500ms);
    for (const auto& each : all) {
        each->send(2, codec::ping{});
    }
    broker().signal(SIGCONT);
    for (const auto& each : all) {
        (void)each->expect<codec::pong>();
        EXPECT_EQ(each->last_request(), 2U);
    }
}

}  // namespace
}  // namespace brokerd::integration
