// How the library makes messages and how it sees what only it may see of them.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "brokerd/message.hpp"
#include "client/src/core.hpp"
#include "client/src/delivery.hpp"
#include "client/src/result.hpp"

namespace brokerd::client_core {

struct message_access {
    [[nodiscard]] static message make(handed_message taken);

    // Answers with confirmation; `done` is called once it is durable. At once, with lease_gone,
    // when the lease is no longer held.
    static void confirm(message& of, callback<void> done);

    // What handlers of consume() have agreed on: returned, or thrown.
    static void settle_handled(message& of, const std::exception_ptr& thrown) noexcept;

private:
    static void answer_with(message& of, settle_action action, std::chrono::microseconds delay,
                            std::string_view reason) noexcept;
    static bool give(message& of, answer& what);
    friend class ::brokerd::message;
};

}  // namespace brokerd::client_core
