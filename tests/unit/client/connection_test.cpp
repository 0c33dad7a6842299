// The life of the connection: hello, back-off, heartbeats, giving up, goodbye.
#include <gmock/gmock.h>

#include "tests/unit/client/scripted_peer.hpp"

namespace brokerd::client_core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

std::optional<error> connect_error(scripted_peer& peer, const std::function<void()>& script) {
    std::optional<error> failed;
    bool done = false;
    peer.with([&](calls& out) {
        peer.state.wait_connected(
            [&](const result<void>& connected) {
                done = true;
                if (!connected) {
                    failed = connected.error();
                }
            },
            out);
    });
    script();
    EXPECT_TRUE(done);
    return failed;
}

TEST(client_connection, says_hello_with_its_name_first) {
    scripted_peer peer;
    peer.connect();
    const auto hello = peer.write_one().as<codec::hello>();
    EXPECT_EQ(hello.magic, codec::hello_magic);
    EXPECT_EQ(hello.client_name, "test@here:1");
    EXPECT_FALSE(peer.state.connected());
    peer.say(1, peer.terms);
    EXPECT_TRUE(peer.state.connected());
}

TEST(client_connection, nothing_is_sent_before_the_hello_is_answered) {
    scripted_peer peer;
    peer.publish("orders", "1");
    peer.connect();
    EXPECT_EQ(peer.write_one().type, codec::frame_type::hello);
    EXPECT_THAT(peer.write(), SizeIs(0));
}

TEST(client_connection, attempts_back_off_up_to_the_longest_pause) {
    auto options = scripted_peer::quick_options();
    options.backoff_initial = 100ms;
    options.backoff_max = 1s;
    options.give_up_after = forever;
    scripted_peer peer(options);
    std::vector<duration_us> pauses;
    for (int i = 0; i < 10; ++i) {
        auto step = peer.state.next_step(peer.now);
        if (step.what == connection_state::step::kind::wait) {
            pauses.push_back(step.until - peer.now);
            peer.now = step.until;
            step = peer.state.next_step(peer.now);
        }
        ASSERT_EQ(step.what, connection_state::step::kind::connect);
        peer.lose("refused");
    }
    for (std::size_t i = 0; i < pauses.size(); ++i) {
        EXPECT_LE(pauses[i], 1s);
    }
    EXPECT_GE(pauses.back(), 500ms);
    EXPECT_LT(pauses.front(), 200ms);
}

TEST(client_connection, a_silent_greeting_is_dropped) {
    scripted_peer peer;
    peer.connect();
    (void)peer.write();
    peer.pass(5s);
    ASSERT_TRUE(peer.state.dropped());
    EXPECT_THAT(*peer.state.dropped(), HasSubstr("answer to hello"));
}

TEST(client_connection, another_program_is_reported_at_once) {
    scripted_peer peer;
    const auto failed = connect_error(peer, [&] {
        peer.connect();
        (void)peer.write();
        const std::string http = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
        peer.receive(as_bytes(http));
    });
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->code(), client_errc::protocol_error);
    EXPECT_TRUE(peer.state.dropped());
}

TEST(client_connection, a_version_refusal_is_reported_at_once) {
    scripted_peer peer;
    const auto failed = connect_error(peer, [&] {
        peer.connect();
        (void)peer.write();
        peer.refuse(1, error_code::version_unsupported, "this broker speaks 7 to 9");
    });
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->code(), broker_errc::version_unsupported);
    EXPECT_STREQ(failed->what(), "this broker speaks 7 to 9");
}

TEST(client_connection, a_full_broker_is_tried_again_until_giving_up) {
    auto options = scripted_peer::quick_options();
    options.give_up_after = 10s;
    scripted_peer peer(options);
    const auto failed = connect_error(peer, [&] {
        peer.connect();
        (void)peer.write();
        peer.refuse(1, error_code::too_many_connections, "the broker is full");
        peer.lose();
        peer.pass(10s);
    });
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->code(), client_errc::not_connected);
    EXPECT_THAT(failed->what(), HasSubstr("the broker is full"));
}

TEST(client_connection, what_the_broker_said_is_told_before_what_the_socket_did) {
    std::vector<std::string> told;
    auto options = scripted_peer::quick_options();
    options.on_event = [&](const connection_event& event) { told.push_back(event.text); };
    scripted_peer peer(options);
    peer.greet();
    peer.refuse(0, error_code::closed_by_admin, "an administrator closed the connection");
    peer.lose("end of stream");
    EXPECT_THAT(told.back(), HasSubstr("administrator"));
}

TEST(client_connection, a_broker_that_stays_away_is_told_once) {
    using kind = connection_event::kind;
    std::vector<connection_event> told;
    auto options = scripted_peer::quick_options();
    options.on_event = [&](const connection_event& event) { told.push_back(event); };
    scripted_peer peer(options);
    const auto fail = [&](const std::string& why) {
        peer.pass(5s);
        ASSERT_EQ(peer.state.next_step(peer.now).what, connection_state::step::kind::connect);
        peer.lose(why);
    };
    fail("Connection refused");
    fail("Network is unreachable");
    ASSERT_THAT(told, SizeIs(1));
    EXPECT_EQ(told[0].what, kind::lost);
    EXPECT_EQ(told[0].text, "broker:4650: Connection refused");
    peer.pass(5s);
    peer.greet();
    ASSERT_THAT(told, SizeIs(2));
    EXPECT_EQ(told[1].what, kind::connected);
    peer.lose("Connection reset by peer");
    fail("Connection refused");
    peer.pass(5s);
    peer.connect();  // accepted, and closed before the hello was answered
    peer.lose("the broker closed the connection");
    ASSERT_THAT(told, SizeIs(3));
    EXPECT_EQ(told[2].what, kind::lost);
    EXPECT_EQ(told[2].text, "broker:4650: Connection reset by peer");
}

TEST(client_connection, silence_is_filled_with_pings_and_answers_to_pings) {
    scripted_peer peer;
    peer.greet();
    peer.pass(14s);
    EXPECT_THAT(peer.write(), SizeIs(0));
    peer.pass(1s);
    EXPECT_EQ(peer.write_one().type, codec::frame_type::ping);
    EXPECT_THAT(peer.write(), SizeIs(0));
    peer.say(77, codec::ping{});
    const sent_frame pong = peer.write_one();
    EXPECT_EQ(pong.type, codec::frame_type::pong);
    EXPECT_EQ(pong.request, 77U);
}

TEST(client_connection, a_broker_that_is_only_listening_is_asked_whether_it_lives) {
    scripted_peer peer;
    peer.greet();
    bool pinged = false;
    for (int i = 0; i < 20; ++i) {
        peer.pass(1s);
        peer.publish("orders", "x");
        for (const auto& frame : peer.write()) {
            pinged = pinged || frame.type == codec::frame_type::ping;
        }
    }
    EXPECT_TRUE(pinged);
}

TEST(client_connection, a_silent_broker_is_dropped) {
    scripted_peer peer;
    peer.greet();
    peer.pass(29s);
    EXPECT_FALSE(peer.state.dropped());
    peer.pass(1s);
    ASSERT_TRUE(peer.state.dropped());
    EXPECT_THAT(*peer.state.dropped(), HasSubstr("nothing was heard for 30 s"));
}

TEST(client_connection, frames_of_unknown_type_end_the_connection) {
    scripted_peer peer;
    peer.greet();
    byte_buffer bytes(codec::frame_header_bytes);
    codec::store_frame_header(bytes.data(), 200, 0, 0);
    peer.receive(bytes);
    ASSERT_TRUE(peer.state.dropped());
    EXPECT_THAT(*peer.state.dropped(), HasSubstr("unknown type 200"));
}

TEST(client_connection, events_are_told_in_order) {
    std::vector<connection_event::kind> told;
    auto options = scripted_peer::quick_options();
    options.on_event = [&](const connection_event& event) { told.push_back(event.what); };
    scripted_peer peer(options);
    peer.greet();
    peer.say(0, codec::draining{1000});
    peer.reconnect(1s);
    using kind = connection_event::kind;
    EXPECT_THAT(told, ElementsAre(kind::connected, kind::draining, kind::lost, kind::connected));
}

TEST(client_closing, waits_for_results_then_says_goodbye) {
    scripted_peer peer;
    peer.greet();
    const publish_outcome& outcome = peer.publish("orders", "1");
    bool closed = false;
    peer.with([&](calls& out) {
        peer.state.close(peer.now, [&](const result<void>&) { closed = true; }, out);
    });
    const sent_frame frame = peer.write_one();
    EXPECT_EQ(frame.type, codec::frame_type::publish);
    peer.acknowledge(frame, 9);
    EXPECT_EQ(outcome.offset, 9U);
    const sent_frame goodbye = peer.write_one();
    EXPECT_EQ(goodbye.type, codec::frame_type::goodbye);
    peer.say(goodbye.request, codec::ok{});
    EXPECT_TRUE(peer.state.dropped());
    peer.lose();
    EXPECT_EQ(peer.state.next_step(peer.now).what, connection_state::step::kind::stop);
    EXPECT_FALSE(closed);
    peer.with([&](calls& out) { peer.state.on_stopped(out); });
    EXPECT_TRUE(closed);
    const publish_outcome& late = peer.publish("orders", "2");
    ASSERT_TRUE(late.failure);
    EXPECT_EQ(late.failure->code(), client_errc::closed);
}

TEST(client_closing, does_not_wait_for_ever) {
    auto options = scripted_peer::quick_options();
    options.close_timeout = 5s;
    scripted_peer peer(options);
    peer.greet();
    const publish_outcome& outcome = peer.publish("orders", "1");
    (void)peer.write();
    peer.with([&](calls& out) { peer.state.close(peer.now, nullptr, out); });
    EXPECT_TRUE(outcome.open());
    peer.pass(5s);
    ASSERT_TRUE(outcome.failure);
    EXPECT_EQ(outcome.failure->code(), client_errc::outcome_unknown);
    EXPECT_EQ(peer.write_one().type, codec::frame_type::goodbye);
    peer.pass(1s);
    EXPECT_TRUE(peer.state.dropped());
}

TEST(client_closing, without_connection_and_work_is_immediate) {
    scripted_peer peer;
    peer.with([&](calls& out) { peer.state.close(peer.now, nullptr, out); });
    EXPECT_EQ(peer.state.next_step(peer.now).what, connection_state::step::kind::stop);
}

}  // namespace
}  // namespace brokerd::client_core
