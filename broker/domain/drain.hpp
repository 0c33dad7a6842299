// Before a connection is closed for a shut-down: its consumers and responders get nothing new, and
// whether they still hold leases or requests, however those end. Owner: the engine strand.
#pragma once

#include "broker/domain/core.hpp"

namespace brokerd::domain {

// Pauses its consumers and responders for good and asks to be told when the connection holds
// nothing.
void drain_connection(core& c, turn& t, const connection_draining& what);
// Answers those questions for which it has come true: one `holds_nothing` for each of them.
void answer_draining(core& c, turn& t);

}  // namespace brokerd::domain
