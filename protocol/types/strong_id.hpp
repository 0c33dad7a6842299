// Strong integer types: one distinct type per kind of number, so that an offset is never passed
// where a lease is meant. Values convert only explicitly. Header only; no thread affinity.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace brokerd {

template <typename Tag, typename Rep>
class strong_id {
public:
    using rep = Rep;

    constexpr strong_id() = default;
    constexpr explicit strong_id(Rep value) : value_(value) {}

    [[nodiscard]] constexpr Rep value() const { return value_; }

    constexpr auto operator<=>(const strong_id&) const = default;

private:
    Rep value_ = 0;
};

}  // namespace brokerd

template <typename Tag, typename Rep>
struct std::hash<brokerd::strong_id<Tag, Rep>> {
    std::size_t operator()(const brokerd::strong_id<Tag, Rep>& id) const noexcept {
        return std::hash<Rep>{}(id.value());
    }
};
