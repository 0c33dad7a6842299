// One message for the tests of filters, changed by each as it needs. Header only.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "protocol/codec/record.hpp"
#include "protocol/filter/filter.hpp"

namespace brokerd::filters {

inline constexpr wall_time sample_time =
    std::chrono::sys_days{std::chrono::year{2026} / 3 / 1} + std::chrono::hours{12};

// Owns what a subject points to.
struct sample {
    codec::record_fields fields{.key = "order-17",
                                .headers = {{"country", "DE"},
                                            {"amount", "99.50"},
                                            {"retries", "3"},
                                            {"odd name", "x"},
                                            {"empty", ""},
                                            {"country", "second"}},
                                .payload = as_bytes("0123456789")};
    subject about{.record = {},
                  .offset = 812,
                  .time = sample_time,
                  .now = sample_time + std::chrono::minutes{10},
                  .attempts = 2,
                  .state = message_state::retrying,
                  .reason = "no route"};

    // By its record, and by its parts; both must agree.
    [[nodiscard]] bool matches(const filter& by) const {
        byte_buffer record;
        codec::encode_record(record, fields);
        subject whole = about;
        whole.record = record;
        const message_parts parts{fields.key, fields.headers, fields.payload.size()};
        subject apart = about;
        apart.parts = &parts;
        const bool matched = by.matches(whole);
        EXPECT_EQ(by.matches(apart), matched) << by.text();
        return matched;
    }

    [[nodiscard]] bool matches(std::string_view text) const {
        const auto parsed = filter::parse(text);
        if (!parsed) {
            ADD_FAILURE() << text << "\n" << parsed.error().text;
            return false;
        }
        return matches(*parsed);
    }
};

// The text of the error, or that there was none.
inline std::string error_of(std::string_view text) {
    const auto parsed = filter::parse(text);
    if (parsed) {
        return "no error: " + parsed->text();
    }
    EXPECT_EQ(parsed.error().code, error_code::invalid_argument);
    return parsed.error().text;
}

inline std::string canonical(std::string_view text) {
    const auto parsed = filter::parse(text);
    return parsed ? parsed->text() : parsed.error().text;
}

}  // namespace brokerd::filters
