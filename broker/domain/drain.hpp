// Before a connection is closed for a shut-down: its consumers get nothing new, and whether they
// still hold leases, however those end. Owner: the engine strand.
#pragma once

#include "broker/domain/core.hpp"

namespace brokerd::domain {

// Pauses its consumers for good and asks to be told when the connection holds nothing.
void drain_connection(core& c, const connection_draining& what);
// Answers those questions for which it has come true: one `holds_nothing` for each of them.
void answer_draining(core& c, turn& t);

}  // namespace brokerd::domain
