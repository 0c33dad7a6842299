// How much a client may ask for before it has read the answers: requests and bytes.
#include <gmock/gmock.h>

#include "tests/unit/session/session_fixture.hpp"

namespace brokerd::session {
namespace {

using testing::SizeIs;

class unanswered_session : public session_fixture {
protected:
    void SetUp() override { open(); }

    [[nodiscard]] static codec::read read_of(std::uint32_t bytes, duration_us wait = {}) {
        codec::read read;
        read.topic = "t";
        read.bytes_max = bytes;
        read.wait = wait;
        return read;
    }
    static void append(byte_buffer& to, std::uint32_t request, const auto& message) {
        byte_buffer frame;
        codec::encode_frame(frame, request, message);
        to.insert(to.end(), frame.begin(), frame.end());
    }
    // Requests that reached the engine so far.
    [[nodiscard]] std::size_t passed_on() const { return commands.size(); }
    [[nodiscard]] std::uint64_t tag_of(std::size_t command) const {
        return std::get<domain::request>(commands.at(command)).id;
    }
};

constexpr std::uint32_t large = limits::read_bytes_max;
// Reads that may be unanswered: the last one goes beyond the limit.
constexpr std::size_t reads_max = limits::outbox_bytes_max / limits::frame_bytes_default + 1;

// Promise: limits.unanswered
TEST_F(unanswered_session, pipelined_reads_are_bounded_by_the_bytes_of_their_answers) {
    byte_buffer many;
    for (std::uint32_t id = 1; id <= 500; ++id) {
        append(many, id, read_of(large));
    }
    ASSERT_LE(many.size(), 64 * limits::kib) << "one piece";
    receive(many);
    EXPECT_EQ(passed_on(), reads_max);
    EXPECT_TRUE(machine().blocked());
    // An answer that waits for room in the outbox is not written yet.
    pending = limits::outbox_bytes_max + 1;
    output_as(tag_of(0), domain::read_result{});
    outputs_end();
    EXPECT_EQ(passed_on(), reads_max);
    pending = 0;
    pump();
    EXPECT_EQ(passed_on(), reads_max + 1);
    for (std::size_t i = 1; i < 500; ++i) {
        ASSERT_LT(i, passed_on());
        output_as(tag_of(i), domain::read_result{});
        outputs_end();
    }
    EXPECT_EQ(passed_on(), 500U) << "all of them, in time";
    EXPECT_FALSE(machine().blocked());
    EXPECT_THAT(take(), SizeIs(500));
}

TEST_F(unanswered_session, what_is_kept_back_is_handled_in_order_whole_or_in_parts) {
    byte_buffer bytes;
    for (std::uint32_t id = 1; id <= reads_max; ++id) {
        append(bytes, id, read_of(1));
    }
    append(bytes, 50, codec::ping{});
    byte_buffer publish;
    codec::encode_publish(publish, 51, "t", batch_of(3));
    bytes.insert(bytes.end(), publish.begin(), publish.end());
    append(bytes, 52, codec::ping{});
    const auto cut = bytes.size() - 40;
    receive(byte_view{bytes}.first(cut));
    receive(byte_view{bytes}.subspan(cut));
    EXPECT_EQ(passed_on(), reads_max);
    EXPECT_TRUE(take().empty());
    output_as(tag_of(0), domain::read_result{});
    outputs_end();
    ASSERT_EQ(passed_on(), reads_max + 1);
    const auto& request = std::get<domain::request>(commands.back());
    const auto& batch = std::get<domain::publish_request>(request.body);
    EXPECT_EQ(batch.count, 3U);
    bytes.clear();
    EXPECT_TRUE(codec::check_batch(batch.batch.view, 3));
    const auto frames = take();
    ASSERT_THAT(frames, SizeIs(3));
    EXPECT_EQ(frames[1].request, 50U);
    EXPECT_EQ(frames[2].request, 52U);
    EXPECT_FALSE(machine().blocked());
}

TEST_F(unanswered_session, one_read_alone_is_never_too_large) {
    settings.frame_bytes_max = limits::frame_bytes_max;
    receive(1, read_of(large));
    EXPECT_EQ(passed_on(), 1U);
    EXPECT_TRUE(machine().blocked());
    output_as(tag_of(0), domain::read_result{});
    outputs_end();
    receive(2, read_of(large));
    EXPECT_EQ(passed_on(), 2U);
}

TEST_F(unanswered_session, waiting_reads_do_not_stop_the_connection_until_they_are_too_many) {
    for (std::uint32_t id = 1; id <= limits::waiting_reads_max; ++id) {
        receive(id, read_of(large, 30s));
        EXPECT_FALSE(machine().blocked());
    }
    receive(100, codec::ping{});
    (void)take_one<codec::pong>(100);
    // They count where another answer comes soon.
    receive(101, read_of(large));
    EXPECT_TRUE(machine().blocked());
    output_as(tag_of(limits::waiting_reads_max), domain::read_result{});
    outputs_end();
    EXPECT_FALSE(machine().blocked());
    // One more than may wait: it is refused at once, unless it or another need not wait.
    receive(102, read_of(large, 1us));
    EXPECT_TRUE(machine().blocked());
    output_as(tag_of(limits::waiting_reads_max + 1), codec::error{error_code::busy, ""});
    outputs_end();
    EXPECT_FALSE(machine().blocked());
}

TEST_F(unanswered_session, listings_messages_and_lists_of_connections_are_bounded_alike) {
    byte_buffer many;
    for (std::uint32_t id = 1; id <= 20; ++id) {
        append(many, 5 * id, codec::queue_list{});
        append(many, 5 * id + 1, codec::message_show{});
        append(many, 5 * id + 2, codec::dead_list{});
        append(many, 5 * id + 3, codec::consumer_list{});
        append(many, 5 * id + 4, codec::connection_list{});
    }
    receive(many);
    EXPECT_EQ(passed_on() + asks.size(), reads_max);
    for (std::size_t engine = 0, server = 0; engine + server < 100;) {
        ASSERT_LT(engine + server, passed_on() + asks.size());
        if (server < asks.size()) {
            auto with = io();
            machine().answer_question(asks[server++].request, codec::connections{}, with);
        } else {
            output_as(tag_of(engine++), codec::queues{});
            outputs_end();
        }
        EXPECT_LE(passed_on() + asks.size(), engine + server + reads_max);
    }
    EXPECT_FALSE(machine().blocked());
}

TEST_F(unanswered_session, confirmed_settles_count_what_their_answers_may_name) {
    codec::settle settle{.queue = queue_id{1}, .confirm = true};
    settle.runs.assign(1, {0, 65536, broker_epoch{1}, 1});
    byte_buffer many;
    for (std::uint32_t id = 1; id <= 100; ++id) {
        append(many, id, settle);
    }
    receive(many);
    EXPECT_LT(passed_on(), 10U);
    EXPECT_TRUE(machine().blocked());
}

// Answers to what was never counted take nothing off.
TEST_F(unanswered_session, the_number_of_requests_stays_bounded_whatever_else_is_answered) {
    codec::settle unconfirmed{.queue = queue_id{1}};
    for (std::uint32_t round = 0; round < 10; ++round) {
        const auto first = passed_on();
        receive(7, read_of(large, 30s));
        output_as(tag_of(first), domain::read_result{});
        receive(7, unconfirmed);
        output_as(tag_of(first + 1), codec::error{error_code::queue_not_found, ""});
        outputs_end();
        receive(7, codec::queue_explain{});
        EXPECT_FALSE(machine().blocked());
    }
    for (std::uint32_t i = 10; i < requests_unanswered_max; ++i) {
        EXPECT_FALSE(machine().blocked());
        receive(7, codec::queue_explain{});
        receive(7, unconfirmed);
        output_as(tag_of(passed_on() - 1), codec::error{error_code::queue_not_found, ""});
    }
    EXPECT_TRUE(machine().blocked());
    (void)take();
}

}  // namespace
}  // namespace brokerd::session
