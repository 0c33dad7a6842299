// The one writer of a connection. Others append whole frames to its outbox and wake it; it swaps
// the outbox out and writes all of it, again and again, until there is nothing left.
//
// Owner: the strand (or single thread) of the socket; every function is called there.
// Invariants: at most one write is in flight; frames leave in the order they were appended; an
// idle writer holds little memory. The bound on the outbox is the owner's to enforce: it checks
// over_limit() after it appended and closes with a named reason.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include <asio/buffer.hpp>
#include <asio/steady_timer.hpp>

#include "protocol/codec/encode.hpp"
#include "protocol/transport/asio_aliases.hpp"
#include "protocol/types/bytes.hpp"

namespace brokerd::transport {

template <typename Socket>
class basic_frame_writer {
public:
    using clock = std::chrono::steady_clock;

    // The socket must outlive run().
    basic_frame_writer(Socket& socket, std::size_t outbox_bytes_max)
        : socket_(socket),
          appended_(socket.get_executor(), clock::time_point::max()),
          outbox_bytes_max_(outbox_bytes_max),
          last_progress_(clock::now()) {}

    basic_frame_writer(const basic_frame_writer&) = delete;
    basic_frame_writer& operator=(const basic_frame_writer&) = delete;

    // For whole frames, followed by wake(). The reference holds until the caller suspends.
    [[nodiscard]] byte_buffer& outbox() { return outbox_; }
    void wake();

    template <codec::frame_message T>
    void send(std::uint32_t request_id, const T& message) {
        codec::encode_frame(outbox_, request_id, message);
        wake();
    }

    // Writes until stop(), until all is written after finish(), or until an error, which it gives.
    // Called once; its frame must end before this object does.
    [[nodiscard]] awaitable<std::error_code> run();
    // run() ends as soon as what was appended is written.
    void finish();
    // run() ends with the write in flight, which the owner cancels or lets end.
    void stop();

    // Appended and not yet written.
    [[nodiscard]] std::size_t pending_bytes() const {
        return outbox_.size() + writing_.size() - written_;
    }
    [[nodiscard]] bool over_limit() const { return pending_bytes() > outbox_bytes_max_; }
    void set_outbox_bytes_max(std::size_t bytes) { outbox_bytes_max_ = bytes; }

    // When bytes last left, or when the first of those that wait was appended.
    [[nodiscard]] clock::time_point last_progress() const { return last_progress_; }
    // Something waits, and nothing has left for longer than `limit`.
    [[nodiscard]] bool stalled(clock::time_point now, clock::duration limit) const {
        return pending_bytes() > 0 && now - last_progress_ > limit;
    }
    [[nodiscard]] std::uint64_t written_bytes_total() const { return written_total_; }
    // Gives back the memory of an empty outbox; for the owner's tick over silent connections.
    void release_memory();

private:
    // Kept by an outbox that became empty; a burst's memory goes back at once.
    static constexpr std::size_t kept_bytes_max = std::size_t{64} * 1024;

    awaitable<std::error_code> write_outbox();

    Socket& socket_;
    asio::steady_timer appended_;  // never expires; cancelled to wake run()
    byte_buffer outbox_;           // appended to
    byte_buffer writing_;          // in flight
    std::size_t written_ = 0;      // of writing_
    std::size_t outbox_bytes_max_;
    std::uint64_t written_total_ = 0;
    clock::time_point last_progress_;
    bool idle_ = true;  // nothing is in flight
    bool finishing_ = false;
    bool stopped_ = false;
};

template <typename Socket>
void basic_frame_writer<Socket>::wake() {
    if (idle_ && !outbox_.empty()) {
        idle_ = false;
        last_progress_ = clock::now();
        appended_.cancel();
    }
}

template <typename Socket>
void basic_frame_writer<Socket>::finish() {
    finishing_ = true;
    appended_.cancel();
}

template <typename Socket>
void basic_frame_writer<Socket>::stop() {
    stopped_ = true;
    appended_.cancel();
}

template <typename Socket>
awaitable<std::error_code> basic_frame_writer<Socket>::run() {
    while (!stopped_) {
        if (outbox_.empty()) {
            if (finishing_) {
                co_return std::error_code();
            }
            idle_ = true;
            if (outbox_.capacity() > kept_bytes_max || writing_.capacity() > kept_bytes_max) {
                release_memory();
            }
            // Flags are checked after each wake-up; the cancellation itself says nothing.
            co_await appended_.async_wait(use_tuple);
            continue;
        }
        idle_ = false;
        const std::error_code error = co_await write_outbox();
        if (error) {
            co_return error;
        }
    }
    co_return std::error_code();
}

template <typename Socket>
awaitable<std::error_code> basic_frame_writer<Socket>::write_outbox() {
    outbox_.swap(writing_);
    while (written_ < writing_.size() && !stopped_) {
        const auto left = asio::buffer(writing_.data() + written_, writing_.size() - written_);
        const auto [error, count] = co_await socket_.async_write_some(left, use_tuple);
        if (error) {
            co_return error;
        }
        written_ += count;
        written_total_ += count;
        last_progress_ = clock::now();
    }
    writing_.clear();
    written_ = 0;
    co_return std::error_code();
}

template <typename Socket>
void basic_frame_writer<Socket>::release_memory() {
    if (idle_ && pending_bytes() == 0) {
        outbox_ = byte_buffer();
        writing_ = byte_buffer();
    }
}

using frame_writer = basic_frame_writer<tcp::socket>;
extern template class basic_frame_writer<tcp::socket>;

}  // namespace brokerd::transport
