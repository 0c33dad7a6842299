// The public plain types that have behaviour.
#include "brokerd/types.hpp"

#include <ostream>

#include "brokerd/admin.hpp"
#include "brokerd/error.hpp"
#include "protocol/types/names.hpp"
#include "protocol/types/settings.hpp"

namespace brokerd {

address address::parse(std::string_view text) {
    outcome<message_address> parsed = parse_message_address(text);
    if (!parsed) {
        throw error(client_errc::invalid_argument, parsed.error().text);
    }
    return {std::move(parsed->topic), parsed->offset};
}

std::string to_string(const address& at) {
    return at.topic + '@' + std::to_string(at.offset);
}

std::ostream& operator<<(std::ostream& out, const address& at) {
    return out << at.topic << '@' << at.offset;
}

std::string_view to_string(delivery_state state) noexcept {
    return to_string(static_cast<message_state>(state));
}

std::string_view to_string(delivery_mode mode) noexcept {
    return to_string(static_cast<queue_mode>(mode));
}

std::string_view to_string(failure_policy policy) noexcept {
    return to_string(static_cast<after_failure>(policy));
}

std::string_view to_string(expiry_policy policy) noexcept {
    return to_string(static_cast<expiry_action>(policy));
}

std::string_view to_string(durability_level level) noexcept {
    return to_string(static_cast<durability>(level));
}

std::string_view to_string(overflow_policy policy) noexcept {
    return to_string(static_cast<full_policy>(policy));
}

std::string_view to_string(attempt_end end) noexcept {
    return to_string(static_cast<attempt_outcome>(end));
}

}  // namespace brokerd
