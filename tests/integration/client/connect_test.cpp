// Connecting: what can go wrong, and who we are.
#include <future>
#include <stop_token>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read_until.hpp>
#include <asio/write.hpp>

#include "client/src/self_connection.hpp"
#include "tests/integration/client/client_fixture.hpp"

namespace brokerd::client_integration {
namespace {

using testing::Contains;
using testing::Field;
using testing::HasSubstr;

using tcp = asio::ip::tcp;

std::string local(const tcp::acceptor& listener) {
    return "127.0.0.1:" + std::to_string(listener.local_endpoint().port());
}

template <typename F>
error error_of(F&& what) {
    try {
        what();
    } catch (const error& failed) {
        return failed;
    }
    ADD_FAILURE() << "nothing was thrown";
    return {client_errc::closed, "nothing was thrown"};
}

TEST(client_connect, nobody_listens) {
    asio::io_context context;
    std::string server;
    {
        const tcp::acceptor listener(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
        server = local(listener);
    }
    const error failed = error_of([&] { (void)connect(server, {.give_up_after = 200ms}); });
    EXPECT_EQ(failed.code(), client_errc::not_connected);
    EXPECT_THAT(failed.what(), HasSubstr("Connection refused"));
    EXPECT_THAT(failed.what(), HasSubstr(server));
}

// Which port an attempt gets is up to the system, so the test binds it to the one it connects to.
TEST(client_connect, a_connection_with_itself_is_told_from_one_with_a_broker) {
    asio::io_context context;
    const tcp::endpoint any(asio::ip::address_v4::loopback(), 0);
    tcp::socket alone(context, any);
    EXPECT_FALSE(client_core::is_self_connection(alone));
    alone.connect(alone.local_endpoint());
    EXPECT_TRUE(client_core::is_self_connection(alone));

    tcp::acceptor listener(context, any);
    tcp::socket socket(context);
    socket.connect(listener.local_endpoint());
    EXPECT_FALSE(client_core::is_self_connection(socket));
}

TEST(client_connect, somebody_else_listens) {
    asio::io_context context;
    tcp::acceptor listener(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    auto served = std::async(std::launch::async, [&] {
        tcp::socket socket = listener.accept();
        asio::write(socket,
                    asio::buffer("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", 46));
        std::error_code ignored;
        char byte = 0;
        while (!ignored) {
            socket.read_some(asio::buffer(&byte, 1), ignored);
        }
    });
    const error failed = error_of([&] { (void)connect(local(listener)); });
    EXPECT_EQ(failed.code(), client_errc::protocol_error);
    EXPECT_THAT(failed.what(), HasSubstr("is no brokerd"));
    served.get();
}

TEST(client_connect, somebody_listens_and_never_answers) {
    asio::io_context context;
    const tcp::acceptor listener(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    const error failed = error_of([&] {
        (void)connect(local(listener), {.connect_timeout = 100ms, .give_up_after = 300ms});
    });
    EXPECT_EQ(failed.code(), client_errc::not_connected);
    EXPECT_THAT(failed.what(), HasSubstr("no answer to hello"));
}

TEST(client_connect, can_be_stopped_while_the_broker_is_away) {
    asio::io_context context;
    const tcp::acceptor listener(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    std::stop_source stop;
    auto waiting = std::async(std::launch::async, [&] {
        return error_of(
            [&] { (void)connect(local(listener), {.give_up_after = forever}, stop.get_token()); });
    });
    stop.request_stop();
    EXPECT_EQ(waiting.get().code(), client_errc::closed);
    // Requested before, it does not even try.
    EXPECT_EQ(error_of([&] { (void)connect(local(listener), {}, stop.get_token()); }).code(),
              client_errc::closed);
}

TEST(client_connect, arguments_are_checked) {
    EXPECT_EQ(error_of([] { (void)connect("host:port"); }).code(), client_errc::invalid_argument);
    EXPECT_EQ(error_of([] { (void)connect("127.0.0.1:1", {.in_flight_messages = 0}); }).code(),
              client_errc::invalid_argument);
}

class client_connection_test : public client_fixture {};

TEST_F(client_connection_test, shows_its_name_and_sees_the_broker) {
    client with = connected({.client_name = "shop@here:1"});
    EXPECT_TRUE(with.connected());
    EXPECT_GT(with.broker().connection, 0U);
    EXPECT_EQ(with.broker().epoch, 1U);
    EXPECT_FALSE(with.broker().database_id.empty());
    EXPECT_THAT(admin(with).connections(), Contains(Field(&connection_info::name, "shop@here:1")));
}

TEST_F(client_connection_test, a_stop_after_connect_changes_nothing) {
    std::stop_source stop;
    client with = connect(broker.address(), {}, stop.get_token());
    stop.request_stop();
    EXPECT_TRUE(with.connected());
    with.ensure_topic("t");
}

TEST_F(client_connection_test, everything_fails_after_close) {
    client with = connected();
    consumer from = (with.ensure_queue("t/q"), with.open_consumer("t/q"));
    with.close();
    with.close();
    EXPECT_EQ(error_of([&] { with.publish("t", {.payload = "x"}); }).code(), client_errc::closed);
    EXPECT_EQ(error_of([&] { with.ensure_topic("t"); }).code(), client_errc::closed);
    EXPECT_FALSE(from.next());
    EXPECT_FALSE(with.connected());
}

TEST_F(client_connection_test, closing_wakes_who_waits) {
    client with = connected();
    with.ensure_queue("t/q");
    consumer from = with.open_consumer("t/q");
    auto waiting = std::async(std::launch::async, [&] { return from.next().has_value(); });
    with.close();
    EXPECT_FALSE(waiting.get());
}

TEST_F(client_connection_test, missing_things_are_named_with_the_remedy) {
    client with = connected();
    const error no_topic = error_of([&] { with.publish("nowhere", {.payload = "x"}); });
    EXPECT_EQ(no_topic.code(), broker_errc::topic_not_found);
    EXPECT_TRUE(no_topic.from_broker());
    EXPECT_THAT(no_topic.what(), HasSubstr("nowhere"));
    EXPECT_THAT(no_topic.what(), HasSubstr("create"));
    const error no_queue = error_of([&] { (void)with.open_consumer("nowhere/q"); });
    EXPECT_THAT(no_queue.what(), HasSubstr("create"));
    EXPECT_EQ(error_of([&] { (void)admin(with).topic("nowhere"); }).code(),
              broker_errc::topic_not_found);
    EXPECT_EQ(error_of([&] { (void)admin(with).queue("nowhere/q"); }).code(),
              broker_errc::queue_not_found);
}

// Promise: client.ensure
TEST_F(client_connection_test, ensuring_never_changes_what_exists) {
    client with = connected();
    const ensured_queue first = with.ensure_queue("orders.eu/billing", {.lease = 10s});
    EXPECT_TRUE(first.created);
    EXPECT_TRUE(first.topic_created);
    const ensured_queue second = with.ensure_queue("orders.eu/billing", {.lease = 20s});
    EXPECT_FALSE(second.created);
    EXPECT_EQ(second.settings.lease, 10s);
    EXPECT_THAT(second.differing, Contains("lease"));
    const ensured_topic topic = with.ensure_topic("orders.eu", {.keep_done = 1h});
    EXPECT_FALSE(topic.created);
    EXPECT_THAT(topic.differing, Contains("keep_done"));
}

}  // namespace
}  // namespace brokerd::client_integration
