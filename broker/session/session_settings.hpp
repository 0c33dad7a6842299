// The terms every session of this broker has; fixed before the first connection. Plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "protocol/codec/messages.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::session {

struct session_settings {
    std::string broker_version;
    std::string database_id;

    std::size_t frame_bytes_max = limits::frame_bytes_default;
    std::uint32_t batch_records_max = limits::batch_records_default;
    std::uint32_t credit_messages = limits::publish_credit_messages_default;
    std::uint64_t credit_bytes = limits::publish_credit_bytes_default;
    duration_us heartbeat = limits::heartbeat_default;
    duration_us dead_after = limits::dead_after_default;
    duration_us handshake = limits::handshake_default;
};

// Requests of a connection that wait for the engine; beyond it nothing is read until some are
// answered. Publishes are bounded by credit instead.
inline constexpr std::uint64_t requests_unanswered_max = 512;
// Questions to the server (health, stats, connections); beyond it they are answered with busy.
inline constexpr std::uint64_t questions_unanswered_max = 32;

// Feature bits this broker knows.
inline constexpr std::uint64_t known_features =
    codec::feature::attempt_history | codec::feature::schedules | codec::feature::transactions |
    codec::feature::services | codec::feature::message_ids | codec::feature::pattern_queues |
    codec::feature::priorities;

}  // namespace brokerd::session
