// The writer and the read side over a pair of local sockets: order, gathering, stalls, ends.
#include "protocol/transport/frame_writer.hpp"

#include <optional>
#include <string>
#include <vector>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/local/connect_pair.hpp>
#include <asio/local/stream_protocol.hpp>
#include <gtest/gtest.h>

#include "protocol/codec/text.hpp"
#include "protocol/transport/read.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::transport {
namespace {

using local_socket = asio::local::stream_protocol::socket;
using local_writer = basic_frame_writer<local_socket>;

class frame_writer_test : public testing::Test {
protected:
    frame_writer_test() {
        asio::local::connect_pair(ours_, theirs_);
        ours_.non_blocking(true);
        theirs_.non_blocking(true);
    }

    void start() {
        auto ended = [this](const std::exception_ptr& why, std::error_code error) {
            EXPECT_FALSE(why);
            result_ = error;
        };
        asio::co_spawn(context_, writer_.run(), std::move(ended));
    }

    // Runs what is ready.
    void run_ready() {
        context_.restart();
        context_.poll();
    }

    // Everything that has arrived at the other end.
    std::vector<std::string> received() {
        std::vector<std::string> texts;
        for (;;) {
            const auto piece = read_available(theirs_);
            if (!piece || piece->empty()) {
                return texts;
            }
            parser_.feed(*piece);
            for (auto next = parser_.next(); next && *next; next = parser_.next()) {
                texts.push_back(codec::to_text(**next));
            }
        }
    }

    asio::io_context context_;
    local_socket ours_{context_};
    local_socket theirs_{context_};
    codec::frame_parser parser_{limits::frame_bytes_max};
    local_writer writer_{ours_, 1000};
    std::optional<std::error_code> result_;
};

TEST_F(frame_writer_test, writes_what_was_appended_before_and_after_it_started) {
    writer_.send(1, codec::ping{});
    start();
    run_ready();
    EXPECT_EQ(received(), std::vector<std::string>{"#1 ping{}"});
    writer_.send(2, codec::pong{});
    writer_.send(3, codec::ok{});
    EXPECT_EQ(writer_.pending_bytes(), 32U);
    run_ready();
    EXPECT_EQ(received(), (std::vector<std::string>{"#2 pong{}", "#3 ok{}"}));
    EXPECT_EQ(writer_.pending_bytes(), 0U);
    EXPECT_EQ(writer_.written_bytes_total(), 48U);
    writer_.finish();
    run_ready();
    EXPECT_EQ(result_, std::error_code());
}

TEST_F(frame_writer_test, finish_writes_the_rest_first) {
    start();
    run_ready();
    writer_.send(7, codec::ok{});
    writer_.finish();
    run_ready();
    EXPECT_EQ(received(), std::vector<std::string>{"#7 ok{}"});
    EXPECT_EQ(result_, std::error_code());
}

TEST_F(frame_writer_test, a_peer_that_does_not_read_shows_as_stalled_and_over_limit) {
    start();
    const byte_buffer batch(4U << 20U);
    codec::encode_publish(writer_.outbox(), 1, "t", batch);
    writer_.wake();
    run_ready();
    EXPECT_TRUE(writer_.over_limit());
    EXPECT_GT(writer_.pending_bytes(), 0U);
    const auto at = writer_.last_progress();
    EXPECT_FALSE(writer_.stalled(at + std::chrono::seconds(30), std::chrono::seconds(30)));
    EXPECT_TRUE(writer_.stalled(at + std::chrono::seconds(31), std::chrono::seconds(30)));
    while (writer_.pending_bytes() > 0) {
        static_cast<void>(received());
        run_ready();
    }
    static_cast<void>(received());
    EXPECT_EQ(parser_.frames(), 1U);
    EXPECT_FALSE(writer_.stalled(at + std::chrono::hours(1), std::chrono::seconds(30)));
    writer_.stop();
    run_ready();
    EXPECT_TRUE(result_.has_value());
}

TEST_F(frame_writer_test, an_error_ends_it) {
    start();
    theirs_.close();
    writer_.send(1, codec::ping{});
    run_ready();
    ASSERT_TRUE(result_.has_value());
    EXPECT_TRUE(*result_);
}

TEST_F(frame_writer_test, stop_ends_an_idle_writer) {
    start();
    run_ready();
    EXPECT_FALSE(result_.has_value());
    writer_.stop();
    run_ready();
    EXPECT_EQ(result_, std::error_code());
}

TEST_F(frame_writer_test, reading_from_a_closed_peer_is_eof_and_from_a_silent_one_nothing) {
    const auto nothing = read_available(theirs_);
    ASSERT_TRUE(nothing);
    EXPECT_TRUE(nothing->empty());
    ours_.close();
    const auto end = read_available(theirs_);
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error(), asio::error::eof);
}

}  // namespace
}  // namespace brokerd::transport
