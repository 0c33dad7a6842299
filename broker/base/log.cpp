// Logs on top of spdlog: a formatter of our own keeps each entry on one line in both formats.
#include "broker/base/log.hpp"

#include <array>
#include <chrono>
#include <iterator>

#include <fmt/chrono.h>
#include <spdlog/formatter.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace brokerd::base {
namespace {

constexpr std::array<std::string_view, 4> level_names{"debug", "info", "warning", "error"};

spdlog::level::level_enum to_spdlog(log_level level) {
    switch (level) {
        case log_level::debug: return spdlog::level::debug;
        case log_level::info: return spdlog::level::info;
        case log_level::warning: return spdlog::level::warn;
        case log_level::error: return spdlog::level::err;
    }
    return spdlog::level::info;
}

std::string_view name_of(spdlog::level::level_enum level) {
    switch (level) {
        case spdlog::level::trace:
        case spdlog::level::debug: return "debug";
        case spdlog::level::warn: return "warning";
        case spdlog::level::err:
        case spdlog::level::critical: return "error";
        default: return "info";
    }
}

class line_formatter final : public spdlog::formatter {
public:
    explicit line_formatter(log_format format) : format_(format) {}

    void format(const spdlog::details::log_msg& entry, spdlog::memory_buf_t& to) override {
        const auto module = std::string_view{entry.logger_name.data(), entry.logger_name.size()};
        const auto text = std::string_view{entry.payload.data(), entry.payload.size()};
        const auto out = std::back_inserter(to);
        if (format_ == log_format::json) {
            append(to, R"({"time":")");
            append_time(to, entry.time);
            fmt::format_to(out, R"(","level":"{}","module":"{}","text":")", name_of(entry.level),
                           module);
            append_escaped(to, text);
            append(to, "\"}\n");
        } else {
            append_time(to, entry.time);
            fmt::format_to(out, " {:<7} {:<8} ", name_of(entry.level), module);
            append_escaped(to, text);
            append(to, "\n");
        }
    }

    [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
        return std::make_unique<line_formatter>(format_);
    }

private:
    static void append(spdlog::memory_buf_t& to, std::string_view text) {
        to.append(text.data(), text.data() + text.size());
    }

    static void append_time(spdlog::memory_buf_t& to, std::chrono::system_clock::time_point at) {
        const auto us = std::chrono::time_point_cast<std::chrono::microseconds>(at);
        const auto seconds = std::chrono::floor<std::chrono::seconds>(us);
        fmt::format_to(std::back_inserter(to), "{:%Y-%m-%dT%H:%M:%S}.{:06}Z",
                       fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                       (us - seconds).count());
    }

    void append_escaped(spdlog::memory_buf_t& to, std::string_view text) const {
        for (const char c : text) {
            const auto byte = static_cast<unsigned char>(c);
            if (byte < 0x20 || byte == 0x7f) {
                const bool json = format_ == log_format::json;
                fmt::format_to(std::back_inserter(to),
                               fmt::runtime(json ? "\\u{:04x}" : "\\x{:02x}"), byte);
            } else if (format_ == log_format::json && (c == '"' || c == '\\')) {
                to.push_back('\\');
                to.push_back(c);
            } else {
                to.push_back(c);
            }
        }
    }

    log_format format_;
};

class stream_sink final : public spdlog::sinks::stdout_sink_base<spdlog::details::console_mutex> {
public:
    using stdout_sink_base::stdout_sink_base;
};

}  // namespace

std::string_view to_string(log_level level) {
    return level_names[static_cast<std::size_t>(level)];
}

std::optional<log_level> parse_log_level(std::string_view name) {
    for (std::size_t i = 0; i < level_names.size(); ++i) {
        if (level_names[i] == name) {
            return static_cast<log_level>(i);
        }
    }
    return std::nullopt;
}

bool logger::enabled(log_level level) const {
    return to_ && to_->should_log(to_spdlog(level));
}

void logger::write(log_level level, std::string_view text) const {
    to_->log(to_spdlog(level), spdlog::string_view_t{text.data(), text.size()});
}

logs::logs(const log_settings& settings)
    : level_(settings.level), sink_(std::make_shared<stream_sink>(settings.stream)) {
    sink_->set_formatter(std::make_unique<line_formatter>(settings.format));
}

logger logs::module(std::string_view name) const {
    auto to = std::make_shared<spdlog::logger>(std::string{name}, sink_);
    to->set_level(to_spdlog(level_));
    return logger{std::move(to)};
}

void logs::flush() const {
    sink_->flush();
}

}  // namespace brokerd::base
