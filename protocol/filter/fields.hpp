// The fields of a message that a filter can look at, and sets of them. Pure; no thread affinity.
//
// To add one: here, its row in fields.cpp; the compiler then names every switch that must know it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace brokerd::filters {

enum class field_id : std::uint8_t {
    offset,
    time,  // when it was appended
    age,   // since then
    size,  // of the payload
    key,
    header,    // one of them, by its name
    attempts,  // that failed
    state,
    reason,  // of the last attempt that failed
};

// What a field is compared with.
enum class value_kind : std::uint8_t { count, bytes, time, duration, state, text };

struct field_info {
    field_id id;
    std::string_view name;
    value_kind kind;
};

// All rows, in the order of the ids.
[[nodiscard]] std::span<const field_info> field_table() noexcept;
[[nodiscard]] const field_info& describe(field_id id) noexcept;
// The field of that name, in lower case; nothing if there is none.
[[nodiscard]] std::optional<field_id> find_field(std::string_view name) noexcept;

class field_set {
public:
    constexpr field_set() = default;
    constexpr field_set(std::initializer_list<field_id> ids) {
        for (const field_id id : ids) {
            add(id);
        }
    }

    constexpr void add(field_id id) { bits_ |= bit(id); }
    [[nodiscard]] constexpr bool contains(field_id id) const { return (bits_ & bit(id)) != 0; }
    [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
    // The fields of both.
    [[nodiscard]] constexpr field_set operator&(field_set other) const {
        field_set both;
        both.bits_ = bits_ & other.bits_;
        return both;
    }

    constexpr bool operator==(const field_set&) const = default;

private:
    static constexpr std::uint32_t bit(field_id id) { return 1U << static_cast<unsigned>(id); }

    std::uint32_t bits_ = 0;
};

// Those that change while a message stays the same. A filter that decides for good, such as that of
// a queue, must not use them.
inline constexpr field_set changing_fields{field_id::age, field_id::attempts, field_id::state,
                                           field_id::reason};
// Those that have to do with a queue: a message of a topic alone has none of them.
inline constexpr field_set queue_fields{field_id::attempts, field_id::state, field_id::reason};

// `age, state`: the names in the order of the table.
[[nodiscard]] std::string to_string(field_set fields);

}  // namespace brokerd::filters
