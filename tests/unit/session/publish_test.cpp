// Publishing: batches are verified before the engine sees them, credit is counted on both ways.
#include <gmock/gmock.h>

#include "broker/session/connection_limits.hpp"
#include "broker/session/publish_window.hpp"
#include "tests/unit/session/session_fixture.hpp"

namespace brokerd::session {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

class publishing : public session_fixture {
protected:
    void SetUp() override { open(); }

    std::vector<domain::request> take_publishes() {
        std::vector<domain::request> result;
        for (auto& command : commands) {
            result.push_back(std::get<domain::request>(std::move(command)));
        }
        commands.clear();
        return result;
    }
    void receive_schedule(std::uint32_t request, byte_view batch, wall_time due,
                          duration_us delay = duration_us{0}) {
        receive(request, codec::schedule{"orders.eu", due, delay, {batch}});
    }
};

TEST_F(publishing, hands_over_the_batch_as_it_came) {
    const auto batch = batch_of(3);
    receive_publish(40, batch, "orders.eu");
    const auto requests = take_publishes();
    ASSERT_THAT(requests, SizeIs(1));
    const auto& publish = std::get<domain::publish_request>(requests[0].body);
    EXPECT_EQ(publish.topic, "orders.eu");
    EXPECT_EQ(publish.count, 3U);
    EXPECT_EQ(publish.largest_record, 19U);  // 9 and the payload of 10
    EXPECT_EQ(as_text(publish.batch.view), as_text(batch));
}

TEST_F(publishing, bytes_outlive_the_read_whether_they_came_in_one_piece_or_not) {
    byte_buffer bytes;
    codec::encode_publish(bytes, 1, "t", batch_of(1));
    codec::encode_publish(bytes, 2, "t", batch_of(2));
    const auto expected = bytes;
    {
        const byte_buffer first(bytes.begin(), bytes.end() - 7);
        receive(first);
        const byte_buffer rest(bytes.end() - 7, bytes.end());
        receive(rest);
    }
    const auto requests = take_publishes();
    ASSERT_THAT(requests, SizeIs(2));
    EXPECT_EQ(as_text(std::get<domain::publish_request>(requests[0].body).batch.view),
              as_text(batch_of(1)));
    EXPECT_EQ(as_text(std::get<domain::publish_request>(requests[1].body).batch.view),
              as_text(batch_of(2)));
}

TEST_F(publishing, replies_are_coalesced_and_give_the_credit_back) {
    const auto one = batch_of(1);
    const auto three = batch_of(3);
    receive_publish(100, one);
    receive_publish(200, three);
    const auto requests = take_publishes();
    ASSERT_THAT(requests, SizeIs(2));
    output_as(requests[0].id, domain::publish_accepted{.base_offset = 5, .count = 1});
    output_as(requests[1].id,
              domain::publish_accepted{
                  .base_offset = 6, .count = 3, .duplicate = true, .level = durability::os});
    outputs_end();
    const auto published = take_one<codec::published>();
    EXPECT_EQ(published.credit_messages, 4U);
    EXPECT_EQ(published.credit_bytes, one.size() + three.size());
    ASSERT_THAT(published.items, SizeIs(2));
    EXPECT_EQ(published.items[0], (codec::published_item{100, 5, durability::disk, false}));
    EXPECT_EQ(published.items[1], (codec::published_item{200, 6, durability::os, true}));
    EXPECT_TRUE(machine().publishes().empty());
}

TEST_F(publishing, a_refusal_is_answered_and_gives_the_credit_back) {
    const auto batch = batch_of(2);
    receive_publish(7, batch);
    const auto id = take_publishes()[0].id;
    output_as(id, domain::publish_refused{{error_code::topic_not_found, "no topic t"}});
    outputs_end();
    const auto frames = take();
    ASSERT_THAT(frames, SizeIs(2));
    EXPECT_EQ(frames[0].request, 7U);
    EXPECT_EQ(codec::decode<codec::error>(frames[0].body)->code, error_code::topic_not_found);
    const auto credit = codec::decode<codec::credit>(frames[1].body);
    EXPECT_EQ(credit->messages, 2U);
    EXPECT_EQ(credit->bytes, batch.size());
}

TEST_F(publishing, an_id_is_handed_over_and_its_message_must_be_alone) {
    codec::batch_builder builder;
    builder.add({.payload = as_bytes("x"), .id = "order-77"});
    receive_publish(40, builder.take({}, 0), "orders.eu");
    const auto requests = take_publishes();
    ASSERT_THAT(requests, SizeIs(1));
    EXPECT_EQ(std::get<domain::publish_request>(requests[0].body).id, "order-77");

    builder.add({.payload = as_bytes("x"), .id = "order-78"});
    builder.add({.payload = as_bytes("y")});
    receive_publish(41, builder.take({}, 0), "orders.eu");
    const auto error = codec::decode<codec::error>(take().at(0).body);
    EXPECT_EQ(error->code, error_code::invalid_argument);
    EXPECT_EQ(error->text,
              "topic orders.eu: a batch of 2 messages has one with an id; a message with an id "
              "must be alone in its batch");

    builder.add({.payload = as_bytes("x"), .id = ""});
    receive_publish(42, builder.take({}, 0), "orders.eu");
    EXPECT_EQ(codec::decode<codec::error>(take().at(0).body)->code, error_code::bad_batch);
    EXPECT_TRUE(take_publishes().empty());
    EXPECT_FALSE(machine().closing());
}

TEST_F(publishing, a_damaged_batch_is_refused_and_the_connection_lives) {
    auto batch = batch_of(2);
    batch.back() ^= std::byte{1};
    receive_publish(7, batch);
    auto frames = take();
    ASSERT_THAT(frames, SizeIs(2));
    EXPECT_EQ(codec::decode<codec::error>(frames[0].body)->code, error_code::bad_checksum);
    EXPECT_EQ(frames[1].type, codec::frame_type::credit);
    batch.pop_back();
    receive_publish(8, batch);
    frames = take();
    EXPECT_EQ(codec::decode<codec::error>(frames.at(0).body)->code, error_code::bad_batch);
    receive_publish(9, {});
    frames = take();
    EXPECT_EQ(codec::decode<codec::error>(frames.at(0).body)->code, error_code::bad_batch);
    EXPECT_TRUE(commands.empty());
    EXPECT_FALSE(machine().closing());
    EXPECT_EQ(machine().publishes().credit_messages(), settings.credit_messages);
}

// How many messages it meant nobody knows: the client counts its credit back by itself.
TEST_F(publishing, one_whose_body_cannot_be_decoded_takes_no_credit_and_gives_none) {
    byte_buffer bytes;
    codec::encode_publish(bytes, 7, "t", batch_of(2));
    bytes.at(codec::frame_header_bytes + 1) = std::byte{0xff};  // the topic's length
    receive(bytes);
    outputs_end();
    EXPECT_EQ(take_one<codec::error>(7).code, error_code::malformed);
    EXPECT_EQ(machine().publishes().credit_messages(), settings.credit_messages);
    EXPECT_TRUE(commands.empty());
}

TEST_F(publishing, a_refusal_of_the_batch_names_its_topic) {
    auto batch = batch_of(1);
    batch.back() ^= std::byte{1};
    const auto refusal_of = [&](const std::string& topic) {
        receive_publish(7, batch, topic);
        return codec::decode<codec::error>(take().at(0).body)->text;
    };
    EXPECT_THAT(refusal_of("orders.eu"), StartsWith("topic orders.eu: "));
    EXPECT_THAT(refusal_of("\r\nERROR"), Not(HasSubstr("ERROR")));
}

TEST_F(publishing, a_schedule_is_a_publish_for_later) {
    const auto batch = batch_of(3);
    receive_schedule(40, batch, now.wall + 1h);
    receive_schedule(41, batch, {}, 5s);
    receive_publish(42, batch);
    const auto requests = take_publishes();
    ASSERT_THAT(requests, SizeIs(3));
    const auto publish = [&](std::size_t i) -> const domain::publish_request& {
        return std::get<domain::publish_request>(requests[i].body);
    };
    EXPECT_EQ(publish(0).topic, "orders.eu");
    EXPECT_EQ(publish(0).count, 3U);
    EXPECT_EQ(publish(0).largest_record, 19U);
    EXPECT_EQ(as_text(publish(0).batch.view), as_text(batch));
    ASSERT_TRUE(publish(0).later);
    EXPECT_EQ(publish(0).later->due, now.wall + 1h);
    EXPECT_EQ(publish(0).later->delay, 0s);
    ASSERT_TRUE(publish(1).later);
    EXPECT_EQ(publish(1).later->due, wall_time{});
    EXPECT_EQ(publish(1).later->delay, 5s);
    EXPECT_FALSE(publish(2).later);
}

TEST_F(publishing, a_schedule_without_due_and_delay_is_one_all_the_same) {
    receive_schedule(40, batch_of(1), {});
    const auto requests = take_publishes();
    ASSERT_THAT(requests, SizeIs(1));
    EXPECT_TRUE(std::get<domain::publish_request>(requests[0].body).later);
}

TEST_F(publishing, a_schedule_takes_credit_and_is_answered_like_a_publish) {
    const auto batch = batch_of(3);
    const auto credit_bytes = machine().publishes().credit_bytes();
    receive_schedule(40, batch, {}, 5s);
    const auto id = take_publishes().at(0).id;
    EXPECT_EQ(machine().publishes().credit_messages(), settings.credit_messages - 3);
    EXPECT_EQ(machine().publishes().credit_bytes(),
              credit_bytes - static_cast<std::int64_t>(batch.size()));
    output_as(id, domain::publish_accepted{.base_offset = 77, .count = 3});
    outputs_end();
    const auto published = take_one<codec::published>();
    EXPECT_EQ(published.credit_messages, 3U);
    EXPECT_EQ(published.credit_bytes, batch.size());
    ASSERT_THAT(published.items, SizeIs(1));
    EXPECT_EQ(published.items[0], (codec::published_item{40, 77, durability::disk, false}));
    EXPECT_TRUE(machine().publishes().empty());
}

TEST_F(publishing, a_damaged_schedule_is_refused_and_the_connection_lives) {
    auto batch = batch_of(2);
    batch.back() ^= std::byte{1};
    receive_schedule(7, batch, {}, 5s);
    auto frames = take();
    ASSERT_THAT(frames, SizeIs(2));
    EXPECT_EQ(frames[0].request, 7U);
    const auto error = codec::decode<codec::error>(frames[0].body);
    EXPECT_EQ(error->code, error_code::bad_checksum);
    EXPECT_THAT(error->text, StartsWith("topic orders.eu: "));
    EXPECT_EQ(frames[1].type, codec::frame_type::credit);
    receive_schedule(8, {}, {}, 5s);
    EXPECT_EQ(codec::decode<codec::error>(take().at(0).body)->code, error_code::bad_batch);
    byte_buffer bytes;
    codec::encode_frame(bytes, 9, codec::schedule{"t", {}, 5s, {batch_of(1)}});
    bytes.at(codec::frame_header_bytes + 1) = std::byte{0xff};  // the topic's length
    receive(bytes);
    outputs_end();
    EXPECT_EQ(take_one<codec::error>(9).code, error_code::malformed);
    EXPECT_TRUE(commands.empty());
    EXPECT_FALSE(machine().closing());
    EXPECT_EQ(machine().publishes().credit_messages(), settings.credit_messages);
}

TEST_F(publishing, records_at_the_limit_pass_and_one_more_is_refused) {
    settings.batch_records_max = 4;
    receive_publish(1, batch_of(4));
    EXPECT_THAT(take_publishes(), SizeIs(1));
    receive_publish(2, batch_of(5));
    EXPECT_EQ(codec::decode<codec::error>(take().at(0).body)->code, error_code::too_many_records);
}

TEST(publish_window, credit_ends_exactly_where_it_was_granted) {
    publish_window window(3, 1000);
    EXPECT_TRUE(window.open(1, 1, 500));
    EXPECT_TRUE(window.open(2, 2, 500));
    const auto overrun = window.open(3, 1, 0);
    ASSERT_FALSE(overrun);
    EXPECT_EQ(overrun.error().code, error_code::credit_overrun);
    EXPECT_EQ(window.close(1).request, 1U);
    EXPECT_TRUE(window.open(3, 1, 500));
    EXPECT_FALSE(window.open(4, 0, 1));
}

TEST(publish_window, one_publish_may_always_come) {
    publish_window window(3, 1000);
    const auto number = window.open(1, 4096, 1 << 20);
    ASSERT_TRUE(number);
    EXPECT_FALSE(window.open(2, 1, 1));
    (void)window.close(*number);
    EXPECT_EQ(window.credit_messages(), 3);
    EXPECT_EQ(window.credit_bytes(), 1000);
    EXPECT_TRUE(window.open(2, 1, 1));
}

TEST(publish_window, answers_may_come_in_any_order_and_request_ids_may_repeat) {
    publish_window window(1000, 1 << 20);
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t i = 0; i < 100; ++i) {
        numbers.push_back(*window.open(i % 3, 1, i));
    }
    for (std::uint32_t i = 0; i < 100; ++i) {
        const auto which = (i * 37) % 100;
        const auto closed = window.close(numbers[which]);
        EXPECT_EQ(closed.request, which % 3);
        EXPECT_EQ(closed.bytes, which);
    }
    EXPECT_TRUE(window.empty());
    EXPECT_EQ(window.credit_messages(), 1000);
}

TEST(publish_window, has_no_more_room_than_publishes_were_in_flight_at_once) {
    publish_window window(1000, 1 << 20);
    const auto slow = *window.open(1, 1, 100);
    for (std::uint32_t request = 2; request < 1000; ++request) {
        const auto refused = window.open(request, 0, 18);
        ASSERT_TRUE(refused);
        EXPECT_LE(*refused, 2U) << "numbers are used again";
        (void)window.close(*refused);
    }
    EXPECT_EQ(window.close(slow).request, 1U);
    EXPECT_TRUE(window.empty());
}

// Promise: limits.credit
TEST_F(publishing, a_credit_overrun_closes_the_connection) {
    std::uint32_t request = 0;
    while (!machine().closing() && request < 20'000) {
        receive_publish(++request, batch_of(1));
    }
    const auto frames = take();
    EXPECT_EQ(codec::decode<codec::error>(frames.back().body)->code, error_code::credit_overrun);
    expect_closed(closed_reason::credit_overrun);
    EXPECT_EQ(request, settings.credit_messages + 1);
}

// Promise: limits.connections
TEST(connection_limits, each_bound_holds_at_the_limit_and_one_beyond) {
    connection_limits limits({.total = 4, .per_ip = 3, .handshakes = 2, .handshakes_per_ip = 1});
    const auto refused = [&](const char* ip, const char* option) {
        const auto result = limits.admit(ip);
        ASSERT_FALSE(result) << option;
        EXPECT_EQ(result.error().code, error_code::too_many_connections);
        EXPECT_THAT(result.error().text, HasSubstr(option));
    };
    ASSERT_TRUE(limits.admit("a"));
    refused("a", "max-handshakes-per-ip");
    ASSERT_TRUE(limits.admit("b"));
    refused("c", "max-handshakes ");
    limits.confirm("a");
    ASSERT_TRUE(limits.admit("a"));
    limits.confirm("a");
    limits.confirm("b");
    ASSERT_TRUE(limits.admit("a"));
    limits.confirm("a");
    refused("d", "max-connections ");
    limits.release("b", true);
    refused("a", "max-connections-per-ip");
    ASSERT_TRUE(limits.admit("d"));
    limits.release("d", false);
    EXPECT_EQ(limits.total(), 3U);
}

}  // namespace
}  // namespace brokerd::session
