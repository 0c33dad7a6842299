// How the library makes messages and how it sees what only it may see of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
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

    // Where a message that is not empty came from, and its place there.
    [[nodiscard]] static delivery& delivery_of(const message& of) { return *of.delivery_; }
    [[nodiscard]] static std::uint32_t index_of(const message& of) {
        return static_cast<std::uint32_t>(of.offset_ - of.delivery_->leases.first_offset);
    }
    // It was answered by other means.
    static void mark_answered(message& of) { of.open_ = false; }

    // What handlers of consume() have agreed on: returned, or thrown.
    static void settle_handled(message& of, const std::exception_ptr& thrown) noexcept;

private:
    static void answer_with(message& of, settle_action action, std::chrono::microseconds delay,
                            std::string_view reason) noexcept;
    static bool give(message& of, answer& what);
    friend class ::brokerd::message;
};

}  // namespace brokerd::client_core
