// The rows of the option table and what can be done with any of them.
#include "broker/config/option_table.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include <fmt/format.h>

#include "broker/config/listen_address.hpp"
#include "protocol/types/byte_size.hpp"
#include "protocol/types/duration.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::config {
namespace {

using std::chrono::duration_cast;
using namespace std::chrono_literals;

constexpr std::uint64_t us(duration_us d) {
    return static_cast<std::uint64_t>(d.count());
}

constexpr option_row text(std::string_view name, std::string options::* member,
                          std::string_view choices, std::string_view help) {
    return {
        .name = name, .member = member, .kind = value_kind::text, .choices = choices, .help = help};
}
constexpr option_row flag(std::string_view name, bool options::* member, std::string_view help) {
    return {.name = name, .member = member, .kind = value_kind::flag, .choices = {}, .help = help};
}
constexpr option_row count(std::string_view name, std::uint64_t options::* member,
                           std::uint64_t min, std::uint64_t max, std::string_view help) {
    return {.name = name,
            .member = member,
            .kind = value_kind::count,
            .min = min,
            .max = max,
            .choices = {},
            .help = help};
}
constexpr option_row bytes(std::string_view name, std::uint64_t options::* member,
                           std::uint64_t min, std::uint64_t max, std::string_view help) {
    return {.name = name,
            .member = member,
            .kind = value_kind::bytes,
            .min = min,
            .max = max,
            .choices = {},
            .help = help};
}
constexpr option_row duration(std::string_view name, duration_us options::* member, duration_us min,
                              duration_us max, std::string_view help) {
    return {.name = name,
            .member = member,
            .kind = value_kind::duration,
            .min = us(min),
            .max = us(max),
            .choices = {},
            .help = help};
}

using namespace limits;

constexpr std::array table{
    text("data-dir", &options::data_dir, "", "directory that holds all data; created when missing"),
    text("listen", &options::listen, "", "address and port to serve; port 0 takes a free one"),
    flag("ephemeral", &options::ephemeral,
         "keep the data in a temporary directory that goes away on exit"),
    flag("insecure", &options::insecure,
         "serve other machines too, although there is no authentication"),
    text("log-level", &options::log_level, "debug|info|warning|error",
         "least important entry logged"),
    text("log-format", &options::log_format, "text|json", "form of the log on standard error"),
    count("io-threads", &options::io_threads, 0, 64,
          "threads that serve connections; 0 = one for each four cores"),
    text("engine-thread", &options::engine_thread, "auto|own|shared",
         "thread that decides: its own, or that of the first I/O thread; auto = shared with fewer "
         "than four cores"),
    bytes("cache-bytes", &options::cache_bytes, 1 * mib, 64 * 1024 * mib,
          "memory for recent messages, all topics together"),
    bytes("disk-reserve", &options::disk_reserve_bytes, 0, 1024 * 1024 * mib,
          "free disk space below which publishes are refused; 0 = the smaller of 5 % and 1 GiB"),
    duration("os-sync-interval", &options::os_sync_interval, 1ms, os_sync_max,
             "time within which publishes to topics of durability os are synced"),
    count("max-connections", &options::connections, 1, 1'000'000, "most connections"),
    count("max-connections-per-ip", &options::connections_per_ip, 1, 1'000'000,
          "most connections from one address"),
    count("max-handshakes", &options::unauthenticated, 1, 100'000,
          "most connections that have not completed their handshake"),
    count("max-handshakes-per-ip", &options::unauthenticated_per_ip, 1, 100'000,
          "most of them from one address"),
    bytes("max-message-bytes", &options::message_bytes, 1 * kib, message_bytes_max,
          "largest message accepted for any topic"),
    bytes("max-frame-bytes", &options::frame_bytes, 64 * kib, frame_bytes_max,
          "largest frame accepted"),
    count("max-batch-records", &options::batch_records, 1, batch_records_max,
          "most messages in one publish"),
    count("publish-credit-messages", &options::credit_messages, 1, publish_credit_messages_max,
          "messages a connection may have published without an answer"),
    bytes("publish-credit-bytes", &options::credit_bytes, 64 * kib, publish_credit_bytes_max,
          "bytes a connection may have published without an answer"),
    duration("heartbeat", &options::heartbeat, 100ms, heartbeat_max,
             "silence on a connection after which it is asked for a sign of life"),
    duration("dead-after", &options::dead_after, 200ms, 2 * heartbeat_max,
             "silence on a connection after which it is closed; at least twice the heartbeat"),
    duration("handshake", &options::handshake, 100ms, handshake_max,
             "time a new connection has for its handshake"),
    duration("drain", &options::drain, 0s, drain_max,
             "time connections have at shut-down to settle what they hold"),
};

failure bad_value(const option_row& row, const setting& given, std::string_view why) {
    return {error_code::invalid_setting,
            fmt::format("{} (from {}): {} \"{}\"; allowed: {}", row.name, given.source, why,
                        printable(given.value), allowed_text(row))};
}

std::optional<std::uint64_t> parse_number(const option_row& row, std::string_view value) {
    switch (row.kind) {
        case value_kind::count: return parse_count(value);
        case value_kind::bytes: return parse_bytes(value);
        case value_kind::duration: {
            const auto parsed = parse_duration(value);
            return parsed ? std::optional{us(*parsed)} : std::nullopt;
        }
        case value_kind::text:
        case value_kind::flag: break;
    }
    return std::nullopt;
}

// The system would read a text with a byte 0 only up to there.
bool is_text(std::string_view value) {
    return !value.empty() && value.size() <= text_bytes_max && value.find('\0') == value.npos;
}

bool is_choice(std::string_view choices, std::string_view value) {
    while (!choices.empty()) {
        const auto bar = choices.find('|');
        if (choices.substr(0, bar) == value) {
            return true;
        }
        choices = bar == std::string_view::npos ? std::string_view{} : choices.substr(bar + 1);
    }
    return false;
}

outcome<void> set_number(options& to, const option_row& row, const setting& given) {
    const auto value = parse_number(row, given.value);
    if (!value) {
        return std::unexpected(bad_value(row, given, "cannot be"));
    }
    if (*value < row.min || *value > row.max) {
        return std::unexpected(bad_value(row, given, "out of bounds:"));
    }
    if (const auto* number = std::get_if<std::uint64_t options::*>(&row.member)) {
        to.** number = *value;
    } else {
        to.*std::get<duration_us options::*>(row.member) =
            duration_us{static_cast<std::int64_t>(*value)};
    }
    return {};
}

outcome<void> set(options& to, const option_row& row, const setting& given) {
    switch (row.kind) {
        case value_kind::text:
            if (!is_text(given.value) ||
                (!row.choices.empty() && !is_choice(row.choices, given.value))) {
                return std::unexpected(bad_value(row, given, "cannot be"));
            }
            to.*std::get<std::string options::*>(row.member) = given.value;
            return {};
        case value_kind::flag:
            if (given.value != "true" && given.value != "false") {
                return std::unexpected(bad_value(row, given, "cannot be"));
            }
            to.*std::get<bool options::*>(row.member) = given.value == "true";
            return {};
        case value_kind::count:
        case value_kind::bytes:
        case value_kind::duration: break;
    }
    return set_number(to, row, given);
}

// How options fit together.
outcome<void> check_together(const options& o) {
    // A frame holds one batch: room for its headers and the topic's name besides the message.
    const std::uint64_t frame_needed = o.message_bytes + 4 * kib;
    if (frame_needed > o.frame_bytes) {
        return refuse(error_code::invalid_setting,
                      fmt::format("max-message-bytes {} does not fit into max-frame-bytes {}: a "
                                  "frame needs 4KiB more than its message; raise max-frame-bytes",
                                  format_bytes(o.message_bytes), format_bytes(o.frame_bytes)));
    }
    if (o.dead_after < 2 * o.heartbeat) {
        return refuse(error_code::invalid_setting,
                      fmt::format("dead-after {} is less than twice the heartbeat {}",
                                  format_duration(o.dead_after), format_duration(o.heartbeat)));
    }
    const auto address = parse_listen_address(o.listen);
    if (!address) {
        return std::unexpected(address.error());
    }
    if (!address->loopback && !o.insecure) {
        return refuse(error_code::invalid_setting,
                      fmt::format("listen \"{}\" is open to other machines, and there is no "
                                  "authentication: listen on 127.0.0.1, or say --insecure if this "
                                  "is meant",
                                  printable(o.listen)));
    }
    return {};
}

}  // namespace

std::span<const option_row> option_table() {
    return table;
}

const option_row* find_option(std::string_view name) {
    const auto* at = std::ranges::find(table, name, &option_row::name);
    return at == table.end() ? nullptr : at;
}

std::string environment_name(const option_row& row) {
    std::string name = "BROKERD_";
    for (const char c : row.name) {
        name += c == '-' ? '_' : static_cast<char>(c - 'a' + 'A');
    }
    return name;
}

std::string value_text(const options& of, const option_row& row) {
    switch (row.kind) {
        case value_kind::text: return of.*std::get<std::string options::*>(row.member);
        case value_kind::flag: return of.*std::get<bool options::*>(row.member) ? "true" : "false";
        case value_kind::count:
            return fmt::format("{}", of.*std::get<std::uint64_t options::*>(row.member));
        case value_kind::bytes:
            return format_bytes(of.*std::get<std::uint64_t options::*>(row.member));
        case value_kind::duration:
            return format_duration(of.*std::get<duration_us options::*>(row.member));
    }
    return {};
}

std::string allowed_text(const option_row& row) {
    const auto as_duration = [](std::uint64_t value) {
        return format_duration(duration_us{static_cast<std::int64_t>(value)});
    };
    switch (row.kind) {
        case value_kind::text: {
            std::string choices{row.choices};
            std::ranges::replace(choices, '|', ' ');
            return choices.empty()
                       ? fmt::format("text of 1 to {} bytes, none of them 0", text_bytes_max)
                       : choices;
        }
        case value_kind::flag: return "true or false";
        case value_kind::count: return fmt::format("{} to {}", row.min, row.max);
        case value_kind::bytes:
            return fmt::format("{} to {}", format_bytes(row.min), format_bytes(row.max));
        case value_kind::duration:
            return fmt::format("{} to {}", as_duration(row.min), as_duration(row.max));
    }
    return {};
}

outcome<configuration> configure(std::span<const setting> settings) {
    configuration result;
    result.sources.assign(table.size(), "default");
    for (const setting& given : settings) {
        const auto* row = find_option(given.name);
        if (row == nullptr) {
            return refuse(error_code::invalid_setting,
                          fmt::format("unknown option \"{}\" (from {}); brokerd --help lists them",
                                      printable(given.name), given.source));
        }
        if (auto done = set(result.values, *row, given); !done) {
            return std::unexpected(done.error());
        }
        result.sources[static_cast<std::size_t>(row - table.data())] = given.source;
    }
    if (auto fits = check_together(result.values); !fits) {
        return std::unexpected(fits.error());
    }
    return result;
}

}  // namespace brokerd::config
