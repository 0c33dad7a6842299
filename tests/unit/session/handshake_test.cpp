// Before and around the handshake: nothing is trusted, nothing costs much, every refusal is named.
#include <gmock/gmock.h>

#include "tests/unit/session/session_fixture.hpp"

namespace brokerd::session {
namespace {

using testing::HasSubstr;

class handshake : public session_fixture {};

TEST_F(handshake, a_hello_opens_the_connection_and_states_the_terms) {
    settings.credit_messages = 99;
    codec::hello hello;
    hello.client_name = "worker@host:1";
    receive(5, hello);
    const auto terms = take_one<codec::hello_ok>(5);
    EXPECT_EQ(terms.version, 1);
    EXPECT_EQ(terms.broker_version, "1.2.3");
    EXPECT_EQ(terms.epoch, broker_epoch{3});
    EXPECT_EQ(terms.connection, connection_id{7});
    EXPECT_EQ(terms.credit_messages, 99U);
    EXPECT_EQ(terms.heartbeat_ms, 15'000U);
    const auto opened = take_command<domain::connection_opened>();
    EXPECT_EQ(opened.name, "worker@host:1");
}

TEST_F(handshake, a_newer_client_is_met_at_the_highest_common_version) {
    codec::hello hello;
    hello.version_max = 9;
    receive(1, hello);
    EXPECT_EQ(take_one<codec::hello_ok>(1).version, codec::protocol_version_max);
}

struct bad_hello {
    const char* name;
    void (*spoil)(codec::hello&);
    error_code code;
};

class bad_hellos : public handshake, public testing::WithParamInterface<bad_hello> {};

TEST_P(bad_hellos, are_refused_by_name) {
    codec::hello hello;
    GetParam().spoil(hello);
    receive(4, hello);
    EXPECT_EQ(take_one<codec::error>(4).code, GetParam().code);
    EXPECT_TRUE(machine().closing());
    EXPECT_TRUE(commands.empty());
}

INSTANTIATE_TEST_SUITE_P(
    table, bad_hellos,
    testing::Values(bad_hello{"magic", [](codec::hello& h) { h.magic = 1; }, error_code::bad_frame},
                    bad_hello{"future", [](codec::hello& h) { h.version_min = h.version_max = 2; },
                              error_code::version_unsupported},
                    bad_hello{"none", [](codec::hello& h) { h.version_min = h.version_max = 0; },
                              error_code::version_unsupported},
                    bad_hello{"reversed", [](codec::hello& h) { h.version_min = 5; },
                              error_code::version_unsupported},
                    bad_hello{"feature",
                              [](codec::hello& h) {
                                  h.features_required = ~(codec::feature::attempt_history |
                                                          codec::feature::schedules);
                              },
                              error_code::feature_unsupported},
                    bad_hello{"control", [](codec::hello& h) { h.client_name = "a\nb"; },
                              error_code::invalid_argument},
                    bad_hello{"long", [](codec::hello& h) { h.client_name.assign(256, 'a'); },
                              error_code::invalid_argument}),
    [](const auto& each) { return each.param.name; });

// Promise: limits.handshake
TEST_F(handshake, anything_but_a_hello_is_refused) {
    receive(9, codec::ping{});
    EXPECT_EQ(take_one<codec::error>(9).code, error_code::unexpected);
    expect_closed(closed_reason::protocol_error);
    EXPECT_TRUE(commands.empty());
}

TEST_F(handshake, garbage_is_refused) {
    receive_text("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(take_one<codec::error>().code, error_code::bad_frame);
    expect_closed(closed_reason::protocol_error);
    // Nothing is read any more.
    receive_text("more of it");
    EXPECT_TRUE(take().empty());
}

// Promise: limits.handshake
TEST_F(handshake, a_hello_beyond_4_kib_is_refused_by_its_header_alone) {
    byte_buffer header(codec::frame_header_bytes);
    codec::store_frame_header(header.data(), 1, 1, limits::hello_bytes_max + 1);
    receive(header);
    EXPECT_EQ(take_one<codec::error>().code, error_code::frame_too_large);
    EXPECT_TRUE(machine().closing());
}

// Promise: limits.handshake
TEST_F(handshake, must_come_in_time) {
    EXPECT_EQ(tick(), now.mono + limits::handshake_default);
    pass(limits::handshake_default - 1us);
    (void)tick();
    EXPECT_FALSE(machine().closing());
    pass(1us);
    (void)tick();
    EXPECT_EQ(take_one<codec::error>().code, error_code::handshake_timeout);
    expect_closed(closed_reason::handshake_timeout);
    EXPECT_TRUE(commands.empty());
}

TEST_F(handshake, has_its_time_while_we_listen) {
    (void)machine();
    pass(1s);
    pass(60s);
    machine().not_listening(60s, now);
    pass(limits::handshake_default - 1s - 1us);
    (void)tick();
    EXPECT_FALSE(machine().closing());
    pass(1us);
    (void)tick();
    expect_closed(closed_reason::handshake_timeout);
}

TEST_F(handshake, arrives_byte_by_byte_as_well) {
    byte_buffer bytes;
    codec::encode_frame(bytes, 1, codec::hello{});
    for (const auto& byte : bytes) {
        receive(byte_view{&byte, 1});
    }
    EXPECT_EQ(machine().state(), session_state::open);
}

TEST_F(handshake, a_second_hello_is_refused) {
    open();
    receive(2, codec::hello{});
    const auto refused = take_one<codec::error>(2);
    EXPECT_EQ(refused.code, error_code::unexpected);
    EXPECT_THAT(refused.text, HasSubstr("hello"));
    expect_closed(closed_reason::protocol_error);
    EXPECT_FALSE(take_command<domain::connection_closed>().goodbye);
}

TEST_F(handshake, is_refused_while_draining) {
    auto with = io();
    machine().drain(1s, with);
    EXPECT_EQ(take_one<codec::error>().code, error_code::draining);
    expect_closed(closed_reason::draining);
}

}  // namespace
}  // namespace brokerd::session
