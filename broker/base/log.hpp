// Logs: one line per entry on one stream, as text or JSON, through a logger per module.
//
//   base::logs logs({.level = log_level::info, .format = log_format::json});
//   base::logger log = logs.module("engine");
//   log.warning("commit {} took {} ms", number, ms);
//
// An entry never spans lines: control characters in its text are escaped. Text that strangers chose
// still goes through printable(), which also bounds its length. Never logged: payloads, secrets.
// Any thread.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace spdlog {
class logger;
namespace sinks {
class sink;
}
}  // namespace spdlog

namespace brokerd::base {

enum class log_level : unsigned char { debug, info, warning, error };
enum class log_format : unsigned char { text, json };

[[nodiscard]] std::string_view to_string(log_level level);
[[nodiscard]] std::optional<log_level> parse_log_level(std::string_view name);

// Writes for one module. Cheap to copy; a default-constructed one writes nothing.
class logger {
public:
    logger() = default;
    explicit logger(std::shared_ptr<spdlog::logger> to) : to_(std::move(to)) {}

    template <typename... Args>
    void debug(fmt::format_string<Args...> format, Args&&... args) const {
        log(log_level::debug, format, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void info(fmt::format_string<Args...> format, Args&&... args) const {
        log(log_level::info, format, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void warning(fmt::format_string<Args...> format, Args&&... args) const {
        log(log_level::warning, format, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void error(fmt::format_string<Args...> format, Args&&... args) const {
        log(log_level::error, format, std::forward<Args>(args)...);
    }

private:
    template <typename... Args>
    void log(log_level level, fmt::format_string<Args...> format, Args&&... args) const {
        if (enabled(level)) {
            write(level, fmt::format(format, std::forward<Args>(args)...));
        }
    }
    [[nodiscard]] bool enabled(log_level level) const;
    void write(log_level level, std::string_view text) const;

    std::shared_ptr<spdlog::logger> to_;
};

struct log_settings {
    log_level level = log_level::info;
    log_format format = log_format::text;
    std::FILE* stream = stderr;  // stays open as long as the logs
};

// Where all loggers write to; the root of the program owns it.
class logs {
public:
    explicit logs(const log_settings& settings);

    [[nodiscard]] logger module(std::string_view name) const;
    void flush() const;

private:
    log_level level_;
    std::shared_ptr<spdlog::sinks::sink> sink_;
};

}  // namespace brokerd::base
