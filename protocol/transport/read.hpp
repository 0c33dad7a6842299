// The read side of a connection: wait until there is something, then read it without blocking into
// the one buffer its thread has. An idle connection so costs no buffer, and a coroutine is resumed
// once per read, never once per frame.
//
//     while (!stopping) {
//         auto [waited] = co_await socket.async_wait(tcp::socket::wait_read, use_tuple);
//         if (waited) { ... }
//         const auto piece = read_available(socket);
//         if (!piece) { ... }
//         parser.feed(*piece);
//         while (parser.next() ...) { handle without suspending }
//     }
//
// Invariant: a piece is used up before the coroutine suspends: the next connection on this thread
// reads into the same bytes. What must be kept is copied (frame_parser does so for a part of a
// frame, take_body() for a body).
#pragma once

#include <cstddef>
#include <expected>
#include <span>
#include <system_error>

#include <asio/buffer.hpp>
#include <asio/error.hpp>

#include "protocol/transport/asio_aliases.hpp"
#include "protocol/types/bytes.hpp"

namespace brokerd::transport {

inline constexpr std::size_t read_piece_bytes = std::size_t{64} * 1024;

// The calling thread's buffer of read_piece_bytes.
[[nodiscard]] std::span<std::byte> thread_read_buffer();

// Sets what both ends need on a connected socket: non-blocking, no delay of small segments.
[[nodiscard]] std::error_code prepare(tcp::socket& socket);

// What has arrived, at most read_piece_bytes, in the thread's buffer; empty if nothing has. The
// socket must be non-blocking. Errors: asio::error::eof at the end of the stream, or the system's.
template <typename Socket>
[[nodiscard]] std::expected<byte_view, std::error_code> read_available(Socket& socket) {
    const std::span<std::byte> buffer = thread_read_buffer();
    std::error_code error;
    const std::size_t count = socket.read_some(asio::buffer(buffer.data(), buffer.size()), error);
    if (error == asio::error::would_block || error == asio::error::try_again ||
        error == asio::error::interrupted) {
        return byte_view{};
    }
    if (error) {
        return std::unexpected(error);
    }
    return buffer.first(count);
}

}  // namespace brokerd::transport
