// Layout and colours of tables.
#include "tools/brokerctl/table.hpp"

#include <algorithm>
#include <iterator>
#include <vector>

#include <fmt/format.h>

#include "tools/brokerctl/text.hpp"

namespace brokerd::ctl {
namespace {

constexpr std::string_view gap = "  ";

std::string_view escape_of(tone meaning) {
    switch (meaning) {
        case tone::plain: return "";
        case tone::strong: return "\x1b[1m";
        case tone::dim: return "\x1b[2m";
        case tone::good: return "\x1b[32m";
        case tone::warning: return "\x1b[33m";
        case tone::bad: return "\x1b[31m";
    }
    return "";
}

std::vector<column> columns_that_matter(std::span<const column> columns,
                                        std::span<const json> rows) {
    std::vector<column> chosen;
    std::ranges::copy_if(columns, std::back_inserter(chosen), [&](const column& each) {
        return each.matters == nullptr || std::ranges::any_of(rows, each.matters);
    });
    return chosen;
}

void append_line(std::string& out, std::span<const column> columns, std::span<const cell> cells,
                 std::span<const std::size_t> widths, bool colours) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
        const std::string padding(widths[i] - display_width(cells[i].text), ' ');
        const bool last = i + 1 == columns.size();
        if (columns[i].side == align::right) {
            out += padding;
        }
        out += painted(cells[i].text, cells[i].meaning, colours);
        if (columns[i].side == align::left && !last) {
            out += padding;
        }
        if (!last) {
            out += gap;
        }
    }
    out.erase(out.find_last_not_of(' ') + 1);  // the last cells may be empty
    out += '\n';
}

}  // namespace

std::string painted(std::string_view text, tone meaning, bool colours) {
    const auto escape = escape_of(meaning);
    if (!colours || escape.empty() || text.empty()) {
        return std::string(text);
    }
    return fmt::format("{}{}\x1b[0m", escape, text);
}

std::string render_table(std::span<const column> all_columns, std::span<const json> rows,
                         bool colours) {
    const std::vector<column> columns = columns_that_matter(all_columns, rows);
    std::vector<std::vector<cell>> lines;
    lines.reserve(rows.size() + 1);
    auto& headings = lines.emplace_back();
    for (const column& each : columns) {
        headings.emplace_back(std::string(each.heading), tone::strong);
    }
    for (const json& row : rows) {
        auto& cells = lines.emplace_back();
        for (const column& each : columns) {
            cells.push_back(each.read(row));
        }
    }

    std::vector<std::size_t> widths(columns.size());
    for (const auto& cells : lines) {
        for (std::size_t i = 0; i < cells.size(); ++i) {
            widths[i] = std::max(widths[i], display_width(cells[i].text));
        }
    }

    std::string out;
    for (const auto& cells : lines) {
        append_line(out, columns, cells, widths, colours);
    }
    return out;
}

std::string render_details(std::span<const detail> details, bool colours) {
    std::size_t width = 0;
    for (const detail& each : details) {
        width = std::max(width, display_width(each.name));
    }
    std::string out;
    for (const detail& each : details) {
        out += painted(each.name, tone::strong, colours);
        if (!each.value.text.empty()) {
            out += std::string(width - display_width(each.name), ' ');
            out += gap;
            out += painted(each.value.text, each.value.meaning, colours);
        }
        out += '\n';
    }
    return out;
}

}  // namespace brokerd::ctl
