// The table of fields.
#include "protocol/filter/fields.hpp"

#include <array>
#include <cstddef>

namespace brokerd::filters {
namespace {

constexpr std::array table{
    field_info{field_id::offset, "offset", value_kind::count},
    field_info{field_id::time, "time", value_kind::time},
    field_info{field_id::age, "age", value_kind::duration},
    field_info{field_id::size, "size", value_kind::bytes},
    field_info{field_id::key, "key", value_kind::text},
    field_info{field_id::header, "header", value_kind::text},
    field_info{field_id::attempts, "attempts", value_kind::count},
    field_info{field_id::state, "state", value_kind::state},
    field_info{field_id::reason, "reason", value_kind::text},
};

constexpr bool in_order() {
    for (std::size_t i = 0; i < table.size(); ++i) {
        if (table[i].id != static_cast<field_id>(i)) {
            return false;
        }
    }
    return true;
}
static_assert(in_order());

}  // namespace

std::span<const field_info> field_table() noexcept {
    return table;
}

const field_info& describe(field_id id) noexcept {
    return table[static_cast<std::size_t>(id)];
}

std::optional<field_id> find_field(std::string_view name) noexcept {
    for (const field_info& row : table) {
        if (row.name == name) {
            return row.id;
        }
    }
    return std::nullopt;
}

std::string to_string(field_set fields) {
    std::string text;
    for (const field_info& row : table) {
        if (fields.contains(row.id)) {
            text += text.empty() ? "" : ", ";
            text += row.name;
        }
    }
    return text;
}

}  // namespace brokerd::filters
