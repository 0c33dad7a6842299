// Addresses, options, reasons, errors: what is checked before anything is sent.
#include <sstream>

#include <gmock/gmock.h>

#include "brokerd/admin.hpp"
#include "brokerd/client.hpp"
#include "client/src/client_limits.hpp"
#include "client/src/convert.hpp"
#include "client/src/encoded.hpp"
#include "client/src/reason.hpp"
#include "client/src/server_address.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::client_core {
namespace {

using testing::HasSubstr;

TEST(client_server_address, forms) {
    EXPECT_EQ(parse_server("127.0.0.1:4650")->host, "127.0.0.1");
    EXPECT_EQ(parse_server("127.0.0.1:99")->port, "99");
    EXPECT_EQ(parse_server("broker.example")->port, "4650");
    EXPECT_EQ(parse_server("[::1]:17")->host, "::1");
    EXPECT_EQ(parse_server("[::1]:17")->port, "17");
    EXPECT_EQ(parse_server("[::1]")->port, "4650");
    for (const char* wrong :
         {"", ":1", "host:", "host:0", "host:65536", "host:x", "[::1", "a:1:2", "[::1]x", "[]:1"}) {
        EXPECT_FALSE(parse_server(wrong)) << wrong;
    }
    EXPECT_THAT(parse_server("host:x").error().what(), HasSubstr("HOST:PORT"));
}

TEST(client_options, defaults_are_accepted_and_named) {
    const auto options = check_options(client_options());
    ASSERT_TRUE(options);
    EXPECT_THAT(options->client_name, HasSubstr("@"));
    EXPECT_THAT(options->client_name, HasSubstr(":"));
    EXPECT_TRUE(check_options(consume_options()));
    EXPECT_TRUE(check_options(reader_options()));
}

TEST(client_options, at_their_limits_and_beyond) {
    consume_options options;
    options.prefetch_messages = limits::prefetch_messages_max;
    options.prefetch_bytes = limits::prefetch_bytes_max;
    EXPECT_TRUE(check_options(options));
    options.prefetch_messages = limits::prefetch_messages_max + 1;
    EXPECT_FALSE(check_options(options));
    options.prefetch_messages = 0;
    EXPECT_FALSE(check_options(options));
    options = {};
    options.prefetch_bytes = limits::prefetch_bytes_max + 1;
    EXPECT_FALSE(check_options(options));
    options = {};
    options.concurrency = 0;
    EXPECT_FALSE(check_options(options));
    client_options client;
    client.batch_messages = client_limits::batch_records_max;
    EXPECT_TRUE(check_options(client));
    client.batch_messages = client_limits::batch_records_max + 1;
    EXPECT_FALSE(check_options(client));
    client.batch_messages = 0;
    EXPECT_FALSE(check_options(client));
    client = {};
    client.client_name = std::string(limits::client_name_bytes_max + 1, 'x');
    EXPECT_FALSE(check_options(client));
    client.client_name = "line\nbreak";
    EXPECT_FALSE(check_options(client));
    client = {};
    client.backoff_max = std::chrono::milliseconds{1};
    EXPECT_FALSE(check_options(client));
}

TEST(client_message_limits, at_and_one_beyond) {
    byte_buffer out;
    outgoing_message message;
    message.key = std::string(limits::key_bytes_max, 'k');
    EXPECT_TRUE(encode_message(out, "t", message));
    message.key->push_back('k');
    EXPECT_FALSE(encode_message(out, "t", message));
    message.key.reset();
    message.headers.assign(limits::headers_max, {"n", "v"});
    EXPECT_TRUE(encode_message(out, "t", message));
    message.headers.emplace_back("n", "v");
    EXPECT_FALSE(encode_message(out, "t", message));
    message.headers = {{"n", std::string(limits::headers_bytes_max - 1, 'v')}};
    EXPECT_TRUE(encode_message(out, "t", message));
    message.headers[0].second.push_back('v');
    const auto refused = encode_message(out, "t", message);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), client_errc::invalid_argument);
    message.headers = {{"n", "control \x01"}};
    EXPECT_FALSE(encode_message(out, "t", message));
}

TEST(client_names, are_refused_before_they_are_sent) {
    byte_buffer out;
    const auto refused = encode_message(out, "no/topic", {});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), broker_errc::invalid_name);
    EXPECT_FALSE(check_queue("only-a-topic"));
    EXPECT_TRUE(check_queue("orders.eu/billing"));
}

TEST(client_options, of_requests_and_of_serving_are_bounded) {
    EXPECT_TRUE(check_options(request_options{}));
    EXPECT_TRUE(check_options(request_options{.timeout = std::chrono::milliseconds{1}}));
    EXPECT_FALSE(check_options(request_options{.timeout = std::chrono::microseconds{999}}));
    EXPECT_TRUE(check_options(request_options{.timeout = std::chrono::hours{1}}));
    EXPECT_FALSE(check_options(
        request_options{.timeout = std::chrono::hours{1} + std::chrono::microseconds{1}}));
    EXPECT_TRUE(check_options(serve_options{}));
    serve_options options;
    options.concurrency = 0;
    EXPECT_FALSE(check_options(options));
    options.concurrency = 1025;
    EXPECT_FALSE(check_options(options));
    options.concurrency = 1024;
    options.prefetch = 65536;
    EXPECT_TRUE(check_options(options));
    options.prefetch = 65537;
    EXPECT_FALSE(check_options(options));
    EXPECT_TRUE(check_service("prices.eu"));
    EXPECT_FALSE(check_service("prices/eu"));
}

TEST(client_reasons, are_made_acceptable) {
    EXPECT_EQ(clean_reason("card service down"), "card service down");
    EXPECT_EQ(clean_reason("two\nlines"), "two lines");
    EXPECT_EQ(clean_reason("gr\xC3\xBC\xC3\x9F"), "gr\xC3\xBC\xC3\x9F");
    EXPECT_EQ(clean_reason("broken \xFF byte"), "broken   byte");
    EXPECT_EQ(clean_reason(std::string(1000, 'x')).size(), limits::reason_bytes_max);
    // Cut between characters, never within one.
    EXPECT_EQ(clean_reason(std::string(255, 'x') + "\xC3\xBC").size(), 255U);
}

// Promise: client.unknown
TEST(client_errors, keep_the_two_questions_apart) {
    const error refused = make_error(failure{error_code::busy, "busy with x"});
    EXPECT_TRUE(refused.from_broker());
    EXPECT_TRUE(refused.retryable());
    EXPECT_STREQ(refused.what(), "busy with x");
    EXPECT_EQ(refused.code(), broker_errc::busy);
    EXPECT_NE(refused.code(), client_errc::closed);
    const error unknown = make_error(client_errc::outcome_unknown, "who knows");
    EXPECT_FALSE(unknown.from_broker());
    EXPECT_FALSE(unknown.retryable());
    EXPECT_TRUE(make_error(client_errc::not_connected, "").retryable());
    EXPECT_EQ(make_error(failure{error_code::gone, ""}).code().message(),
              "the message was removed");
}

TEST(client_addresses, read_and_write) {
    std::ostringstream out;
    out << address{"orders.eu", 812};
    EXPECT_EQ(out.str(), "orders.eu@812");
    EXPECT_EQ(address::parse("orders.eu@812"), (address{"orders.eu", 812}));
    EXPECT_THROW((void)address::parse("orders.eu"), error);
}

TEST(client_states, have_their_words) {
    EXPECT_EQ(to_string(delivery_state::retrying), "retrying");
    EXPECT_EQ(to_string(attempt_end::lost), "lost");
    EXPECT_EQ(to_string(attempt_end::ttl_expired), "ttl expired");
    EXPECT_EQ(to_string(expiry_policy::done), "done");
    EXPECT_EQ(to_string(expiry_policy::dead), "dead");
}

}  // namespace
}  // namespace brokerd::client_core
