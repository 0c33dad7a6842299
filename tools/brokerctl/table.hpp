// Tables for people, made of the same JSON rows that -o json prints: a column reads its cell from
// the row, so that JSON carries every column of every table. Pure; no thread affinity.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace brokerd::ctl {

using json = nlohmann::ordered_json;  // members stay in the order the contract names them

enum class align { left, right };

// Meaning, not colour: what the terminal makes of it is decided in one place.
enum class tone { plain, strong, dim, good, warning, bad };

struct cell {
    std::string text;
    tone meaning = tone::plain;

    cell(std::string content, tone emphasis = tone::plain)
        : text(std::move(content)), meaning(emphasis) {}
};

struct column {
    std::string_view heading;
    align side = align::left;
    cell (*read)(const json& row) = nullptr;
    // Of what is rare: the column is there if this holds for some row. None: always.
    bool (*matters)(const json& row) = nullptr;
};

// `text` wrapped in the escape sequences of its meaning; unchanged without colours.
[[nodiscard]] std::string painted(std::string_view text, tone meaning, bool colours);

// Headings and rows, two spaces between columns, no spaces at the end of a line.
[[nodiscard]] std::string render_table(std::span<const column> all_columns,
                                       std::span<const json> rows, bool colours);

// `NAME  VALUE` lines with the values below one another.
struct detail {
    std::string_view name;
    cell value;
};
[[nodiscard]] std::string render_details(std::span<const detail> details, bool colours);

}  // namespace brokerd::ctl
