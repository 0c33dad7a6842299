// Requests and replies: each request ends once and is sent once; a responder comes back with its
// connection and replies over the one its request came over.
#include <deque>

#include <gmock/gmock.h>

#include "client/src/client_limits.hpp"
#include "client/src/encoded.hpp"
#include "client/src/service_handling.hpp"
#include "protocol/codec/record.hpp"
#include "tests/unit/client/scripted_peer.hpp"

namespace brokerd::client_core {
namespace {

using codec::frame_type;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

byte_buffer record_of(const std::string& payload) {
    byte_buffer record;
    EXPECT_TRUE(encode_reply(record, {.key = "k", .headers = {{"a", "b"}}, .payload = payload}));
    return record;
}

std::string payload_of(byte_view record) {
    const auto parsed = codec::check_record(record);
    EXPECT_TRUE(parsed);
    return parsed ? std::string(as_text(parsed->payload)) : std::string();
}

struct ask_outcome {
    std::optional<service_reply> reply;
    std::optional<error> failure;
    std::uint64_t ticket = 0;
    [[nodiscard]] bool open() const { return !reply && !failure; }
    [[nodiscard]] std::error_code code() const {
        return failure ? failure->code() : std::error_code();
    }
};

class client_services : public testing::Test {
protected:
    explicit client_services(client_options options = scripted_peer::quick_options())
        : peer(std::move(options)) {
        peer.terms.features |= codec::feature::services;
    }

    // The outcome stays valid as long as the test.
    ask_outcome& ask(const std::string& payload = "apples?", duration_us timeout = 10s) {
        ask_outcome& outcome = outcomes.emplace_back();
        outcome.ticket = peer.with([&](calls& out) {
            return peer.state.ask(
                "prices", record_of(payload), timeout, peer.now,
                [&outcome](result<service_reply> got) {
                    EXPECT_TRUE(outcome.open());
                    if (got) {
                        outcome.reply = std::move(*got);
                    } else {
                        outcome.failure = got.error();
                    }
                },
                out);
        });
        return outcome;
    }
    void say_replied(std::uint32_t request, const std::string& payload) {
        const byte_buffer record = record_of(payload);
        peer.say(request, codec::replied{.responder = "r@h:1", .record = {record}});
    }

    // ---- a responder

    void open(std::uint32_t prefetch = 4) {
        id = peer.with([&](calls& out) {
            return peer.state.open_responder(
                "prices", prefetch,
                [this](const result<void>& done) {
                    if (done) {
                        opened = true;
                    } else {
                        open_failure = done.error();
                    }
                },
                out);
        });
    }
    // Connects and attaches.
    void serve() {
        open();
        peer.greet();
        peer.say(peer.write_one().request, codec::ok{});
        ASSERT_TRUE(opened);
    }
    void push(std::uint64_t token, const std::string& payload, duration_us remaining = 10s) {
        const byte_buffer record = record_of(payload);
        peer.say(0, codec::requested{.responder = id,
                                     .token = request_token{token},
                                     .service = "prices",
                                     .requester = "a@h:2",
                                     .remaining = remaining,
                                     .record = {record}});
    }
    [[nodiscard]] responder_state& state() { return *peer.state.find_responder(id); }
    void reply(const handed_request& to, const std::string& payload) {
        state().reply(to.handle, reply_of({.payload = payload}), peer.now);
    }
    // A silence does not end the connection.
    void without_heartbeats() {
        peer.terms.heartbeat_ms = 0;
        peer.terms.dead_after_ms = 0;
    }
    void stop() {
        peer.with([&](calls& out) { state().stop(out); });
    }

    scripted_peer peer;
    std::deque<ask_outcome> outcomes;
    responder_id id;
    bool opened = false;
    std::optional<error> open_failure;
};

// ---- asking

TEST_F(client_services, a_request_is_sent_and_its_reply_returned) {
    peer.greet();
    ask_outcome& asked = ask("apples?", 7s);
    const auto frame = peer.write_one();
    const auto request = frame.as<codec::service_request>();
    EXPECT_EQ(request.service, "prices");
    EXPECT_EQ(request.timeout, duration_us{7s});
    EXPECT_EQ(payload_of(request.record.view), "apples?");
    say_replied(frame.request, "42");
    ASSERT_TRUE(asked.reply);
    EXPECT_EQ(asked.reply->payload, "42");
    EXPECT_EQ(asked.reply->responder, "r@h:1");
    EXPECT_EQ(asked.reply->key, "k");
    EXPECT_EQ(asked.reply->headers, (std::vector<header>{{"a", "b"}}));
}

TEST_F(client_services, a_refusal_is_the_outcome) {
    peer.greet();
    ask_outcome& asked = ask();
    peer.refuse(peer.write_one().request, error_code::no_responder, "nobody");
    EXPECT_EQ(asked.code(), broker_errc::no_responder);
    EXPECT_TRUE(asked.failure->retryable());
    EXPECT_STREQ(asked.failure->what(), "nobody");
}

// Promise: service.never_again
TEST_F(client_services, what_was_sent_is_unknown_after_a_loss_and_never_sent_again) {
    peer.greet();
    ask_outcome& asked = ask();
    (void)peer.write();
    peer.lose();
    EXPECT_EQ(asked.code(), client_errc::outcome_unknown);
    EXPECT_FALSE(asked.failure->retryable());
    peer.pass(5s);
    peer.greet();
    EXPECT_THAT(peer.write(), IsEmpty());
}

TEST_F(client_services, what_was_not_sent_waits_with_the_time_it_has_left) {
    ask_outcome& late = ask("late", 2s);
    ask_outcome& patient = ask("patient", 10s);
    peer.pass(3s);
    EXPECT_EQ(late.code(), client_errc::not_connected);
    EXPECT_TRUE(late.failure->retryable());
    EXPECT_TRUE(patient.open());
    peer.greet();
    EXPECT_EQ(peer.write_one().as<codec::service_request>().timeout, duration_us{7s});
}

TEST_F(client_services, no_more_are_sent_than_the_broker_takes) {
    peer.greet();
    for (std::size_t i = 0; i < limits::requests_per_connection_max; ++i) {
        ask();
    }
    ask_outcome& beyond = ask("beyond", 10s);
    ask_outcome& late = ask("late", 1s);
    auto frames = peer.write();
    EXPECT_THAT(frames, SizeIs(limits::requests_per_connection_max));
    peer.pass(1s);
    EXPECT_EQ(late.code(), client_errc::timed_out);
    say_replied(frames[0].request, "ok");
    const auto next = peer.write_one();
    EXPECT_EQ(payload_of(next.as<codec::service_request>().record.view), "beyond");
    say_replied(next.request, "ok");
    EXPECT_TRUE(beyond.reply);
}

class client_service_bounds : public client_services {
protected:
    client_service_bounds() : client_services(small()) {}
    static client_options small() {
        client_options options = scripted_peer::quick_options();
        options.in_flight_messages = 3;
        options.in_flight_bytes = 1000;
        return options;
    }
};

TEST_F(client_service_bounds, too_many_that_wait_fail_at_once) {
    ask_outcome& first = ask("1", 1s);
    ask_outcome& second = ask("2");
    ask_outcome& third = ask("3");
    ask_outcome& beyond = ask("4");
    EXPECT_TRUE(first.open());
    EXPECT_EQ(beyond.code(), client_errc::timed_out);
    EXPECT_TRUE(beyond.failure->retryable());
    EXPECT_THAT(beyond.failure->what(), HasSubstr("nothing was done"));
    peer.pass(1s);
    EXPECT_FALSE(first.open());
    EXPECT_TRUE(ask("5").open()) << "one that is over makes room";
    EXPECT_FALSE(ask("6").open());
    peer.state.cancel_ask(second.ticket);
    EXPECT_TRUE(ask("7").open()) << "one that is cancelled makes room";
    EXPECT_FALSE(ask("8").open());
    peer.greet();
    EXPECT_THAT(peer.write(), SizeIs(3));
    EXPECT_TRUE(third.open());
    EXPECT_TRUE(ask("9").open()) << "those that were sent make room";
}

TEST_F(client_service_bounds, too_many_bytes_that_wait_fail_at_once) {
    ask_outcome& large = ask(std::string(5000, 'x'), 1s);
    EXPECT_TRUE(large.open()) << "one is always allowed";
    EXPECT_EQ(ask("small").code(), client_errc::timed_out);
    peer.pass(1s);
    EXPECT_FALSE(large.open());
    EXPECT_TRUE(ask(std::string(500, 'x')).open());
    EXPECT_FALSE(ask(std::string(500, 'x')).open());
    EXPECT_TRUE(ask("small").open());
}

TEST_F(client_services, those_that_wait_end_at_their_deadlines) {
    ask_outcome& last = ask("1", 3s);
    ask_outcome& first = ask("2", 1s);
    ask_outcome& middle = ask("3", 2s);
    peer.pass(0s);
    EXPECT_EQ(peer.next_tick, peer.now + 1s);
    peer.pass(1s);
    EXPECT_FALSE(first.open());
    EXPECT_EQ(peer.next_tick, peer.now + 1s);
    peer.pass(1s);
    EXPECT_FALSE(middle.open());
    EXPECT_TRUE(last.open());
    peer.pass(1s);
    EXPECT_FALSE(last.open());
}

TEST_F(client_services, a_broker_that_does_not_answer_at_all_leaves_it_unknown) {
    without_heartbeats();
    peer.greet();
    ask_outcome& asked = ask("x", 10s);
    const auto request = peer.write_one().request;
    peer.pass(39s);
    EXPECT_TRUE(asked.open()) << "the broker is to end it, and has request_timeout to say so";
    peer.pass(1s);
    EXPECT_EQ(asked.code(), client_errc::outcome_unknown);
    say_replied(request, "very late");  // nobody waits
    EXPECT_FALSE(peer.state.dropped());
}

TEST_F(client_services, a_cancelled_request_is_not_sent_or_its_reply_dropped) {
    ask_outcome& unsent = ask();
    peer.state.cancel_ask(unsent.ticket);
    peer.greet();
    EXPECT_THAT(peer.write(), IsEmpty());
    ask_outcome& sent = ask();
    const auto request = peer.write_one().request;
    peer.state.cancel_ask(sent.ticket);
    say_replied(request, "for nobody");
    EXPECT_TRUE(sent.open());
    EXPECT_FALSE(peer.state.dropped());
}

TEST_F(client_services, what_this_broker_cannot_take_is_not_sent) {
    peer.terms.features = 0;
    peer.greet();
    EXPECT_THAT(peer.write(), IsEmpty());
    ask_outcome& old = ask();
    EXPECT_THAT(peer.write(), IsEmpty());
    EXPECT_EQ(old.code(), broker_errc::feature_unsupported);
    peer.terms.features = codec::feature::services;
    peer.terms.frame_bytes_max = 1000;
    peer.reconnect();
    ask_outcome& large = ask(std::string(1000, 'x'));
    EXPECT_THAT(peer.write(), IsEmpty());
    EXPECT_EQ(large.code(), client_errc::invalid_argument);
    EXPECT_THAT(large.failure->what(), HasSubstr("--max-frame-bytes"));
}

TEST_F(client_services, a_damaged_reply_ends_the_connection) {
    peer.greet();
    ask_outcome& asked = ask();
    byte_buffer record = record_of("42");
    record.back() ^= std::byte{1};
    peer.say(peer.write_one().request, codec::replied{.responder = "r", .record = {record}});
    EXPECT_TRUE(peer.state.dropped());
    peer.lose();
    EXPECT_EQ(asked.code(), client_errc::outcome_unknown);
}

TEST_F(client_services, closing_waits_for_replies_and_not_for_ever) {
    peer.greet();
    ask_outcome& asked = ask();
    ask_outcome& other = ask();
    auto frames = peer.write();
    peer.with([&](calls& out) { peer.state.close(peer.now, nullptr, out); });
    EXPECT_THAT(peer.write(), IsEmpty()) << "no goodbye yet";
    say_replied(frames.at(0).request, "42");
    EXPECT_TRUE(asked.reply);
    peer.pass(5s);
    EXPECT_EQ(other.code(), client_errc::outcome_unknown);
    EXPECT_EQ(peer.write_one().type, frame_type::goodbye);
    EXPECT_EQ(ask().code(), client_errc::closed);
}

// ---- replying

TEST_F(client_services, a_responder_attaches_and_replies) {
    open(4);
    peer.greet();
    const auto frame = peer.write_one();
    const auto attach = frame.as<codec::serve>();
    EXPECT_EQ(attach.service, "prices");
    EXPECT_EQ(attach.responder, id);
    EXPECT_EQ(attach.prefetch, 4U);
    EXPECT_FALSE(opened);
    peer.say(frame.request, codec::ok{});
    EXPECT_TRUE(opened);
    push(7, "apples?", 5s);
    const auto taken = state().take(peer.now);
    ASSERT_TRUE(taken);
    const service_request request = to_public("prices", *taken);
    EXPECT_EQ(request.payload, "apples?");
    EXPECT_EQ(request.requester, "a@h:2");
    EXPECT_EQ(request.key, "k");
    EXPECT_EQ(request.deadline.time_since_epoch(), (peer.now + 5s).time_since_epoch());
    reply(*taken, "42");
    const auto sent = peer.write_one();
    const auto answer = sent.as<codec::reply>();
    EXPECT_EQ(answer.token, request_token{7});
    EXPECT_FALSE(answer.failed);
    EXPECT_EQ(payload_of(answer.record.view), "42");
}

TEST_F(client_services, what_a_handler_throws_fails_the_request) {
    const auto failed = failure_of(std::make_exception_ptr(std::runtime_error("sold\nout")));
    EXPECT_TRUE(failed.failed);
    EXPECT_EQ(failed.text, "sold out");
    EXPECT_TRUE(failure_of(std::make_exception_ptr(7)).failed);
    const auto unsendable = reply_of({.headers = {{"a\n", "b"}}});
    EXPECT_TRUE(unsendable.failed);
    EXPECT_THAT(unsendable.text, HasSubstr("cannot be sent"));
    serve();
    push(7, "x");
    state().reply(state().take(peer.now)->handle, failed, peer.now);
    const auto frame = peer.write_one();
    const auto answer = frame.as<codec::reply>();
    EXPECT_TRUE(answer.failed);
    EXPECT_EQ(answer.text, "sold out");
    EXPECT_TRUE(answer.record.view.empty());
}

TEST_F(client_services, a_reply_that_does_not_fit_into_a_frame_fails_the_request) {
    peer.terms.frame_bytes_max = 1000;
    serve();
    push(7, "x");
    reply(*state().take(peer.now), std::string(1000, 'x'));
    const auto frame = peer.write_one();
    EXPECT_TRUE(frame.as<codec::reply>().failed);
}

TEST_F(client_services, a_reply_that_nobody_waits_for_any_more_is_not_sent) {
    serve();
    push(7, "late", 1s);
    push(8, "late to be sent", 2s);
    push(9, "in time", 10s);
    const auto first = state().take(peer.now);
    const auto second = state().take(peer.now);
    const auto third = state().take(peer.now);
    peer.pass(1s);
    reply(*first, "1");
    EXPECT_THAT(peer.write(), IsEmpty());
    reply(*third, "3");
    reply(*second, "2");
    peer.pass(1s);
    EXPECT_EQ(peer.write_one().as<codec::reply>().token, request_token{9});
}

TEST_F(client_services, replies_go_a_write_at_a_time) {
    serve();
    push(7, "x");
    push(8, "x");
    reply(*state().take(peer.now), std::string(client_limits::write_bytes_max, 'x'));
    reply(*state().take(peer.now), "42");
    byte_buffer bytes;
    peer.with([&](calls& out) { peer.state.write(bytes, peer.now, out); });
    EXPECT_GT(bytes.size(), client_limits::write_bytes_max);
    EXPECT_TRUE(peer.state.wants_write(peer.now));
    EXPECT_EQ(peer.write_one().as<codec::reply>().token, request_token{8});
}

TEST_F(client_services, who_waits_gets_the_next_request) {
    serve();
    std::optional<handed_request> got;
    peer.with([&](calls& out) {
        state().wait(
            peer.now,
            [&](result<std::optional<handed_request>> next) { got = std::move(next.value()); },
            out);
    });
    push(7, "x");
    ASSERT_TRUE(got);
    EXPECT_EQ(got->handle.token, request_token{7});
    EXPECT_FALSE(state().take(peer.now));
}

TEST_F(client_services, a_request_whose_time_is_over_is_not_handed_out) {
    serve();
    push(7, "short", 1s);
    push(8, "long", 10s);
    peer.pass(1s);
    EXPECT_EQ(state().take(peer.now)->handle.token, request_token{8});
}

TEST_F(client_services, a_responder_comes_back_and_replies_to_no_request_of_before) {
    serve();
    push(7, "handled");
    push(8, "not handed out");
    const auto before = state().take(peer.now);
    peer.reconnect();
    EXPECT_FALSE(state().take(peer.now));
    const auto frame = peer.write_one();
    EXPECT_EQ(frame.as<codec::serve>().responder, id);
    peer.say(frame.request, codec::ok{});
    reply(*before, "too late");
    EXPECT_THAT(peer.write(), IsEmpty());
    push(7, "another one with that token");
    reply(*state().take(peer.now), "42");
    EXPECT_EQ(peer.write_one().type, frame_type::reply);
}

TEST_F(client_services, only_the_first_refusal_is_an_error) {
    serve();
    peer.reconnect();
    peer.refuse(peer.write_one().request, error_code::busy);
    EXPECT_THAT(peer.write(), IsEmpty());
    peer.pass(1s);
    EXPECT_EQ(peer.write_one().type, frame_type::serve);
}

// The broker may still carry out the serve that was given up.
TEST_F(client_services, a_serve_that_was_given_up_is_undone) {
    without_heartbeats();
    open();
    peer.greet();
    const auto late = peer.write_one();
    peer.pass(30s);
    ASSERT_TRUE(open_failure);
    EXPECT_EQ(open_failure->code(), client_errc::timed_out);
    peer.with([&](calls& out) { peer.state.release_responder(id, out); });
    EXPECT_NE(peer.state.find_responder(id), nullptr) << "the broker does not know yet";
    const auto undone = peer.write_one();
    EXPECT_EQ(undone.as<codec::unserve>(), (codec::unserve{.responder = id, .at_once = true}));
    EXPECT_EQ(peer.state.find_responder(id), nullptr);
    peer.say(late.request, codec::ok{});
    peer.say(undone.request, codec::ok{});
    EXPECT_THAT(peer.write(), IsEmpty());
}

TEST_F(client_services, a_serve_that_was_given_up_is_undone_before_the_next) {
    without_heartbeats();
    serve();
    peer.reconnect();
    (void)peer.write_one();
    peer.pass(30s);
    EXPECT_EQ(peer.write_one().type, frame_type::unserve);
    peer.pass(1s);
    const auto again = peer.write_one();
    EXPECT_EQ(again.type, frame_type::serve);
    peer.say(again.request, codec::ok{});
    push(7, "x");
    EXPECT_TRUE(state().take(peer.now));
}

TEST_F(client_services, with_its_connection_a_serve_that_was_given_up_is_over) {
    without_heartbeats();
    open();
    peer.greet();
    (void)peer.write_one();
    peer.pass(30s);
    peer.with([&](calls& out) { peer.state.release_responder(id, out); });
    peer.reconnect();
    EXPECT_EQ(peer.state.find_responder(id), nullptr);
    EXPECT_THAT(peer.write(), IsEmpty());
}

TEST_F(client_services, who_asks_for_what_nobody_serves_here_is_told) {
    without_heartbeats();
    serve();
    peer.reconnect();
    (void)peer.write_one();
    peer.pass(30s);
    push(7, "for the serve that was given up");
    EXPECT_FALSE(state().take(peer.now));
    auto frames = peer.write();
    ASSERT_THAT(frames, SizeIs(2));
    EXPECT_EQ(frames[0].type, frame_type::unserve);
    const auto refusal = frames[1].as<codec::reply>();
    EXPECT_EQ(refusal.token, request_token{7});
    EXPECT_TRUE(refusal.failed);
    EXPECT_THAT(refusal.text, HasSubstr("nobody serves it"));
    id = responder_id{id.value() + 1};
    push(8, "for one that never was");
    EXPECT_EQ(peer.write_one().as<codec::reply>().token, request_token{8});
    push(9, "of this connection");
    peer.reconnect();
    for (const auto& each : peer.write()) {
        EXPECT_NE(each.type, frame_type::reply);
    }
}

TEST_F(client_services, who_stops_while_it_comes_back_does_not_serve_once_more) {
    without_heartbeats();
    serve();
    peer.reconnect();
    const auto refused = peer.write_one();
    stop();
    EXPECT_FALSE(state().over()) << "the broker may accept it";
    peer.refuse(refused.request, error_code::busy);
    EXPECT_TRUE(state().over());
    peer.pass(1s);
    EXPECT_THAT(peer.write(), IsEmpty());
}

TEST_F(client_services, who_stops_while_the_broker_does_not_answer_does_not_serve_once_more) {
    without_heartbeats();
    serve();
    peer.reconnect();
    (void)peer.write_one();
    stop();
    peer.pass(30s);
    EXPECT_TRUE(state().over());
    EXPECT_EQ(peer.write_one().type, frame_type::unserve);
    peer.pass(1s);
    EXPECT_THAT(peer.write(), IsEmpty());
}

TEST_F(client_services, a_refused_responder_says_so) {
    open();
    peer.greet();
    peer.refuse(peer.write_one().request, error_code::too_many_responders, "too many");
    ASSERT_TRUE(open_failure);
    EXPECT_EQ(open_failure->code(), broker_errc::too_many_responders);
    EXPECT_TRUE(state().over());
}

TEST_F(client_services, a_broker_too_old_for_services_says_so) {
    peer.terms.features = 0;
    open();
    peer.greet();
    ASSERT_TRUE(open_failure);
    EXPECT_EQ(open_failure->code(), broker_errc::feature_unsupported);
    EXPECT_THAT(peer.write(), IsEmpty());
}

TEST_F(client_services, who_stops_handles_what_has_arrived) {
    serve();
    push(7, "handled");
    push(8, "has arrived");
    const auto first = state().take(peer.now);
    stop();
    const auto leaving = peer.write_one();
    EXPECT_FALSE(leaving.as<codec::unserve>().at_once);
    EXPECT_FALSE(state().over());
    const auto second = state().take(peer.now);
    ASSERT_TRUE(second);
    reply(*first, "1");
    reply(*second, "2");
    EXPECT_THAT(peer.write(), SizeIs(2));
    EXPECT_FALSE(state().over());
    peer.say(leaving.request, codec::ok{});
    EXPECT_TRUE(state().over());
}

TEST_F(client_services, who_stops_without_a_connection_is_done) {
    serve();
    peer.lose();
    stop();
    EXPECT_TRUE(state().over());
    peer.pass(5s);
    peer.greet();
    EXPECT_THAT(peer.write(), IsEmpty());
}

TEST_F(client_services, who_stops_before_the_first_attach_waits_for_none) {
    open();
    stop();
    EXPECT_TRUE(opened);
    EXPECT_TRUE(state().over());
    peer.greet();
    EXPECT_THAT(peer.write(), IsEmpty());
}

TEST_F(client_services, who_stops_during_the_first_attach_leaves_after_it) {
    open();
    peer.greet();
    const auto attach = peer.write_one();
    stop();
    EXPECT_TRUE(opened);
    EXPECT_FALSE(state().over()) << "the broker may accept it";
    peer.say(attach.request, codec::ok{});
    const auto leaving = peer.write_one();
    EXPECT_EQ(leaving.type, frame_type::unserve);
    peer.say(leaving.request, codec::ok{});
    EXPECT_TRUE(state().over());
}

TEST_F(client_services, who_stops_during_the_first_attach_is_done_when_that_is_lost) {
    open();
    peer.greet();
    (void)peer.write_one();
    stop();
    peer.lose();
    EXPECT_TRUE(opened);
    EXPECT_TRUE(state().over());
}

TEST_F(client_services, who_is_released_does_not_wait_for_replies) {
    serve();
    push(7, "nobody handles it");
    peer.with([&](calls& out) { peer.state.release_responder(id, out); });
    const auto frame = peer.write_one();
    EXPECT_TRUE(frame.as<codec::unserve>().at_once);
    peer.say(frame.request, codec::ok{});
    EXPECT_EQ(peer.state.find_responder(id), nullptr);
}

TEST_F(client_services, closing_the_client_waits_for_handlers) {
    serve();
    push(7, "x");
    const auto taken = state().take(peer.now);
    peer.with([&](calls& out) { peer.state.close(peer.now, nullptr, out); });
    const auto leaving = peer.write_one();
    EXPECT_EQ(leaving.type, frame_type::unserve);
    reply(*taken, "42");
    EXPECT_EQ(peer.write_one().type, frame_type::reply);
    peer.say(leaving.request, codec::ok{});
    EXPECT_EQ(peer.write_one().type, frame_type::goodbye);
}

TEST_F(client_services, a_damaged_request_ends_the_connection) {
    serve();
    byte_buffer record = record_of("x");
    record.back() ^= std::byte{1};
    peer.say(0, codec::requested{.responder = id, .token = request_token{7}, .record = {record}});
    EXPECT_TRUE(peer.state.dropped());
}

TEST_F(client_services, what_arrives_is_bounded) {
    serve();
    const std::size_t most = 8 + client_limits::requests_spare_max;
    for (std::uint64_t token = 1; token <= most + 1; ++token) {
        push(token, "x");
    }
    EXPECT_EQ(state().take(peer.now)->handle.token, request_token{2}) << "the oldest went";
}

TEST_F(client_services, what_goes_for_want_of_room_is_what_ends_first) {
    serve();
    const std::size_t most = 8 + client_limits::requests_spare_max;
    push(1, "long", 1h);
    push(2, "short", 1s);
    push(3, "middle", 2s);
    push(4, "middle", 2s);
    for (std::uint64_t token = 5; token <= most + 1; ++token) {
        push(token, "x", 10s);
    }
    peer.pass(2s);
    push(100, "x", 10s);
    push(101, "x", 10s);
    std::vector<request_token> left;
    while (const auto next = state().take(peer.now)) {
        left.push_back(next->handle.token);
    }
    std::vector<request_token> expected{request_token{1}};
    for (std::uint64_t token = 5; token <= most + 1; ++token) {
        expected.emplace_back(token);
    }
    expected.emplace_back(100);
    expected.emplace_back(101);
    EXPECT_EQ(left, expected) << "2 for want of room, then 3 and 4, whose time was over";
}

}  // namespace
}  // namespace brokerd::client_core
