// The one place that knows where Asio 1.22 keeps what we use of it. Broker and client write their
// coroutines with these names. Header only.
//
// Rules for coroutines here: they are named functions (a capturing lambda dies before its frame),
// take their arguments by value, keep lambdas and temporaries in locals before co_await, and do not
// throw: awaited operations give their error code as the first of a tuple.
#pragma once

#include <system_error>
#include <tuple>

#include <asio/awaitable.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

namespace brokerd::transport {

template <typename T = void>
using awaitable = asio::awaitable<T>;

//     auto [error, count] = co_await socket.async_read_some(buffer, use_tuple);
inline constexpr asio::experimental::as_tuple_t<asio::use_awaitable_t<>> use_tuple{
    asio::use_awaitable};

using tcp = asio::ip::tcp;

}  // namespace brokerd::transport
