// What handlers of several requests check, and how they say what is wrong. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "protocol/codec/record_batch.hpp"
#include "protocol/types/error.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::session {

// With pipelined publishes to many topics, which one is meant. A name that is none is not repeated.
[[nodiscard]] failure naming(const std::string& topic, failure why);

// The id of the message of a batch, empty if it has none. Errors: bad_batch (empty),
// invalid_argument (not alone in its batch).
[[nodiscard]] outcome<std::string> id_of_batch(const codec::checked_batch& batch);

// Of a settle, what does not depend on its leases. Errors: invalid_argument.
[[nodiscard]] outcome<void> check_settle(settle_action action, duration_us delay,
                                         const std::string& reason);

[[nodiscard]] std::uint64_t leases_in(const std::vector<lease_run>& runs);
// Bytes of what may have to be said of so many leases.
[[nodiscard]] std::size_t answer_about(std::uint64_t leases);

}  // namespace brokerd::session
