// Between requests as they arrive and the handlers of serve(). Pure; any thread.
#pragma once

#include <cstdint>
#include <exception>
#include <string>

#include "brokerd/service.hpp"
#include "brokerd/types.hpp"
#include "client/src/responder_state.hpp"

namespace brokerd::client_core {

[[nodiscard]] service_request to_public(const std::string& service, const handed_request& taken);

// What a handler returned, or threw. A reply that cannot be sent fails the request.
[[nodiscard]] made_reply reply_of(const outgoing_message& returned);
[[nodiscard]] made_reply failure_of(const std::exception_ptr& thrown);

// What the broker is told, in which 0 has no meaning.
[[nodiscard]] std::uint32_t prefetch_of(const serve_options& options);

}  // namespace brokerd::client_core
