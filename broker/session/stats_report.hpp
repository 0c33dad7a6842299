// The counters of the broker as a report for tools: one table of names and meanings. Pure.
#pragma once

#include "broker/base/process_usage.hpp"
#include "broker/engine/engine_parts.hpp"
#include "broker/session/session_counters.hpp"
#include "protocol/codec/admin_messages.hpp"

namespace brokerd::session {

[[nodiscard]] codec::stats_report make_stats_report(const engine::engine_statistics& engine,
                                                    const session_counters& sessions,
                                                    std::uint64_t connections_open,
                                                    const base::process_usage& process);

}  // namespace brokerd::session
