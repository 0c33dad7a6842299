// Messages as text: readable, bounded, and without payloads or raw foreign bytes.
#include "protocol/codec/text.hpp"

#include <gtest/gtest.h>

#include "protocol/codec/registry.hpp"
#include "tests/unit/codec/sample_values.hpp"

namespace brokerd::codec {
namespace {

TEST(text, of_a_settle) {
    const settle message{.queue = queue_id(7),
                         .action = settle_action::nack,
                         .confirm = true,
                         .reason = "smtp said \"450\"\n",
                         .runs = {{812, 2, broker_epoch(3), 40}}};
    EXPECT_EQ(to_text(message),
              "settle{queue=7 action=nack confirm=true delay=-1us "
              "reason=\"smtp said \\\"450\\\"\\x0a\" producer=0 sequence=0 runs=[812+2@3:40]}");
}

TEST(text, payloads_only_by_size) {
    const publish message{.topic = "orders", .batch = {as_bytes("secret")}};
    EXPECT_EQ(to_text(message), "publish{topic=\"orders\" batch=<6 bytes>}");
}

TEST(text, long_lists_are_cut) {
    attached message;
    message.gone.resize(1000, lease_run{.count = 1});
    const std::string text = to_text(message);
    EXPECT_LT(text.size(), 300U);
    EXPECT_NE(text.find("1000 in all"), std::string::npos);
}

TEST(text, of_error_codes) {
    EXPECT_EQ(to_text(error{error_code::gone, "x"}), "error{code=gone text=\"x\"}");
    EXPECT_EQ(to_text(error{static_cast<error_code>(999), "x"}), "error{code=999 text=\"x\"}");
}

TEST(text, of_a_received_frame) {
    byte_buffer bytes;
    encode_frame(bytes, 5, draining{.grace_ms = 100});
    frame received{static_cast<std::uint8_t>(frame_type::draining), 0, 5,
                   byte_view(bytes).subspan(frame_header_bytes)};
    EXPECT_EQ(to_text(received), "#5 draining{grace_ms=100}");
    received.body = received.body.first(2);
    EXPECT_EQ(to_text(received), "#5 draining.grace_ms: the body ends inside it");
    received.type = 200;
    EXPECT_EQ(to_text(received), "#5 type 200 with 2 bytes");
}

struct prints {
    template <typename Message>
    void operator()() const {
        sample::filler fill{sample::random_source(11)};
        const std::string text = to_text(fill.template make<Message>("m"));
        EXPECT_TRUE(text.starts_with(std::string(message_name<Message>) + "{")) << text;
        for (const char c : text) {
            ASSERT_FALSE(static_cast<unsigned char>(c) < 0x20) << text;
        }
    }
};

TEST(text, of_every_message_has_no_control_characters) {
    all_messages::for_each(prints{});
}

TEST(registry, names_of_frame_types) {
    EXPECT_EQ(frame_type_name(frame_type::settle), "settle");
    EXPECT_TRUE(is_known_type(1));
    EXPECT_FALSE(is_known_type(0));
    EXPECT_FALSE(is_known_type(6));
    EXPECT_FALSE(is_known_type(255));
}

}  // namespace
}  // namespace brokerd::codec
