// What brokerd can be told, with defaults. The table that names, documents and bounds each option
// is in option_table.hpp. Plain data; no thread affinity.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/types/limits.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::config {

struct options {
    std::string data_dir = "brokerd-data";
    std::string listen = "127.0.0.1:4650";
    bool ephemeral = false;
    bool insecure = false;

    std::string log_level = "info";
    std::string log_format = "text";

    std::uint64_t io_threads = 0;  // 0: one for each four cores, at least one
    std::string engine_thread = "auto";
    std::uint64_t cache_bytes = 16 * limits::mib;
    std::uint64_t disk_reserve_bytes = 0;  // 0: the smaller of 5 % of the disk and 1 GiB
    duration_us os_sync_interval = limits::os_sync_default;

    std::uint64_t connections = limits::connections_default;
    std::uint64_t connections_per_ip = limits::connections_per_ip_default;
    std::uint64_t unauthenticated = limits::connections_unauthenticated_default;
    std::uint64_t unauthenticated_per_ip = limits::connections_unauthenticated_per_ip_default;
    std::uint64_t message_bytes = limits::message_bytes_default;
    std::uint64_t frame_bytes = limits::frame_bytes_default;
    std::uint64_t batch_records = limits::batch_records_default;
    std::uint64_t credit_messages = limits::publish_credit_messages_default;
    std::uint64_t credit_bytes = limits::publish_credit_bytes_default;
    duration_us heartbeat = limits::heartbeat_default;
    duration_us dead_after = limits::dead_after_default;
    duration_us handshake = limits::handshake_default;
    duration_us drain = limits::drain_default;

    bool operator==(const options&) const = default;
};

}  // namespace brokerd::config
