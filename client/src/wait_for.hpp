// Waiting for callbacks, and from results to exceptions. Any thread but the one that makes the
// callbacks.
#pragma once

#include <future>
#include <type_traits>
#include <utility>

#include "client/src/result.hpp"

namespace brokerd::client_core {

template <typename T>
T value_or_throw(result<T> of) {
    if (!of) {
        throw error(of.error());
    }
    if constexpr (!std::is_void_v<T>) {
        return std::move(*of);
    }
}

// Calls `start` with a callback and waits until that is called.
template <typename T, typename Start>
result<T> wait_for(Start&& start) {
    std::promise<result<T>> promise;
    std::future<result<T>> future = promise.get_future();
    // The callback owns the promise: it may still be at work on it when the waiting thread goes on.
    start(callback<T>([promise = std::move(promise)](result<T> value) mutable {
        promise.set_value(std::move(value));
    }));
    return future.get();
}

}  // namespace brokerd::client_core
