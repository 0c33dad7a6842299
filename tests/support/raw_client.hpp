// A connection to brokerd without the client library: a blocking socket and the codec. It says
// exactly what a test wants said, right or wrong. One owner at a time.
//
// Every wait is bounded; a test fails with an exception that says what came instead.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/codec/encode.hpp"
#include "protocol/codec/frame.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/types/bytes.hpp"

namespace brokerd::support {

// A frame with its bytes.
struct received_frame {
    codec::frame_type type{};
    std::uint32_t request = 0;
    byte_buffer body;
};

class raw_client {
public:
    static constexpr std::chrono::seconds patience{20};

    // Only connects.
    explicit raw_client(std::uint16_t port);
    raw_client(const raw_client&) = delete;
    raw_client& operator=(const raw_client&) = delete;
    ~raw_client();

    // Says hello and takes the answer.
    codec::hello_ok hello(std::string name = "test@here:1");
    void send_bytes(byte_view bytes);
    void send_text(std::string_view text) { send_bytes(as_bytes(text)); }
    template <codec::frame_message T>
    void send(std::uint32_t request, const T& message) {
        byte_buffer out;
        codec::encode_frame(out, request, message);
        send_bytes(out);
    }
    void publish(std::uint32_t request, std::string_view topic, byte_view batch);

    // The next frame that is no ping; pings are answered if `pong`. Nothing when the broker closed.
    [[nodiscard]] std::optional<received_frame> next();
    // The next frame, which must be a T; views in it are valid until the next call.
    template <codec::frame_message T>
    T expect() {
        auto frame = next();
        if (!frame) {
            throw std::runtime_error("the broker closed instead of sending " +
                                     std::to_string(static_cast<int>(T::type)));
        }
        last_ = *std::move(frame);
        if (last_.type != T::type) {
            throw std::runtime_error(describe_last(T::type));
        }
        auto message = codec::decode<T>(last_.body);
        if (!message) {
            throw std::runtime_error(message.error().text);
        }
        return *std::move(message);
    }
    // Sends a request and takes its answer.
    template <codec::frame_message Reply, codec::frame_message T>
    Reply ask(const T& message) {
        send(++request_, message);
        return expect<Reply>();
    }
    // The error that must come next.
    [[nodiscard]] codec::error expect_error() { return expect<codec::error>(); }
    // The request id of the frame taken last.
    [[nodiscard]] std::uint32_t last_request() const { return last_.request; }
    // Nothing more comes: the broker has closed. False if something came.
    [[nodiscard]] bool closed() { return !next().has_value(); }
    // Nothing has arrived so far.
    [[nodiscard]] bool silent();
    void stop_answering_pings() { pong_ = false; }
    // Sends nothing more; what comes can still be taken.
    void end_sending();
    // Closes as a killed process would.
    void drop();

private:
    [[nodiscard]] std::string describe_last(codec::frame_type wanted) const;
    [[nodiscard]] std::optional<received_frame> take();

    int fd_ = -1;
    std::uint32_t request_ = 0;
    bool pong_ = true;
    byte_buffer piece_;
    codec::frame_parser parser_;
    received_frame last_;
};

// A batch of messages with these payloads.
[[nodiscard]] byte_buffer make_batch(const std::vector<std::string>& payloads,
                                     producer_id producer = {}, std::uint64_t first_sequence = 0);
// The payloads of `count` records.
[[nodiscard]] std::vector<std::string> payloads_of(byte_view records);

}  // namespace brokerd::support
