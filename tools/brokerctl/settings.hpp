// Settings of topics and queues as options of create and set: only those given are changed, and
// only those given can be in conflict with what exists. Pure but for CLI11.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include <brokerd/types.hpp>

namespace brokerd::ctl {

struct topic_changes {
    std::optional<std::chrono::microseconds> keep_done{};
    std::optional<std::uint64_t> max_message_bytes{};
    std::optional<std::chrono::microseconds> ttl{};
    std::optional<durability_level> durability{};
    std::optional<std::chrono::microseconds> message_id_window{};
    std::optional<std::uint64_t> keep_done_bytes{};
    std::optional<std::uint64_t> max_bytes{};  // 0: none, as for all of these
    std::optional<std::uint64_t> max_messages{};
    std::optional<overflow_policy> when_full{};
    std::optional<std::chrono::microseconds> max_age{};
    std::optional<std::uint8_t> priorities{};  // of what exists it is fixed

    void add_to(CLI::App& app);
    [[nodiscard]] bool empty() const { return text().empty(); }
    void apply_to(topic_options& settings) const;
    // `keep-done 7d, max-message-bytes 4MiB`
    [[nodiscard]] std::string text() const;
    // `keep-done 0s, not 7d`: what was asked for and is not in force; empty if there is none.
    [[nodiscard]] std::string conflict(const topic_options& in_force) const;
};

struct queue_changes {
    std::optional<std::chrono::microseconds> lease;
    std::optional<std::uint32_t> attempts;
    std::optional<std::chrono::microseconds> backoff;
    std::optional<std::chrono::microseconds> backoff_max;
    std::optional<std::uint64_t> max_retrying;
    std::optional<std::uint64_t> max_runs;
    std::optional<std::uint32_t> jitter_percent;
    std::optional<failure_policy> after_failure;
    std::optional<std::chrono::microseconds> expires;
    std::optional<expiry_policy> on_expiry;
    std::optional<std::string> filter;   // as the broker writes it; empty: none
    std::optional<std::uint64_t> until;  // 0: none

    // All but --until, as the verbs take different things for it.
    void add_to(CLI::App& app);
    [[nodiscard]] bool empty() const { return text().empty(); }
    void apply_to(queue_options& settings) const;
    [[nodiscard]] std::string text() const;
    [[nodiscard]] std::string conflict(const queue_options& in_force) const;
};

}  // namespace brokerd::ctl
