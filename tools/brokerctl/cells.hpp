// Cells that tables and details have in common: one member of a JSON row as people read it.
// Header only, pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <string>

#include <fmt/format.h>

#include "tools/brokerctl/table.hpp"
#include "tools/brokerctl/text.hpp"
#include "tools/brokerctl/units.hpp"
#include "tools/brokerctl/views.hpp"

namespace brokerd::ctl {

// Cells read one member of the row; the member's name is the template argument, so that a column
// stays a plain function.
template <std::size_t Size>
struct member {
    consteval member(const char (&name)[Size]) { std::copy_n(name, Size, text); }
    char text[Size] = {};
};

template <member Name>
cell text_of(const json& row) {
    return terminal_text(row.at(Name.text).template get<std::string>());
}

template <member Name>
cell count_of(const json& row) {
    return short_count(row.at(Name.text).template get<double>());
}

template <member Name>
cell rate_of(const json& row) {
    return short_rate(row.at(Name.text).template get<double>());
}

template <member Name>
cell bytes_of(const json& row) {
    return short_bytes(row.at(Name.text).template get<double>());
}

template <member Name>
cell whole_of(const json& row) {
    return row.at(Name.text).dump();
}

inline std::string duration_text(double seconds) {
    return short_duration(std::chrono::microseconds{std::llround(seconds * 1e6)});
}

template <member Name>
cell duration_of(const json& row) {
    const json& value = row.at(Name.text);
    return value.is_null() ? cell{"-", tone::dim} : cell{duration_text(value.get<double>())};
}

inline cell path_of(const json& row) {
    return row.at("topic").get<std::string>() + "/" + row.at("queue").get<std::string>();
}

// Red, or at least yellow, where there is one: somebody has to look.
template <member Name>
cell rare_count(const json& row, tone meaning) {
    const auto text = count_of<Name>(row).text;
    return {text, text == "0" ? tone::plain : meaning};
}

inline cell dropped_count(const json& row) {
    return rare_count<"dropped">(row, tone::warning);
}

inline bool has_dropped(const json& row) {
    return row.at("dropped") != 0;
}

inline std::string age_text(timestamp time, timestamp now) {
    return fmt::format("{} ({} ago)", rfc3339_text(time), duration_text(age_seconds(time, now)));
}

}  // namespace brokerd::ctl
