// How each type of a described struct lies in bytes: its least size, its size, its encoder and its
// decoder, one specialisation per type. Messages are encoded through encode.hpp; other described
// structs (see field.hpp) with append_struct and read_struct below. Header only; pure.
//
//   integers, strong ids, enums   little-endian; an enum value must be known
//   bool                          one byte, 0 or 1
//   times, durations              i64 microseconds
//   double                        IEEE 754, 8 bytes
//   std::string                   u16 length, bytes (a longer text is cut: no limit lets it pass)
//   bytes_field                   u32 length, bytes
//   rest_bytes                    all bytes up to the end
//   lease_id, lease_run           12 and 24 bytes
//   struct                        u16 length, fields
//   list                          u32 count, items; an item that is a struct has a u32 length
//
// A reader skips what a newer writer put behind the known fields of a struct or item. A struct or
// message that grew says how many fields its first version had (fields_min); an older writer's ends
// before the later ones, which then keep their defaults.
#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "protocol/codec/messages.hpp"
#include "protocol/codec/wire_reader.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::codec {

template <typename T>
concept described = requires { T::fields(); };

// Which enum values may come from the other side.
constexpr bool is_known(position_kind kind) {
    switch (kind) {
        case position_kind::earliest:
        case position_kind::latest:
        case position_kind::offset:
        case position_kind::time: return true;
    }
    return false;
}
// A newer peer may refuse with a code we do not know; describe() reads it as internal.
constexpr bool is_known(error_code) {
    return true;
}

template <typename Enum>
    requires std::is_enum_v<Enum> && requires(Enum value) { brokerd::to_string(value); }
constexpr bool is_known(Enum value) {
    return brokerd::to_string(value) != "unknown";
}

template <typename T>
struct wire;  // bytes_min, size(value), put(to, value) -> end, get(reader, value)

template <typename T>
    requires std::integral<T> && (!std::same_as<T, bool>)
struct wire<T> {
    static constexpr std::size_t bytes_min = sizeof(T);
    static std::size_t size(T) { return sizeof(T); }
    static std::byte* put(std::byte* to, T value) {
        store_le(to, value);
        return to + sizeof(T);
    }
    static bool get(wire_reader& reader, T& value) { return reader.number(value); }
};

template <>
struct wire<bool> {
    static constexpr std::size_t bytes_min = 1;
    static std::size_t size(bool) { return 1; }
    static std::byte* put(std::byte* to, bool value) {
        return wire<std::uint8_t>::put(to, value ? 1 : 0);
    }
    static bool get(wire_reader& reader, bool& value) {
        std::uint8_t byte = 0;
        if (!reader.number(byte)) {
            return false;
        }
        if (byte > 1) {
            return reader.fail("a bool is 0 or 1");
        }
        value = byte == 1;
        return true;
    }
};

template <typename T>
    requires std::is_enum_v<T>
struct wire<T> {
    using rep = std::underlying_type_t<T>;
    static constexpr std::size_t bytes_min = sizeof(rep);
    static std::size_t size(T) { return sizeof(rep); }
    static std::byte* put(std::byte* to, T value) {
        return wire<rep>::put(to, static_cast<rep>(value));
    }
    static bool get(wire_reader& reader, T& value) {
        rep number = 0;
        if (!reader.number(number)) {
            return false;
        }
        value = static_cast<T>(number);
        return is_known(value) || reader.fail("its value is not known");
    }
};

template <typename Tag, typename Rep>
struct wire<strong_id<Tag, Rep>> {
    static constexpr std::size_t bytes_min = sizeof(Rep);
    static std::size_t size(strong_id<Tag, Rep>) { return sizeof(Rep); }
    static std::byte* put(std::byte* to, strong_id<Tag, Rep> id) {
        return wire<Rep>::put(to, id.value());
    }
    static bool get(wire_reader& reader, strong_id<Tag, Rep>& id) {
        Rep number = 0;
        if (!reader.number(number)) {
            return false;
        }
        id = strong_id<Tag, Rep>(number);
        return true;
    }
};

template <>
struct wire<duration_us> {
    static constexpr std::size_t bytes_min = sizeof(std::int64_t);
    static std::size_t size(duration_us) { return bytes_min; }
    static std::byte* put(std::byte* to, duration_us value) {
        return wire<std::int64_t>::put(to, value.count());
    }
    static bool get(wire_reader& reader, duration_us& value) {
        std::int64_t us = 0;
        const bool whole = reader.number(us);
        value = duration_us(us);
        return whole;
    }
};

template <>
struct wire<wall_time> {
    static constexpr std::size_t bytes_min = sizeof(std::int64_t);
    static std::size_t size(wall_time) { return bytes_min; }
    static std::byte* put(std::byte* to, wall_time value) {
        return wire<std::int64_t>::put(to, to_us(value));
    }
    static bool get(wire_reader& reader, wall_time& value) {
        std::int64_t us = 0;
        const bool whole = reader.number(us);
        value = wall_from_us(us);
        return whole;
    }
};

template <>
struct wire<double> {
    static constexpr std::size_t bytes_min = sizeof(double);
    static std::size_t size(double) { return bytes_min; }
    static std::byte* put(std::byte* to, double value) {
        return wire<std::uint64_t>::put(to, std::bit_cast<std::uint64_t>(value));
    }
    static bool get(wire_reader& reader, double& value) {
        std::uint64_t bits = 0;
        const bool whole = reader.number(bits);
        value = std::bit_cast<double>(bits);
        return whole;
    }
};

namespace detail {

inline std::byte* put_raw(std::byte* to, const void* from, std::size_t count) {
    if (count > 0) {
        std::memcpy(to, from, count);
    }
    return to + count;
}

}  // namespace detail

template <>
struct wire<std::string> {
    static constexpr std::size_t bytes_min = sizeof(std::uint16_t);
    static constexpr std::size_t text_bytes_max = std::numeric_limits<std::uint16_t>::max();
    static std::size_t length(const std::string& text) {
        return std::min(text.size(), text_bytes_max);
    }
    static std::size_t size(const std::string& text) { return bytes_min + length(text); }
    static std::byte* put(std::byte* to, const std::string& text) {
        to = wire<std::uint16_t>::put(to, static_cast<std::uint16_t>(length(text)));
        return detail::put_raw(to, text.data(), length(text));
    }
    static bool get(wire_reader& reader, std::string& text) {
        std::uint16_t count = 0;
        byte_view bytes;
        if (!reader.number(count) || !reader.bytes(count, bytes)) {
            return false;
        }
        text = as_text(bytes);
        return true;
    }
};

template <>
struct wire<bytes_field> {
    static constexpr std::size_t bytes_min = sizeof(std::uint32_t);
    static std::size_t size(const bytes_field& bytes) { return bytes_min + bytes.view.size(); }
    static std::byte* put(std::byte* to, const bytes_field& bytes) {
        to = wire<std::uint32_t>::put(to, static_cast<std::uint32_t>(bytes.view.size()));
        return detail::put_raw(to, bytes.view.data(), bytes.view.size());
    }
    static bool get(wire_reader& reader, bytes_field& bytes) {
        std::uint32_t count = 0;
        return reader.number(count) && reader.bytes(count, bytes.view);
    }
};

template <>
struct wire<rest_bytes> {
    static constexpr std::size_t bytes_min = 0;
    static std::size_t size(const rest_bytes& bytes) { return bytes.view.size(); }
    static std::byte* put(std::byte* to, const rest_bytes& bytes) {
        return detail::put_raw(to, bytes.view.data(), bytes.view.size());
    }
    static bool get(wire_reader& reader, rest_bytes& bytes) {
        bytes.view = reader.rest();
        return true;
    }
};

template <>
struct wire<lease_id> {
    static constexpr std::size_t bytes_min = 12;
    static std::size_t size(const lease_id&) { return bytes_min; }
    static std::byte* put(std::byte* to, const lease_id& lease) {
        to = wire<broker_epoch>::put(to, lease.epoch);
        return wire<std::uint64_t>::put(to, lease.counter);
    }
    static bool get(wire_reader& reader, lease_id& lease) {
        return wire<broker_epoch>::get(reader, lease.epoch) && reader.number(lease.counter);
    }
};

template <>
struct wire<lease_run> {
    static constexpr std::size_t bytes_min = 24;
    static std::size_t size(const lease_run&) { return bytes_min; }
    static std::byte* put(std::byte* to, const lease_run& run) {
        to = wire<offset_t>::put(to, run.first_offset);
        to = wire<std::uint32_t>::put(to, run.count);
        to = wire<broker_epoch>::put(to, run.epoch);
        return wire<std::uint64_t>::put(to, run.first_lease);
    }
    static bool get(wire_reader& reader, lease_run& run) {
        if (!reader.number(run.first_offset) || !reader.number(run.count) ||
            !wire<broker_epoch>::get(reader, run.epoch) || !reader.number(run.first_lease)) {
            return false;
        }
        if (run.count == 0) {
            return reader.fail("a run of leases has count 0");
        }
        if (run.first_offset + run.count < run.first_offset ||
            run.first_lease + run.count < run.first_lease) {
            return reader.fail("a run of leases goes beyond the largest number");
        }
        return true;
    }
};

// The fields of a described struct, one behind the other without a length.
template <described T>
struct wire_fields {
    static constexpr std::size_t bytes_min = [] {
        std::size_t index = 0;
        std::size_t fields_min = std::numeric_limits<std::size_t>::max();
        if constexpr (requires { T::fields_min; }) {
            fields_min = T::fields_min;
        }
        const auto least = [&](std::size_t bytes) { return index++ < fields_min ? bytes : 0; };
        return std::apply(
            [&](const auto&... each) {
                return (std::size_t{0} + ... +
                        least(wire<std::remove_cvref_t<decltype(std::declval<T>().*each.member)>>::
                                  bytes_min));
            },
            T::fields());
    }();

    static std::size_t size(const T& value) {
        return std::apply(
            [&](const auto&... each) {
                return (std::size_t{0} + ... + size_of(value.*each.member));
            },
            T::fields());
    }
    static std::byte* put(std::byte* to, const T& value) {
        std::apply([&](const auto&... each) { ((to = put_one(to, value.*each.member)), ...); },
                   T::fields());
        return to;
    }
    static bool get(wire_reader& reader, T& value) {
        return std::apply(
            [&](const auto&... each) {
                return (... && get_one(reader, each.name, value.*each.member));
            },
            T::fields());
    }
    // As get, from a reader that holds this struct alone: it may end where an older version did.
    static bool get_whole(wire_reader& part, T& value) {
        if constexpr (requires { T::fields_min; }) {
            std::size_t index = 0;
            const auto get_next = [&](const auto& each) {
                const bool ended = index++ >= T::fields_min && part.empty();
                return ended || get_one(part, each.name, value.*each.member);
            };
            return std::apply([&](const auto&... each) { return (... && get_next(each)); },
                              T::fields());
        } else {
            return get(part, value);
        }
    }

private:
    template <typename Member>
    static std::size_t size_of(const Member& member) {
        return wire<Member>::size(member);
    }
    template <typename Member>
    static std::byte* put_one(std::byte* to, const Member& member) {
        return wire<Member>::put(to, member);
    }
    template <typename Member>
    static bool get_one(wire_reader& reader, const char* name, Member& member) {
        if (wire<Member>::get(reader, member)) {
            return true;
        }
        reader.in_field(name);
        return false;
    }
};

// A struct behind a length of type Length: what follows its known fields is skipped.
template <described T, typename Length>
struct wire_sized {
    static constexpr std::size_t bytes_min = sizeof(Length) + wire_fields<T>::bytes_min;
    static std::size_t size(const T& value) { return sizeof(Length) + wire_fields<T>::size(value); }
    static std::byte* put(std::byte* to, const T& value) {
        std::byte* const begin = to + sizeof(Length);
        std::byte* const end = wire_fields<T>::put(begin, value);
        store_le(to, static_cast<Length>(end - begin));
        return end;
    }
    static bool get(wire_reader& reader, T& value) {
        Length length = 0;
        byte_view bytes;
        if (!reader.number(length) || !reader.bytes(length, bytes)) {
            return false;
        }
        wire_reader part(bytes);
        return wire_fields<T>::get_whole(part, value) || reader.fail(part);
    }
};

template <described T>
struct wire<T> : wire_sized<T, std::uint16_t> {};

// What a list holds: structs with a u32 length (one may exceed 64 KiB), anything else plain.
template <typename Item>
struct wire_item : wire<Item> {};
template <described Item>
struct wire_item<Item> : wire_sized<Item, std::uint32_t> {};

template <typename Item>
struct wire<std::vector<Item>> {
    static constexpr std::size_t bytes_min = sizeof(std::uint32_t);
    // Reserved before the items are seen; a list grows beyond it as they prove to be there.
    static constexpr std::size_t reserved_bytes_max = std::size_t{64} * 1024;

    static std::size_t size(const std::vector<Item>& items) {
        std::size_t bytes = bytes_min;
        for (const Item& item : items) {
            bytes += wire_item<Item>::size(item);
        }
        return bytes;
    }
    static std::byte* put(std::byte* to, const std::vector<Item>& items) {
        to = wire<std::uint32_t>::put(to, static_cast<std::uint32_t>(items.size()));
        for (const Item& item : items) {
            to = wire_item<Item>::put(to, item);
        }
        return to;
    }
    static bool get(wire_reader& reader, std::vector<Item>& items) {
        std::uint32_t count = 0;
        if (!reader.number(count)) {
            return false;
        }
        static_assert(wire_item<Item>::bytes_min > 0);
        if (count > reader.left() / wire_item<Item>::bytes_min) {
            return reader.fail("its count is larger than what is left of the body can hold");
        }
        items.clear();
        items.reserve(std::min<std::size_t>(count, reserved_bytes_max / sizeof(Item)));
        for (std::uint32_t i = 0; i < count; ++i) {
            if (!wire_item<Item>::get(reader, items.emplace_back())) {
                return false;
            }
        }
        return true;
    }
};

// Appends the fields of a described struct to `out`.
template <described T>
void append_struct(byte_buffer& out, const T& value) {
    const std::size_t start = out.size();
    out.resize(start + wire_fields<T>::size(value));
    wire_fields<T>::put(out.data() + start, value);
}

// Reads what append_struct wrote, also an older one if nothing follows it; the reader stands behind
// it afterwards. False: reader.problem().
template <described T>
[[nodiscard]] bool read_struct(wire_reader& reader, T& value) {
    return wire_fields<T>::get_whole(reader, value);
}

}  // namespace brokerd::codec
