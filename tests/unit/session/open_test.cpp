// The open connection: requests, unknown frames, heartbeats, deadlines, goodbye, drain.
#include <gmock/gmock.h>

#include "broker/session/request_table.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/types/crc32c.hpp"
#include "tests/unit/session/session_fixture.hpp"

namespace brokerd::session {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class open_session : public session_fixture {
protected:
    void SetUp() override { open(); }

    void attach(std::uint32_t request, std::uint32_t consumer) {
        receive(request, codec::attach{.queue = "t/q", .consumer = consumer_id{consumer}});
    }
    void detach(std::uint32_t request, std::uint32_t consumer) {
        receive(request, codec::detach{consumer_id{consumer}});
    }
};

void send_raw(byte_buffer& to, std::uint8_t type, std::uint8_t flags, std::uint32_t request) {
    to.resize(codec::frame_header_bytes);
    codec::store_frame_header(to.data(), type, request, 0);
    if (flags != 0) {
        to[5] = static_cast<std::byte>(flags);
        store_le(to.data() + 12, crc32c(0, byte_view{to}.first(12)));
    }
}

// Promise: limits.unknown
TEST_F(open_session, an_unknown_type_is_refused_and_the_connection_lives) {
    byte_buffer bytes;
    send_raw(bytes, 250, 0, 3);
    receive(bytes);
    EXPECT_EQ(take_one<codec::error>(3).code, error_code::unknown_type);
    receive(4, codec::ping{});
    (void)take_one<codec::pong>(4);
}

TEST_F(open_session, unknown_flags_are_refused_and_the_connection_lives) {
    byte_buffer bytes;
    send_raw(bytes, static_cast<std::uint8_t>(codec::frame_type::ping), 1, 3);
    receive(bytes);
    EXPECT_EQ(take_one<codec::error>(3).code, error_code::bad_flags);
    EXPECT_FALSE(machine().closing());
}

TEST_F(open_session, a_frame_of_the_broker_is_refused) {
    receive(3, codec::ok{});
    EXPECT_EQ(take_one<codec::error>(3).code, error_code::unexpected);
    expect_closed(closed_reason::protocol_error);
}

TEST_F(open_session, a_malformed_body_is_refused_and_the_connection_lives) {
    byte_buffer bytes;
    send_raw(bytes, static_cast<std::uint8_t>(codec::frame_type::attach), 0, 3);
    receive(bytes);
    EXPECT_EQ(take_one<codec::error>(3).code, error_code::malformed);
    EXPECT_FALSE(machine().closing());
    EXPECT_TRUE(commands.empty());
}

TEST_F(open_session, requests_reach_the_engine_with_their_id) {
    receive(11, codec::queue_list{.topic = "orders"});
    EXPECT_EQ(take_request<codec::queue_list>(11).topic, "orders");
    EXPECT_TRUE(take().empty());
}

TEST_F(open_session, questions_reach_the_server) {
    receive(1, codec::health{});
    receive(2, codec::stats{});
    receive(3, codec::connection_list{});
    receive(4, codec::connection_close{connection_id{12}});
    ASSERT_THAT(asks, SizeIs(4));
    EXPECT_EQ(asks[0].what, ask::kind::health);
    EXPECT_EQ(asks[1].what, ask::kind::stats);
    EXPECT_EQ(asks[2].what, ask::kind::connections);
    EXPECT_EQ(asks[3].what, ask::kind::close_connection);
    EXPECT_EQ(static_cast<std::uint32_t>(asks[3].request), 4U);
    EXPECT_EQ(asks[3].target, connection_id{12});
}

TEST_F(open_session, answers_of_the_engine_become_frames) {
    output(11, codec::counted{.messages = 5});
    outputs_end();
    EXPECT_EQ(take_one<codec::counted>(11).messages, 5U);
}

TEST_F(open_session, an_error_of_the_engine_that_closes_closes) {
    output(11, codec::error{error_code::storage_failed, "the disk is gone"});
    EXPECT_EQ(take_one<codec::error>(11).code, error_code::storage_failed);
    expect_closed(closed_reason::storage_failed);
    EXPECT_TRUE(take_command<domain::connection_closed>().goodbye);
}

TEST_F(open_session, settle_is_bounded_and_its_reason_is_text) {
    codec::settle settle{.queue = queue_id{1}, .action = settle_action::nack};
    settle.reason.assign(limits::reason_bytes_max, 'r');
    settle.runs.assign(limits::settle_runs_max, {0, 1, broker_epoch{1}, 1});
    receive(1, settle);
    EXPECT_THAT(take_request<codec::settle>(1).runs, SizeIs(limits::settle_runs_max));

    settle.reason += 'r';
    receive(2, settle);
    EXPECT_EQ(take_one<codec::error>(2).code, error_code::invalid_argument);
    settle.reason = "\x1b[31m";
    receive(3, settle);
    EXPECT_EQ(take_one<codec::error>(3).code, error_code::invalid_argument);
    settle.reason.clear();
    settle.runs.push_back({0, 1, broker_epoch{1}, 1});
    receive(4, settle);
    EXPECT_EQ(take_one<codec::error>(4).code, error_code::invalid_argument);
    EXPECT_TRUE(commands.empty());
}

// Promise: limits.silence
TEST_F(open_session, silence_is_answered_by_a_ping_and_then_by_the_end) {
    EXPECT_EQ(tick(), now.mono + settings.heartbeat);
    pass(settings.heartbeat);
    (void)tick();
    (void)take_one<codec::ping>();
    pass(settings.dead_after - settings.heartbeat);
    (void)tick();
    const auto frames = take();
    ASSERT_FALSE(frames.empty());
    EXPECT_EQ(frames.back().type, codec::frame_type::error);
    expect_closed(closed_reason::idle_timeout);
    EXPECT_FALSE(take_command<domain::connection_closed>().goodbye) << "it is lost";
}

TEST_F(open_session, whoever_answers_lives) {
    for (int i = 0; i < 10; ++i) {
        pass(settings.heartbeat);
        (void)tick();
        (void)take_one<codec::ping>();
        receive(0, codec::pong{});
    }
    EXPECT_FALSE(machine().closing());
}

TEST_F(open_session, a_client_that_only_sends_still_hears_from_us) {
    for (int i = 0; i < 30; ++i) {
        pass(1s);
        receive(1, codec::settle{.queue = queue_id{1}, .runs = {{0, 1, broker_epoch{1}, 1}}});
        (void)tick();
    }
    EXPECT_THAT(take(), SizeIs(2)) << "a ping every 15 s";
}

// Promise: limits.silence
TEST_F(open_session, a_frame_must_complete_in_time) {
    byte_buffer bytes;
    codec::encode_publish(bytes, 1, "t", batch_of(1, 256 * limits::kib));
    receive(byte_view{bytes}.first(100));
    const auto began = now.mono;
    EXPECT_LE(tick(), began + limits::frame_base_deadline + 5s);
    // Trickling in keeps nobody alive.
    for (std::size_t i = 100; i < 114; ++i) {
        pass(1s - 1us);
        receive(byte_view{bytes}.subspan(i, 1));
        (void)tick();
    }
    EXPECT_FALSE(machine().closing());
    pass(1s);
    (void)tick();
    expect_closed(closed_reason::frame_timeout);
}

TEST_F(open_session, a_frame_has_its_time_while_we_listen) {
    byte_buffer bytes;
    codec::encode_frame(bytes, 1, codec::ping{});
    receive(byte_view{bytes}.first(8));
    pass(1s);
    pass(60s);
    machine().not_listening(60s, now);
    EXPECT_EQ(tick(), now.mono + limits::frame_base_deadline - 1s);
    pass(limits::frame_base_deadline - 1s - 1us);
    (void)tick();
    EXPECT_FALSE(machine().closing());
    pass(1us);
    (void)tick();
    expect_closed(closed_reason::frame_timeout);
}

TEST_F(open_session, silence_counts_while_we_listen) {
    pass(10s);
    pass(60s);
    machine().not_listening(60s, now);
    pass(settings.dead_after - 10s - 1us);
    (void)tick();
    EXPECT_FALSE(machine().closing());
    pass(1us);
    (void)tick();
    expect_closed(closed_reason::idle_timeout);
}

TEST_F(open_session, silence_begins_no_later_than_we_listen_again) {
    pass(60s);
    // More than there was since the last bytes came.
    machine().not_listening(80s, now);
    pass(settings.dead_after - 1us);
    (void)tick();
    EXPECT_FALSE(machine().closing());
    pass(1us);
    (void)tick();
    expect_closed(closed_reason::idle_timeout);
}

TEST_F(open_session, goodbye_is_answered_and_counts_as_no_attempt) {
    receive(8, codec::goodbye{});
    (void)take_one<codec::ok>(8);
    EXPECT_TRUE(take_command<domain::connection_closed>().goodbye);
    expect_closed(closed_reason::goodbye);
}

TEST_F(open_session, goodbye_waits_for_the_publishes_before_it) {
    receive_publish(1, batch_of(1));
    commands.clear();
    receive(2, codec::goodbye{});
    EXPECT_TRUE(take().empty());
    EXPECT_FALSE(machine().closing());
    receive(3, codec::ping{});
    EXPECT_TRUE(take().empty()) << "nothing counts behind a goodbye";
    output(1, domain::publish_accepted{.base_offset = 0, .count = 1});
    outputs_end();
    const auto frames = take();
    ASSERT_THAT(frames, SizeIs(2));
    EXPECT_EQ(frames[0].type, codec::frame_type::published);
    EXPECT_EQ(frames[1].type, codec::frame_type::ok);
    expect_closed(closed_reason::goodbye);
}

TEST_F(open_session, a_lost_connection_is_no_goodbye) {
    auto with = io();
    machine().close(closed_reason::peer_closed, with);
    EXPECT_FALSE(take_command<domain::connection_closed>().goodbye);
    machine().close(closed_reason::peer_reset, with);
    EXPECT_TRUE(commands.empty()) << "closed once";
    EXPECT_EQ(machine().reason(), closed_reason::peer_closed);
}

TEST_F(open_session, consumers_are_counted_in_whatever_order_the_answers_come) {
    attach(1, 5);
    detach(2, 5);
    output(2, codec::ok{});
    EXPECT_EQ(machine().consumers(), 0U);
    output(1, codec::attached{.queue = queue_id{1}});
    EXPECT_EQ(machine().consumers(), 0U);
    // One that is not there yet cannot be detached, and comes all the same.
    attach(3, 6);
    detach(4, 6);
    output(4, codec::error{error_code::consumer_not_found, ""});
    output(3, codec::attached{.queue = queue_id{1}});
    EXPECT_EQ(machine().consumers(), 1U);
    detach(5, 6);
    EXPECT_EQ(machine().consumers(), 1U) << "the engine has not said so";
    output(5, codec::ok{});
    EXPECT_EQ(machine().consumers(), 0U);
    // The end of its queue overtakes the detach.
    attach(6, 7);
    output(6, codec::attached{.queue = queue_id{1}});
    detach(7, 7);
    output(0, codec::detached{.consumer = consumer_id{7}});
    output(7, codec::error{error_code::consumer_not_found, ""});
    EXPECT_EQ(machine().consumers(), 0U);
}

TEST_F(open_session, consumers_are_counted_whatever_ids_their_requests_have) {
    receive(1, codec::queue_explain{});
    const auto explain = std::get<domain::request>(commands.back()).id;
    attach(1, 5);
    const auto attached = std::get<domain::request>(commands.back()).id;
    output_as(explain, codec::error{error_code::queue_not_found, ""});
    output_as(attached, codec::attached{.queue = queue_id{1}});
    EXPECT_EQ(machine().consumers(), 1U);
    receive(1, codec::set_prefetch{.consumer = consumer_id{5}});
    output(1, codec::ok{});
    EXPECT_EQ(machine().consumers(), 1U);
}

// How a message failed before is told to clients that understand it.
class session_of_features : public session_fixture {
protected:
    codec::deliver delivered(std::uint64_t features) {
        open(features);
        receive(1, codec::attach{.queue = "t/q", .consumer = consumer_id{5}});
        output(1, codec::attached{.queue = queue_id{1}});
        (void)take();
        domain::record_run run;
        run.leases = {0, 1, broker_epoch{3}, 1};
        run.attempt = 2;
        run.history = {{wall_from_us(1), attempt_outcome::nacked, "a@b:1", "no"}};
        codec::batch_builder builder;
        builder.add({.payload = as_bytes("x")});
        const byte_buffer batch = builder.take({}, 0);
        const auto record =
            std::make_shared<byte_buffer>(batch.begin() + codec::batch_header_bytes, batch.end());
        run.records = {record, *record};
        output(0, domain::delivery{consumer_id{5}, {run}});
        outputs_end();
        return take_one<codec::deliver>();
    }
};

TEST_F(session_of_features, a_history_is_sent_to_who_asked_for_it) {
    const auto push = delivered(codec::feature::attempt_history | std::uint64_t{1} << 63U);
    ASSERT_EQ(push.runs.size(), 1U);
    EXPECT_EQ(push.runs[0].attempt, 2U);
    ASSERT_EQ(push.runs[0].history.size(), 1U);
    EXPECT_EQ(push.runs[0].history[0].reason, "no");
}

TEST_F(session_of_features, others_get_the_attempt_alone) {
    const auto push = delivered(0);
    ASSERT_EQ(push.runs.size(), 1U);
    EXPECT_EQ(push.runs[0].attempt, 2U);
    EXPECT_TRUE(push.runs[0].history.empty());
}

TEST_F(open_session, draining_waits_for_what_is_held) {
    attach(1, 5);
    commands.clear();
    output(1, codec::attached{.queue = queue_id{1}});
    EXPECT_EQ(machine().consumers(), 1U);
    domain::record_run two;
    two.leases = {0, 2, broker_epoch{3}, 1};
    output(0, domain::delivery{consumer_id{5}, {two}});
    (void)take();

    auto with = io();
    machine().drain(10s, with);
    EXPECT_EQ(take_one<codec::draining>().grace_ms, 10'000U);
    (void)take_command<domain::connection_draining>();
    EXPECT_FALSE(machine().drained()) << "two leases are held";

    receive(2, codec::attach{.queue = "t/q", .consumer = consumer_id{6}});
    EXPECT_EQ(take_one<codec::error>(2).code, error_code::busy);
    receive(3, codec::settle{.queue = queue_id{1}, .runs = {{0, 2, broker_epoch{3}, 1}}});
    (void)take_request<codec::settle>(3);
    EXPECT_FALSE(machine().drained()) << "the engine has not said so";
    output(0, domain::holds_nothing{});
    EXPECT_TRUE(take().empty());
    EXPECT_TRUE(machine().drained());
}

TEST_F(open_session, draining_asks_again_for_a_consumer_that_comes_late) {
    receive(1, codec::attach{.queue = "t/q", .consumer = consumer_id{5}});
    commands.clear();
    auto with = io();
    machine().drain(10s, with);
    (void)take_command<domain::connection_draining>();
    output(0, domain::holds_nothing{});
    EXPECT_FALSE(machine().drained()) << "the attach is not answered";
    output(1, codec::attached{.queue = queue_id{1}});
    EXPECT_FALSE(machine().drained());
    (void)take_command<domain::connection_draining>();
    output(0, domain::holds_nothing{});
    EXPECT_TRUE(machine().drained());
}

// ---- consumers of pattern queues ----

TEST_F(open_session, the_answer_to_a_pattern_attach_is_a_consumer_and_what_is_pushed_is_none) {
    receive(1, codec::pattern_attach{.pattern = "a.*/q", .consumer = consumer_id{5}});
    output(1,
           codec::pattern_queues{.consumer = consumer_id{5}, .joined = {{.queue = queue_id{1}}}});
    EXPECT_EQ(take_one<codec::pattern_queues>(1).joined.size(), 1U);
    EXPECT_EQ(machine().consumers(), 1U);
    output(0,
           codec::pattern_queues{.consumer = consumer_id{5}, .joined = {{.queue = queue_id{2}}}});
    EXPECT_EQ(take_one<codec::pattern_queues>().joined[0].queue, queue_id{2});
    EXPECT_EQ(machine().consumers(), 1U);
    output(0, codec::detached{.consumer = consumer_id{5}});
    EXPECT_EQ(machine().consumers(), 0U);
}

TEST_F(open_session, draining_refuses_a_pattern_attach_and_asks_again_for_one_under_way) {
    receive(1, codec::pattern_attach{.pattern = "a.*/q", .consumer = consumer_id{5}});
    commands.clear();
    auto with = io();
    machine().drain(10s, with);
    (void)take();
    (void)take_command<domain::connection_draining>();
    receive(2, codec::pattern_attach{.pattern = "a.*/q", .consumer = consumer_id{6}});
    EXPECT_EQ(take_one<codec::error>(2).code, error_code::busy);
    output(0, domain::holds_nothing{});
    EXPECT_FALSE(machine().drained()) << "the attach is not answered";
    output(1, codec::pattern_queues{.consumer = consumer_id{5}});
    EXPECT_FALSE(machine().drained());
    (void)take_command<domain::connection_draining>();
}

TEST_F(open_session, a_pattern_attach_names_a_bounded_number_of_runs) {
    codec::pattern_attach what{.pattern = "a.*/q", .consumer = consumer_id{5}};
    const std::vector<lease_run> half(limits::settle_runs_max / 2, {0, 1, broker_epoch{1}, 1});
    what.held = {{queue_id{1}, half}, {queue_id{2}, half}};
    receive(1, what);
    EXPECT_TRUE(take().empty());
    what.held.push_back({queue_id{3}, {{0, 1, broker_epoch{1}, 1}}});
    receive(2, what);
    EXPECT_EQ(take_one<codec::error>(2).code, error_code::invalid_argument);
}

TEST_F(session_of_features, the_queue_of_a_run_is_told_where_there_is_one) {
    EXPECT_EQ(delivered(0).runs[0].queue, queue_id{});
    domain::record_run run;
    run.leases = {0, 1, broker_epoch{3}, 1};
    run.queue = queue_id{9};
    codec::batch_builder builder;
    builder.add({.payload = as_bytes("x")});
    const byte_buffer batch = builder.take({}, 0);
    const auto record =
        std::make_shared<byte_buffer>(batch.begin() + codec::batch_header_bytes, batch.end());
    run.records = {record, *record};
    output(0, domain::delivery{consumer_id{5}, {run, run}});
    outputs_end();
    const auto push = take_one<codec::deliver>();
    ASSERT_EQ(push.runs.size(), 2U);
    EXPECT_EQ(push.runs[1].queue, queue_id{9});
    EXPECT_EQ(push.runs[1].attempt, 1U);
}

TEST_F(open_session, draining_waits_for_a_frame_that_has_begun) {
    byte_buffer bytes;
    codec::encode_publish(bytes, 1, "t", batch_of(1));
    receive(byte_view{bytes}.first(20));
    auto with = io();
    machine().drain(10s, with);
    output(0, domain::holds_nothing{});
    EXPECT_FALSE(machine().drained());
    receive(byte_view{bytes}.subspan(20));
    EXPECT_FALSE(machine().drained());
    output(1, domain::publish_accepted{.base_offset = 0, .count = 1});
    outputs_end();
    EXPECT_TRUE(machine().drained());
}

TEST_F(open_session, draining_asks_nothing_after_a_goodbye) {
    receive_publish(1, batch_of(1));
    receive(2, codec::goodbye{});
    commands.clear();
    auto with = io();
    machine().drain(10s, with);
    EXPECT_TRUE(commands.empty());
}

// Promise: limits.unanswered
TEST_F(open_session, a_full_outbox_holds_outputs_back_and_stops_reading) {
    pending = limits::outbox_bytes_max + 1;
    output(1, codec::counted{.messages = 1});
    output(2, codec::counted{.messages = 2});
    EXPECT_TRUE(machine().blocked());
    EXPECT_TRUE(take().empty());
    pending = limits::outbox_bytes_max;
    auto with = io();
    machine().pump(with);
    EXPECT_THAT(take(), SizeIs(1)) << "which fills it again";
    EXPECT_TRUE(machine().blocked());
    pending = 0;
    auto with_room = io();
    machine().pump(with_room);
    EXPECT_THAT(take(), SizeIs(1));
    EXPECT_FALSE(machine().blocked());
}

TEST_F(open_session, too_many_unanswered_requests_stop_reading_until_some_are_answered) {
    for (std::uint32_t id = 1; id <= requests_unanswered_max; ++id) {
        EXPECT_FALSE(machine().blocked());
        receive(id, codec::queue_explain{});
    }
    EXPECT_TRUE(machine().blocked());
    output(1, codec::explained{});
    outputs_end();
    EXPECT_FALSE(machine().blocked());
    EXPECT_THAT(take(), SizeIs(1));
}

TEST_F(open_session, too_many_questions_are_refused) {
    for (std::uint32_t id = 1; id <= questions_unanswered_max; ++id) {
        receive(id, codec::stats{});
    }
    EXPECT_TRUE(take().empty());
    receive(99, codec::stats{});
    EXPECT_EQ(take_one<codec::error>(99).code, error_code::busy);
    EXPECT_FALSE(machine().closing());
    EXPECT_THAT(asks, SizeIs(questions_unanswered_max));
    auto with = io();
    machine().answer_question(asks[0].request, codec::stats_report{}, with);
    (void)take_one<codec::stats_report>(1);
    receive(100, codec::stats{});
    EXPECT_TRUE(take().empty());
}

TEST(request_table, every_row_is_found_and_nothing_else) {
    std::size_t rows = 0;
    for (int type = 0; type < 256; ++type) {
        const auto* row = find_request(static_cast<std::uint8_t>(type));
        if (row != nullptr) {
            ++rows;
            EXPECT_EQ(static_cast<int>(row->type), type);
            EXPECT_NE(row->handler, nullptr);
            EXPECT_NE(row->name, "unknown");
        }
    }
    EXPECT_EQ(rows, 46U);
}

}  // namespace
}  // namespace brokerd::session
