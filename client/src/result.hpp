// What operations of the client end in: a value or a brokerd::error, and the callbacks that take
// it. Header only; no thread affinity.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "brokerd/error.hpp"
#include "protocol/types/error.hpp"

namespace brokerd::client_core {

template <typename T>
using result = std::expected<T, error>;

template <typename T>
using callback = std::move_only_function<void(result<T>)>;

// Calls that follow from what a machine did: collected while the client's state is locked, made
// in order after it was unlocked.
using calls = std::vector<std::move_only_function<void()>>;

[[nodiscard]] inline error make_error(client_errc code, const std::string& text) {
    return {code, text};
}

// A refusal of the broker as what the caller sees. An empty text gets the table's.
[[nodiscard]] inline error make_error(const failure& refused) {
    return {static_cast<broker_errc>(refused.code),
            refused.text.empty() ? std::string(describe(refused.code).text) : refused.text};
}

// Queues the one call of `done`; an empty callback is fine.
template <typename T>
void finish(calls& out, callback<T>& done, result<T> value) {
    if (done) {
        out.emplace_back([done = std::move(done), value = std::move(value)]() mutable {
            done(std::move(value));
        });
        done = nullptr;
    }
}

}  // namespace brokerd::client_core
