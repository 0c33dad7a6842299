// Blocking socket, bounded waits.
#include "tests/support/raw_client.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/codec/registry.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::support {

raw_client::raw_client(std::uint16_t port) : parser_(limits::frame_bytes_max) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
        close(fd_);
        throw std::runtime_error("cannot connect");
    }
}

raw_client::~raw_client() {
    if (fd_ >= 0) {
        close(fd_);
    }
}

void raw_client::drop() {
    close(fd_);
    fd_ = -1;
}

void raw_client::end_sending() {
    shutdown(fd_, SHUT_WR);
}

codec::hello_ok raw_client::hello(std::string name) {
    codec::hello message;
    message.client_name = std::move(name);
    return ask<codec::hello_ok>(message);
}

void raw_client::send_bytes(byte_view bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0) {
            return;  // the broker has closed; what it said last is still to be read
        }
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
}

void raw_client::publish(std::uint32_t request, std::string_view topic, byte_view batch) {
    byte_buffer out;
    codec::encode_publish(out, request, topic, batch);
    send_bytes(out);
}

std::optional<received_frame> raw_client::take() {
    auto frame = parser_.next();
    if (!frame) {
        throw std::runtime_error("the broker sent a bad frame: " + frame.error().text);
    }
    if (!*frame) {
        return std::nullopt;
    }
    const auto body = (*frame)->body;
    return received_frame{static_cast<codec::frame_type>((*frame)->type), (*frame)->request_id,
                          byte_buffer(body.begin(), body.end())};
}

std::optional<received_frame> raw_client::next() {
    for (;;) {
        if (auto frame = take()) {
            if (frame->type != codec::frame_type::ping) {
                return frame;
            }
            if (pong_) {
                send(frame->request, codec::pong{});
            }
            continue;
        }
        pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
        if (poll(&waiting, 1, std::chrono::milliseconds(patience).count()) != 1) {
            throw std::runtime_error("the broker says nothing");
        }
        piece_.resize(64 * limits::kib);
        const auto count = recv(fd_, piece_.data(), piece_.size(), 0);
        if (count <= 0) {
            return std::nullopt;
        }
        parser_.feed({piece_.data(), static_cast<std::size_t>(count)});
    }
}

bool raw_client::silent() {
    pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
    return poll(&waiting, 1, 0) == 0;
}

std::string raw_client::describe_last(codec::frame_type wanted) const {
    std::string text = "wanted ";
    text += codec::frame_type_name(wanted);
    text += ", got ";
    text += codec::frame_type_name(last_.type);
    if (last_.type == codec::frame_type::error) {
        if (const auto error = codec::decode<codec::error>(last_.body)) {
            text += ": " + error->text;
        }
    }
    return text;
}

byte_buffer make_batch(const std::vector<std::string>& payloads, producer_id producer,
                       std::uint64_t first_sequence) {
    codec::batch_builder builder;
    for (const auto& payload : payloads) {
        builder.add({.key = {}, .headers = {}, .payload = as_bytes(payload)});
    }
    return builder.take(producer, first_sequence);
}

std::vector<std::string> payloads_of(byte_view records) {
    std::vector<std::string> result;
    while (!records.empty()) {
        const auto record = codec::check_record(records);
        if (!record) {
            throw std::runtime_error("a bad record arrived: " + record.error().text);
        }
        result.emplace_back(as_text(record->payload));
        records = records.subspan(record->bytes.size());
    }
    return result;
}

}  // namespace brokerd::support
