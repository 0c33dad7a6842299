// Byte views and little-endian loads and stores; big-endian for storage keys. Header only.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace brokerd {

using byte_view = std::span<const std::byte>;
using byte_buffer = std::vector<std::byte>;

// Immutable bytes with shared ownership: the view stays valid while the owner is held.
struct shared_bytes {
    std::shared_ptr<const void> owner;
    byte_view view{};
};

// A copy of its own: a view into a larger buffer keeps all of that.
[[nodiscard]] inline shared_bytes copy_bytes(byte_view bytes) {
    auto copy = std::make_shared_for_overwrite<std::byte[]>(bytes.size());
    if (!bytes.empty()) {  // data() may be null
        std::memcpy(copy.get(), bytes.data(), bytes.size());
    }
    const byte_view view{copy.get(), bytes.size()};
    return {std::move(copy), view};
}

[[nodiscard]] inline byte_view as_bytes(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

[[nodiscard]] inline std::string_view as_text(byte_view bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <std::integral T>
[[nodiscard]] inline T load_le(const std::byte* from) {
    static_assert(std::endian::native == std::endian::little);
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <std::integral T>
inline void store_le(std::byte* to, T value) {
    static_assert(std::endian::native == std::endian::little);
    std::memcpy(to, &value, sizeof value);
}

}  // namespace brokerd
