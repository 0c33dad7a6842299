// Writes BROKERD and parses it strictly, line by line.
#include "broker/storage/format_text.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

#include <fmt/format.h>

namespace brokerd::storage {

namespace {

constexpr std::size_t id_digits = 32;
constexpr std::string_view title = "brokerd data directory";

// The first line, which is taken off.
std::string_view take_line(std::string_view& text) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

bool is_id(std::string_view text) {
    return text.size() == id_digits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

}  // namespace

std::string format_text(const format_facts& facts) {
    return fmt::format("{}\ndatabase {}\nformat {}\n", title, facts.database_id, facts.format);
}

open_outcome<format_facts> parse_format_text(std::string_view text,
                                             const std::filesystem::path& path) {
    const auto damaged = [&](std::string_view what) {
        return open_failed(open_failure::refused,
                           fmt::format("{} is damaged: {}. Nothing was changed; restore the file "
                                       "from a copy",
                                       path.string(), what));
    };
    if (take_line(text) != title) {
        return damaged(fmt::format("it does not begin with '{}'", title));
    }
    format_facts result;
    const auto database = take_line(text);
    if (!database.starts_with("database ") || !is_id(database.substr(9))) {
        return damaged("its second line names no database");
    }
    result.database_id = database.substr(9);
    const auto format = take_line(text);
    const auto number = format.substr(std::min<std::size_t>(7, format.size()));
    const auto parsed =
        std::from_chars(number.data(), number.data() + number.size(), result.format);
    if (!format.starts_with("format ") || parsed.ec != std::errc{} ||
        parsed.ptr != number.data() + number.size() || result.format == 0) {
        return damaged("its third line names no format");
    }
    if (result.format > format_major) {
        return open_failed(open_failure::refused,
                           fmt::format("{} has format {}, this brokerd knows formats up to {}. "
                                       "Nothing was changed; use the version that wrote it",
                                       path.parent_path().string(), result.format, format_major));
    }
    if (!text.empty()) {
        return damaged("it has more than three lines");
    }
    return result;
}

}  // namespace brokerd::storage
