// Requests and replies: records are verified before the engine sees them, what has no reply is
// bounded, and never keeps the session from reading a reply.
#include <gmock/gmock.h>

#include "protocol/codec/record.hpp"
#include "tests/unit/session/session_fixture.hpp"

namespace brokerd::session {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

byte_buffer record_of(std::string_view payload) {
    byte_buffer bytes;
    codec::encode_record(bytes,
                         {.key = "k", .headers = {{"a", "b"}}, .payload = as_bytes(payload)});
    return bytes;
}

class session_of_services : public session_fixture {
protected:
    void SetUp() override { open(); }

    [[nodiscard]] static codec::service_request asking(byte_view record, duration_us timeout = 5s) {
        return {.service = "prices", .timeout = timeout, .record = {record}};
    }
    // A refusal that spares the connection and reaches nobody else.
    codec::error refusal(const codec::service_request& message) {
        receive(7, message);
        EXPECT_TRUE(commands.empty());
        EXPECT_FALSE(machine().closing());
        return take_one<codec::error>(7);
    }
    // The refusal of a reply, whose request fails.
    codec::error refused_reply(const codec::reply& message) {
        receive(7, message);
        const auto passed = take_request<domain::service_reply>(7);
        EXPECT_TRUE(passed.failed);
        EXPECT_EQ(passed.token, message.token);
        EXPECT_TRUE(passed.record.view.empty());
        const auto error = take_one<codec::error>(7);
        EXPECT_THAT(passed.text, HasSubstr(error.text));
        return error;
    }
    void output_reply(std::uint32_t request, byte_view record) {
        output(request, domain::reply_result{.message = {.responder = "r@h:1"},
                                             .record = copy_bytes(record)});
    }

    void output_push(byte_view record, duration_us remaining) {
        output_as(0, domain::request_push{.message = {.responder = responder_id{3},
                                                      .token = request_token{++last_token_},
                                                      .service = "prices"},
                                          .record = copy_bytes(record),
                                          .deadline = now.mono + remaining});
    }
    // The client takes all it is sent: what is pushed to it then.
    std::vector<codec::requested> all_pushed() {
        std::vector<codec::requested> found;
        do {
            pending = 0;
            pump();
            for (const auto& each : take()) {
                if (each.type == codec::frame_type::requested) {
                    found.push_back(codec::decode<codec::requested>(each.body).value());
                    found.back().record = {};  // its bytes go with the frame
                }
            }
        } while (machine().blocked());
        return found;
    }

    byte_buffer record_ = record_of("hello");
    std::uint64_t last_token_ = 0;
};

TEST_F(session_of_services, a_request_is_handed_over_and_its_reply_sent) {
    receive(7, asking(record_));
    const auto passed = take_request<domain::service_request>(7);
    EXPECT_EQ(passed.service, "prices");
    EXPECT_EQ(passed.deadline, now.mono + 5s) << "from its arrival on";
    EXPECT_EQ(as_text(passed.record.view), as_text(record_));
    const auto reply = record_of("42");
    output_reply(7, reply);
    const auto frames = take();
    ASSERT_THAT(frames, SizeIs(1));
    EXPECT_EQ(frames[0].request, 7U);
    const auto message = codec::decode<codec::replied>(frames[0].body);
    ASSERT_TRUE(message) << message.error().text;
    EXPECT_EQ(message->responder, "r@h:1");
    EXPECT_EQ(as_text(message->record.view), as_text(reply));
}

TEST_F(session_of_services, what_is_pushed_to_a_responder_is_the_record_as_it_came) {
    receive(7, codec::serve{"prices", responder_id{3}, 10});
    EXPECT_EQ(take_request<codec::serve>(7), (codec::serve{"prices", responder_id{3}, 10}));
    output(7, codec::ok{});
    (void)take_one<codec::ok>(7);
    output_as(0, domain::request_push{.message = {.responder = responder_id{3},
                                                  .token = request_token{9},
                                                  .service = "prices",
                                                  .requester = "a@h:1"},
                                      .record = copy_bytes(record_),
                                      .deadline = now.mono + 2s});
    const auto frames = take();
    ASSERT_THAT(frames, SizeIs(1));
    EXPECT_EQ(frames[0].request, 0U);
    const auto push = codec::decode<codec::requested>(frames[0].body);
    ASSERT_TRUE(push) << push.error().text;
    EXPECT_EQ(push->token, request_token{9});
    EXPECT_EQ(push->remaining, duration_us{2s});
    EXPECT_EQ(as_text(push->record.view), as_text(record_));
    receive(8, codec::reply{.token = request_token{9}, .record = {record_}});
    const auto answer = take_request<domain::service_reply>(8);
    EXPECT_EQ(answer.token, request_token{9});
    EXPECT_FALSE(answer.failed);
    EXPECT_EQ(as_text(answer.record.view), as_text(record_));
    receive(9, codec::reply{.token = request_token{10}, .failed = true, .text = "sold out"});
    const auto failed = take_request<domain::service_reply>(9);
    EXPECT_TRUE(failed.failed);
    EXPECT_EQ(failed.text, "sold out");
}

TEST_F(session_of_services, requests_that_are_not_acceptable_are_refused) {
    EXPECT_EQ(refusal(asking(record_, 999us)).code, error_code::invalid_argument);
    EXPECT_EQ(refusal(asking(record_, 1h + 1us)).code, error_code::invalid_argument);
    EXPECT_EQ(refusal(asking({})).code, error_code::bad_batch);
    auto two = record_;
    two.insert(two.end(), record_.begin(), record_.end());
    EXPECT_THAT(refusal(asking(two)).text, HasSubstr("follow the one record"));
    auto damaged = record_;
    damaged.back() ^= std::byte{1};
    EXPECT_EQ(refusal(asking(damaged)).code, error_code::bad_checksum);
    receive(7, asking(record_, 1ms));
    (void)take_request<domain::service_request>(7);
    receive(8, asking(record_, 1h));
    (void)take_request<domain::service_request>(8);
}

TEST_F(session_of_services, a_reply_that_is_not_acceptable_fails_its_request) {
    auto damaged = record_;
    damaged.back() ^= std::byte{1};
    const request_token token{4};
    EXPECT_EQ(refused_reply({.token = token, .record = {damaged}}).code, error_code::bad_checksum);
    EXPECT_EQ(refused_reply({.token = token}).code, error_code::bad_batch);
    EXPECT_EQ(refused_reply({.token = token, .text = "x", .record = {record_}}).code,
              error_code::invalid_argument);
    EXPECT_EQ(refused_reply({.token = token, .failed = true, .record = {record_}}).code,
              error_code::invalid_argument);
    EXPECT_EQ(refused_reply({.token = token,
                             .failed = true,
                             .text = std::string(limits::reason_bytes_max + 1, 'x')})
                  .code,
              error_code::invalid_argument);
}

TEST_F(session_of_services, requests_without_a_reply_are_bounded_and_hold_up_nothing) {
    for (std::uint32_t i = 0; i < limits::requests_per_connection_max; ++i) {
        receive(100 + i, asking(record_));
    }
    EXPECT_THAT(commands, SizeIs(limits::requests_per_connection_max));
    commands.clear();
    EXPECT_EQ(refusal(asking(record_)).code, error_code::busy);
    EXPECT_FALSE(machine().blocked());
    receive(8, codec::reply{.token = request_token{1}, .record = {record_}});
    (void)take_request<domain::service_reply>(8);
    output_reply(100, record_);
    (void)take();
    receive(7, asking(record_));
    (void)take_request<domain::service_request>(7);
}

TEST_F(session_of_services, a_responder_that_leaves_waits_for_its_replies_and_nothing_for_it) {
    for (std::uint32_t i = 1; i <= requests_unanswered_max + 1; ++i) {
        receive(i, codec::unserve{responder_id{i}});
    }
    EXPECT_FALSE(machine().blocked());
    EXPECT_THAT(commands, SizeIs(requests_unanswered_max + 1));
    output(3, codec::ok{});
    (void)take_one<codec::ok>(3);
}

TEST_F(session_of_services, replies_that_nobody_reads_are_bounded) {
    const auto large = record_of(std::string(4 * limits::mib, 'x'));
    const std::size_t fitting = limits::replies_waiting_bytes_max / large.size();
    pending = limits::outbox_bytes_max + 1;
    for (std::uint32_t i = 1; i <= fitting + 2; ++i) {
        receive(i, asking(record_));
        commands.clear();
    }
    for (std::uint32_t i = 1; i <= fitting + 2; ++i) {
        output_reply(i, large);
    }
    EXPECT_TRUE(take().empty());
    std::size_t replies = 0;
    std::size_t dropped = 0;
    for (std::uint32_t i = 0; i < 2 * fitting; ++i) {
        pending = 0;
        pump();
        for (const auto& each : take()) {
            replies += each.type == codec::frame_type::replied ? 1U : 0U;
            dropped += each.type == codec::frame_type::error ? 1U : 0U;
        }
    }
    EXPECT_EQ(replies, fitting);
    EXPECT_EQ(dropped, 2U);
    EXPECT_EQ(machine().requests_without_reply(), 0U);
}

TEST_F(session_of_services, one_reply_of_any_size_may_wait) {
    const auto large = record_of(std::string(limits::replies_waiting_bytes_max, 'x'));
    pending = limits::outbox_bytes_max + 1;
    for (std::uint32_t i = 1; i <= 2; ++i) {
        receive(i, asking(record_));
        commands.clear();
    }
    output_reply(1, large);
    output_reply(2, record_);
    pending = 0;
    pump();
    EXPECT_EQ(take().at(0).type, codec::frame_type::replied);
    pump();
    EXPECT_EQ(take().at(0).type, codec::frame_type::error);
}

TEST_F(session_of_services, the_time_that_remains_is_counted_when_a_push_is_written) {
    pending = limits::outbox_bytes_max + 1;
    output_push(record_, 1s);
    output_push(record_, 2s);
    pass(1s);
    const auto pushed = all_pushed();
    ASSERT_THAT(pushed, SizeIs(1)) << "nobody waits for the first any more";
    EXPECT_EQ(pushed[0].token, request_token{2});
    EXPECT_EQ(pushed[0].remaining, duration_us{1s});
}

// Each deadline makes room for one more at the engine, for as long as the connection lives.
TEST_F(session_of_services, pushes_that_nobody_reads_go_with_their_deadlines) {
    const auto large = record_of(std::string(limits::mib, 'x'));
    const std::size_t many = 3 * limits::pushes_waiting_bytes_max / large.size();
    pending = limits::outbox_bytes_max + 1;
    for (std::size_t i = 0; i < many; ++i) {
        output_push(large, 1ms);
        pass(1ms);
    }
    output_push(record_, 5s);
    EXPECT_FALSE(machine().closing());
    const auto pushed = all_pushed();
    ASSERT_THAT(pushed, SizeIs(1));
    EXPECT_EQ(pushed[0].token, request_token{many + 1});
    // All of it was taken off: as much may wait again.
    pending = limits::outbox_bytes_max + 1;
    for (std::size_t i = 0; i < limits::pushes_waiting_bytes_max / large.size(); ++i) {
        output_push(large, 5s);
    }
    EXPECT_FALSE(machine().closing());
}

TEST_F(session_of_services, a_responder_that_stays_behind_is_closed) {
    pending = limits::outbox_bytes_max + 1;
    std::size_t pushed = 0;
    while (!machine().closing() && pushed <= limits::pushes_waiting_bytes_max / record_.size()) {
        output_push(record_, 5s);
        ++pushed;
    }
    expect_closed(closed_reason::slow_consumer);
    EXPECT_LT(pushed, limits::pushes_waiting_bytes_max / sizeof(domain::output))
        << "small ones count as what they take";
    EXPECT_EQ(take_one<codec::error>(0).code, error_code::slow_consumer);
    EXPECT_FALSE(take_command<domain::connection_closed>().goodbye);
}

TEST_F(session_of_services, at_a_shut_down_nothing_new_begins_and_replies_are_waited_for) {
    receive(7, asking(record_));
    (void)take_request<domain::service_request>(7);
    {
        auto with = io();
        machine().drain(10s, with);
    }
    (void)take();
    commands.clear();
    EXPECT_EQ(refusal(asking(record_)).code, error_code::busy);
    receive(8, codec::serve{"prices", responder_id{1}, 1});
    EXPECT_EQ(take_one<codec::error>(8).code, error_code::busy);
    output_as(0, domain::holds_nothing{});
    EXPECT_FALSE(machine().drained());
    output_reply(7, record_);
    (void)take();
    EXPECT_TRUE(machine().drained());
}

}  // namespace
}  // namespace brokerd::session
