// The canonical text of a filter.
#include "protocol/filter/syntax.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "protocol/filter/lexer.hpp"
#include "protocol/types/byte_size.hpp"
#include "protocol/types/duration.hpp"
#include "protocol/types/rfc3339.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/utf8.hpp"

namespace brokerd::filters {
namespace {

// What stands for the sequence at the front of a text in quotes.
std::string escaped(std::string_view sequence, bool valid, char quote, bool pattern) {
    const char c = sequence.front();
    switch (c) {
        case '\n': return "\\n";
        case '\r': return "\\r";
        case '\t': return "\\t";
        default: break;
    }
    if (!valid) {
        return fmt::format("\\x{:02x}", static_cast<std::uint8_t>(c));
    }
    const bool special = c == '\\' || c == quote || (pattern && c == '*');
    return special ? fmt::format("\\{}", c) : std::string(sequence);
}

void put_escaped(std::string& to, std::string_view text, char quote, bool pattern) {
    while (!text.empty()) {
        std::size_t length = utf8_sequence(text);
        const bool valid = length > 0 && !is_control(text, length);
        if (!valid) {
            length = 1;
        }
        to += escaped(text.substr(0, length), valid, quote, pattern);
        text.remove_prefix(length);
    }
}

// The texts of a pattern with stars between them; any other text is one.
std::string quoted(const std::vector<literal>& parts, bool pattern) {
    std::ptrdiff_t single = 0;
    std::ptrdiff_t twofold = 0;
    for (const literal& part : parts) {
        single += std::ranges::count(part.text, '\'');
        twofold += std::ranges::count(part.text, '"');
    }
    const char quote = single > twofold ? '"' : '\'';
    std::string text(1, quote);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        text += i > 0 ? "*" : "";
        put_escaped(text, parts[i].text, quote, pattern);
    }
    return text + quote;
}

std::string literal_text(const literal& value, value_kind kind) {
    if (value.kind == literal_kind::decimal) {
        return value.text;
    }
    switch (kind) {
        case value_kind::count: return fmt::format("{}", value.number);
        case value_kind::bytes: return format_bytes(value.number);
        case value_kind::time:
            return fmt::format("'{}'", format_rfc3339(wall_from_us(from_ordered(value.number))));
        case value_kind::duration:
            return format_duration(duration_us{static_cast<std::int64_t>(value.number)});
        case value_kind::state:
            return std::string(to_string(static_cast<message_state>(value.number)));
        case value_kind::text: break;
    }
    return quoted({value}, false);
}

std::string field_text(const term& of) {
    const std::string name{describe(of.field).name};
    if (of.field != field_id::header) {
        return name;
    }
    const bool bare = !of.header.empty() && std::ranges::all_of(of.header, is_header_char);
    return name + "." + (bare ? of.header : quoted({{literal_kind::text, 0, of.header}}, false));
}

std::string term_text(const term& of) {
    const value_kind kind = describe(of.field).kind;
    const std::string field = field_text(of);
    switch (of.op) {
        case operation::has: return fmt::format("has {}", field);
        case operation::like:
        case operation::not_like:
            return fmt::format("{} {} {}", field, to_string(of.op), quoted(of.literals, true));
        case operation::in:
        case operation::not_in: {
            std::string list;
            for (const literal& each : of.literals) {
                list += list.empty() ? "" : ", ";
                list += literal_text(each, kind);
            }
            return fmt::format("{} {} ({})", field, to_string(of.op), list);
        }
        case operation::equal:
        case operation::unequal:
        case operation::less:
        case operation::less_equal:
        case operation::greater:
        case operation::greater_equal: break;
    }
    return fmt::format("{} {} {}", field, to_string(of.op), literal_text(of.literals[0], kind));
}

std::string node_text(const syntax_tree& tree, const node& at) {
    if (at.kind == node_kind::term) {
        return term_text(tree.terms[at.first_term]);
    }
    std::string text = at.kind == node_kind::negation ? "not " : "";
    for (const node& child : at.children) {
        if (&child != &at.children.front()) {
            text += at.kind == node_kind::all_of ? " and " : " or ";
        }
        // A child of the same kind was merged, so only these two bind less than what they are in.
        const bool looser = child.kind == node_kind::any_of ||
                            (child.kind == node_kind::all_of && at.kind == node_kind::negation);
        text += looser ? "(" + node_text(tree, child) + ")" : node_text(tree, child);
    }
    return text;
}

}  // namespace

std::string_view to_string(operation op) noexcept {
    switch (op) {
        case operation::equal: return "=";
        case operation::unequal: return "!=";
        case operation::less: return "<";
        case operation::less_equal: return "<=";
        case operation::greater: return ">";
        case operation::greater_equal: return ">=";
        case operation::in: return "in";
        case operation::not_in: return "not in";
        case operation::like: return "like";
        case operation::not_like: return "not like";
        case operation::has: return "has";
    }
    return "unknown";
}

std::string to_string(const syntax_tree& tree) {
    return node_text(tree, tree.root);
}

}  // namespace brokerd::filters
