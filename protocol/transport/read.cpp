// The buffer of each thread, and socket options.
#include "protocol/transport/read.hpp"

#include <memory>

namespace brokerd::transport {

std::span<std::byte> thread_read_buffer() {
    // Allocated with the first read, so that threads without connections have none.
    thread_local const std::unique_ptr<std::byte[]> buffer =
        std::make_unique_for_overwrite<std::byte[]>(read_piece_bytes);
    return {buffer.get(), read_piece_bytes};
}

std::error_code prepare(tcp::socket& socket) {
    std::error_code error;
    socket.non_blocking(true, error);
    if (!error) {
        socket.set_option(tcp::no_delay(true), error);
    }
    return error;
}

}  // namespace brokerd::transport
