// Filters: any text is refused at a column it has, or is a filter whose canonical text reads as the
// same filter and matches the same. Up to a byte 0 the input is the filter; what follows is the
// message: a byte each for state and numbers, then the text of its key, header and reason.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/codec/record.hpp"
#include "protocol/filter/filter.hpp"
#include "protocol/filter/position.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"
#include "tests/fuzz/check.hpp"

namespace {

using namespace brokerd;

constexpr std::size_t error_bytes_max = 1000;

void check_error(std::string_view text, const failure& error) {
    FUZZ_CHECK(error.code == error_code::invalid_argument);
    FUZZ_CHECK(check_text(error.text, error_bytes_max, "error").has_value());
    const std::string lines = filters::caret_lines(text, error.text);
    if (!error.text.starts_with("column ")) {
        FUZZ_CHECK(lines.empty() && error.text.starts_with("the filter has "));
        return;
    }
    const std::string_view digits = std::string_view(error.text).substr(7);
    std::size_t column = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), column);
    FUZZ_CHECK(column >= 1 && column <= filters::column_of(text, text.size()));
    const std::size_t newline = lines.find('\n');
    FUZZ_CHECK(newline != std::string::npos && lines.ends_with("^"));
    FUZZ_CHECK(check_text(lines.substr(0, newline), error_bytes_max, "line").has_value());
}

void check_matches(const filters::filter& of, const filters::filter& again, std::string_view rest) {
    const std::uint8_t chosen = rest.empty() ? 0 : static_cast<std::uint8_t>(rest.front());
    const std::string_view value = rest.substr(std::min<std::size_t>(rest.size(), 1));
    codec::record_fields fields{.key = value.substr(0, limits::key_bytes_max)};
    fields.headers = {{"a", "1"}, {"x", value.substr(0, 8 * limits::kib)}, {"", "nameless"}};
    fields.payload = as_bytes(value);
    byte_buffer record;
    codec::encode_record(record, fields);
    const filters::message_parts parts{fields.key, fields.headers, value.size()};
    filters::subject about{.record = record,
                           .offset = chosen,
                           .time = wall_from_us(chosen * 1'000'000),
                           .now = wall_from_us(100'000'000),
                           .attempts = chosen % 16U,
                           .state = static_cast<message_state>(1 + chosen % 5),
                           .reason = value};
    const bool matched = of.matches(about);
    FUZZ_CHECK(again.matches(about) == matched);
    about.parts = &parts;
    FUZZ_CHECK(of.matches(about) == matched);
    if (const auto negated = filters::filter::parse("not (" + of.text() + ")")) {
        FUZZ_CHECK(negated->matches(about) != matched);
    }
    // Whatever the bytes of a record are, they are only read as far as they reach.
    static_cast<void>(of.matches({.record = as_bytes(rest)}));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string input(data, data + size);
    const std::string_view text = std::string_view(input).substr(0, input.find('\0'));
    const auto parsed = filters::filter::parse(text);
    if (!parsed) {
        check_error(text, parsed.error());
        return 0;
    }
    FUZZ_CHECK(check_text(parsed->text(), limits::filter_bytes_max, "filter").has_value());
    const auto again = filters::filter::parse(parsed->text());
    FUZZ_CHECK(again && *again == *parsed && again->text() == parsed->text());
    FUZZ_CHECK(again->uses() == parsed->uses() && !parsed->uses().empty());
    check_matches(*parsed, *again,
                  std::string_view(input).substr(std::min(text.size() + 1, input.size())));
    return 0;
}
