// consume() with coroutines: one message after the other in each of several workers.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include <asio/awaitable.hpp>

#include "brokerd/message.hpp"
#include "brokerd/options.hpp"
#include "client/src/handles.hpp"

namespace brokerd::client_core {

// The next message, or nothing; see async_consumer::next().
[[nodiscard]] asio::awaitable<std::optional<message>> next_message(
    std::shared_ptr<core_consumer> from, std::chrono::microseconds timeout);

// Handles the consumer's messages until there are no more; see async_client::consume().
[[nodiscard]] asio::awaitable<std::uint64_t> consume_all(
    std::shared_ptr<core_consumer> from, std::function<asio::awaitable<void>(message&)> handler,
    consume_options options);

}  // namespace brokerd::client_core
