// Names follow the unit: _total counts up since start, others are the value now.
#include "broker/session/stats_report.hpp"

#include <array>
#include <string>

#include <fmt/format.h>

namespace brokerd::session {
namespace {

using engine::engine_statistics;

struct row {
    const char* name;
    std::uint64_t (*get)(const engine_statistics&);
    const char* help;
};

constexpr std::array rows{
    row{"published_messages_total", [](const auto& s) { return s.domain.published_messages; },
        "messages stored"},
    row{"published_bytes_total", [](const auto& s) { return s.domain.published_bytes; },
        "their bytes"},
    row{"duplicates_total", [](const auto& s) { return s.domain.duplicates; },
        "publishes that were stored earlier"},
    row{"refused_publishes_total", [](const auto& s) { return s.domain.refused_publishes; },
        "publishes answered with an error"},
    row{"delivered_messages_total", [](const auto& s) { return s.domain.delivered_messages; },
        "leases given out"},
    row{"acked_messages_total", [](const auto& s) { return s.domain.acked_messages; },
        "messages acknowledged"},
    row{"nacked_messages_total", [](const auto& s) { return s.domain.nacked_messages; },
        "messages given back as failed"},
    row{"rejected_messages_total", [](const auto& s) { return s.domain.rejected_messages; },
        "messages rejected"},
    row{"released_messages_total", [](const auto& s) { return s.domain.released_messages; },
        "messages given back untouched"},
    row{"expired_leases_total", [](const auto& s) { return s.domain.expired_leases; },
        "leases that ran out"},
    row{"lost_leases_total", [](const auto& s) { return s.domain.lost_leases; },
        "leases whose connection was lost"},
    row{"stale_settles_total", [](const auto& s) { return s.domain.stale_settles; },
        "answers for leases no longer held"},
    row{"dead_messages_total", [](const auto& s) { return s.domain.dead_messages; },
        "messages that died"},
    row{"redriven_messages_total", [](const auto& s) { return s.domain.redriven_messages; },
        "dead messages made ready again"},
    row{"expired_messages_total", [](const auto& s) { return s.domain.expired_messages; },
        "messages whose time to live was over, in each queue"},
    row{"sifted_messages_total", [](const auto& s) { return s.domain.sifted_messages; },
        "messages done at once, as they were not for a queue: its filter, or behind its end"},
    row{"dropped_messages_total", [](const auto& s) { return s.domain.dropped_messages; },
        "messages some queue was not done with, dropped to keep the bounds of topics"},
    row{"expired_queues_total", [](const auto& s) { return s.domain.expired_queues; },
        "temporary queues removed for want of a consumer"},
    row{"skipped_offsets_total", [](const auto& s) { return s.domain.skipped_offsets; },
        "offsets of os topics reserved and never stored: the broker stopped without goodbye"},
    row{"requests_total", [](const auto& s) { return s.domain.requests; },
        "requests of services that were taken"},
    row{"replied_requests_total", [](const auto& s) { return s.domain.replied_requests; },
        "requests that got their reply"},
    row{"failed_requests_total", [](const auto& s) { return s.domain.failed_requests; },
        "requests whose responder failed or left"},
    row{"expired_requests_total", [](const auto& s) { return s.domain.expired_requests; },
        "requests without a reply in time"},
    row{"refused_requests_total", [](const auto& s) { return s.domain.refused_requests; },
        "requests not taken: nobody was there, no room to wait, too large, no valid name"},
    row{"cached_bytes", [](const auto& s) { return s.domain.cached_bytes; },
        "recent messages kept in memory"},
    row{"commits_total", [](const auto& s) { return s.commits; }, "group commits"},
    row{"commit_bytes_total", [](const auto& s) { return s.commit_bytes; },
        "bytes of publishes in them"},
    row{"commit_microseconds_total", [](const auto& s) { return s.commit_us; },
        "time spent in commits"},
    row{"slow_commits_total", [](const auto& s) { return s.slow_commits; },
        "commits that took longer than 500 ms"},
    row{"engine_turns_total", [](const auto& s) { return s.turns; }, "turns of the engine"},
    row{"fetches_total", [](const auto& s) { return s.fetches; }, "reads of the store"},
    row{"fetches_refused_total", [](const auto& s) { return s.fetches_refused; },
        "reads put off because too many were waiting"},
    row{"reloads_total", [](const auto& s) { return s.reloads; },
        "times the state in memory was dropped and loaded again"},
    row{"held_outputs", [](const auto& s) { return s.held_outputs; },
        "answers that wait for their commit"},
    row{"disk_bytes", [](const auto& s) { return s.store.disk_bytes; },
        "size of the data directory"},
    row{"disk_free_bytes", [](const auto& s) { return s.store.room.free_bytes; },
        "free on its disk"},
    row{"disk_written_bytes_total", [](const auto& s) { return s.store.bytes_written; },
        "written by log, flush and compaction"},
    row{"wal_bytes", [](const auto& s) { return s.store.wal_bytes; }, "size of the live log"},
    row{"memtable_bytes", [](const auto& s) { return s.store.memtable_bytes; },
        "memory of what is not flushed yet"},
};

}  // namespace

codec::stats_report make_stats_report(const engine_statistics& engine,
                                      const session_counters& sessions,
                                      std::uint64_t connections_open,
                                      const base::process_usage& process) {
    codec::stats_report report;
    const auto add = [&](std::string name, std::uint64_t value, std::string help) {
        report.items.push_back({std::move(name), static_cast<double>(value), std::move(help)});
    };
    for (const auto& each : rows) {
        add(each.name, each.get(engine), each.help);
    }
    add("connections", connections_open, "open now");
    add("connections_accepted_total", sessions.accepted.get(), "accepted");
    add("accept_errors_total", sessions.accept_errors.get(), "failed attempts to accept one");
    add("bytes_in_total", sessions.bytes_in.get(), "received from clients");
    add("bytes_out_total", sessions.bytes_out.get(), "sent to clients");
    for (std::size_t i = 0; i < closed_reasons.size(); ++i) {
        add(fmt::format("closed_{}_total", closed_reasons[i].name), sessions.closed[i].get(),
            "connections closed for this reason");
    }
    add("process_cpu_microseconds_total", process.cpu_us,
        "processor time of the broker, in user mode and in the system");
    add("process_resident_bytes", process.resident_bytes,
        "memory of the broker that is resident; 0: the system does not say");
    return report;
}

}  // namespace brokerd::session
