// Bad input over the wire: each gets its own error, the connection lives where the protocol lets
// it, and a neighbour that does everything right notices nothing.
#include "protocol/codec/frame.hpp"
#include "protocol/types/limits.hpp"
#include "tests/integration/broker_fixture.hpp"

namespace brokerd::integration {
namespace {

using testing::HasSubstr;

class bad_input : public broker_fixture {
protected:
    void SetUp() override {
        neighbour = client("neighbour@here:1");
        create_queue(*neighbour);
    }
    void TearDown() override {
        ASSERT_TRUE(neighbour);
        EXPECT_EQ(publish(*neighbour, {"still here"}), 0U) << "nothing else was stored";
        EXPECT_EQ(broker().terminate(), 0);
    }
    void expect_error_and_close(raw_client& with, error_code code) {
        EXPECT_EQ(with.expect_error().code, code);
        EXPECT_TRUE(with.closed());
    }

    std::unique_ptr<raw_client> neighbour;
};

TEST_F(bad_input, garbage) {
    raw_client stranger(broker().port());
    stranger.send_text("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect_error_and_close(stranger, error_code::bad_frame);
}

TEST_F(bad_input, a_tls_hello) {
    raw_client stranger(broker().port());
    stranger.send_bytes(
        as_bytes(std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
                                  "0123456789abcdef",
                                  27)));
    expect_error_and_close(stranger, error_code::bad_frame);
}

TEST_F(bad_input, a_version_from_the_future) {
    raw_client stranger(broker().port());
    stranger.send(1, codec::hello{.version_min = 2, .version_max = 3});
    const auto refused = stranger.expect_error();
    EXPECT_EQ(refused.code, error_code::version_unsupported);
    EXPECT_THAT(refused.text, HasSubstr("versions 1 to 1, the client 2 to 3"));
    EXPECT_TRUE(stranger.closed());
}

TEST_F(bad_input, a_request_before_the_hello) {
    raw_client stranger(broker().port());
    stranger.send(1, codec::queue_list{});
    expect_error_and_close(stranger, error_code::unexpected);
}

// Promise: limits.frame
TEST_F(bad_input, a_frame_over_the_limit) {
    const auto culprit = client();
    byte_buffer header(codec::frame_header_bytes);
    codec::store_frame_header(header.data(), static_cast<std::uint8_t>(codec::frame_type::publish),
                              1, limits::frame_bytes_default + 1);
    culprit->send_bytes(header);
    expect_error_and_close(*culprit, error_code::frame_too_large);
}

TEST_F(bad_input, a_header_that_was_damaged) {
    const auto culprit = client();
    byte_buffer header(codec::frame_header_bytes);
    codec::store_frame_header(header.data(), static_cast<std::uint8_t>(codec::frame_type::ping), 1,
                              0);
    header[0] ^= std::byte{1};
    culprit->send_bytes(header);
    expect_error_and_close(*culprit, error_code::bad_frame);
}

TEST_F(bad_input, batches_that_are_damaged_truncated_or_empty) {
    const auto culprit = client();
    auto batch = make_batch({"one", "two"});
    batch.back() ^= std::byte{1};
    culprit->publish(1, "t", batch);
    EXPECT_EQ(culprit->expect_error().code, error_code::bad_checksum);
    (void)culprit->expect<codec::credit>();
    batch.resize(batch.size() - 3);
    culprit->publish(2, "t", batch);
    EXPECT_EQ(culprit->expect_error().code, error_code::bad_batch);
    (void)culprit->expect<codec::credit>();
    byte_buffer empty(codec::batch_header_bytes);
    codec::store_batch_header(empty.data(), {});
    culprit->publish(3, "t", empty);
    EXPECT_EQ(culprit->expect_error().code, error_code::empty_batch);
}

TEST_F(bad_input, names_with_forbidden_characters) {
    const auto culprit = client();
    culprit->publish(1, "orders/../x", make_batch({"x"}));
    EXPECT_EQ(culprit->expect_error().code, error_code::invalid_name);
    (void)culprit->expect<codec::credit>();
    const auto refused =
        culprit->ask<codec::error>(codec::queue_create{.queue = "a b/q", .create_topic = true});
    EXPECT_EQ(refused.code, error_code::invalid_name);
}

// Promise: explain.remedy
TEST_F(bad_input, unknown_names_say_which_command_creates_them) {
    const auto culprit = client();
    culprit->publish(1, "nowhere", make_batch({"x"}));
    const auto no_topic = culprit->expect_error();
    EXPECT_EQ(no_topic.code, error_code::topic_not_found);
    EXPECT_THAT(no_topic.text, HasSubstr("brokerctl topic create nowhere"));
    (void)culprit->expect<codec::credit>();
    const auto no_queue =
        culprit->ask<codec::error>(codec::attach{.queue = "t/none", .consumer = consumer_id{1}});
    EXPECT_EQ(no_queue.code, error_code::queue_not_found);
    EXPECT_THAT(no_queue.text, HasSubstr("brokerctl queue create t/none"));
}

TEST_F(bad_input, a_settle_for_a_lease_that_is_gone) {
    const auto culprit = client();
    const auto queue = attach(*culprit).queue;
    const auto settled = culprit->ask<codec::settled>(
        codec::settle{.queue = queue, .confirm = true, .runs = {{0, 1, broker_epoch{1}, 99}}});
    EXPECT_EQ(settled.accepted, 0U);
    EXPECT_EQ(settled.refused, 1U);
    culprit->send(77, codec::settle{.queue = queue, .runs = {{0, 1, broker_epoch{1}, 99}}});
    EXPECT_EQ(culprit->expect_error().code, error_code::lease_gone);
    EXPECT_EQ(culprit->last_request(), 77U);
}

TEST_F(bad_input, an_unknown_frame_type) {
    const auto culprit = client();
    byte_buffer header(codec::frame_header_bytes);
    codec::store_frame_header(header.data(), 200, 9, 0);
    culprit->send_bytes(header);
    EXPECT_EQ(culprit->expect_error().code, error_code::unknown_type);
    EXPECT_EQ(culprit->last_request(), 9U);
    (void)culprit->ask<codec::pong>(codec::ping{});
}

}  // namespace

// Not a bad_input: its publishes may be stored.
// Promise: limits.credit
TEST_F(broker_fixture, credit_overrun_closes_only_the_culprit) {
    broker({"--publish-credit-messages", "4"});
    const auto neighbour = client();
    create_queue(*neighbour);
    // One read of the broker holds all of them, so no answer can come in between.
    byte_buffer burst;
    for (std::uint32_t i = 1; i <= 6; ++i) {
        codec::encode_publish(burst, i, "t", make_batch({"x"}));
    }
    const auto culprit = client();
    culprit->send_bytes(burst);
    EXPECT_EQ(culprit->expect_error().code, error_code::credit_overrun);
    EXPECT_TRUE(culprit->closed());
    EXPECT_THAT(publish(*neighbour, {"x"}), testing::Le(4U));
}

}  // namespace brokerd::integration
