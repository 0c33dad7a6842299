// Names and addresses: what is accepted prints as it was read; foreign text prints harmlessly.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"
#include "tests/fuzz/check.hpp"

namespace {

using namespace brokerd;

bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

void check_printable(std::string_view text) {
    const std::string shown = printable(text);
    FUZZ_CHECK(shown.size() <= 256 + 8);
    for (const char c : shown) {
        FUZZ_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    }
    // Only valid UTF-8 is left, and no control characters of the upper range.
    FUZZ_CHECK(check_text(shown, 1000, "shown text").has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(data, data + size);
    check_printable(text);
    if (check_topic_name(text)) {
        FUZZ_CHECK(!text.empty() && text.size() <= limits::topic_name_bytes_max);
        FUZZ_CHECK(std::ranges::all_of(text, is_name_char));
    }
    if (const auto path = parse_queue_path(text)) {
        FUZZ_CHECK(to_string(*path) == text);
    }
    if (const auto path = parse_pattern_path(text)) {
        FUZZ_CHECK(to_string(*path) == text);
        FUZZ_CHECK(!check_topic_name(path->topic));
        FUZZ_CHECK(patterns_overlap(path->topic, path->topic));
        FUZZ_CHECK(patterns_overlap(path->topic, ">"));
    }
    if (const auto address = parse_message_address(text)) {
        FUZZ_CHECK(parse_message_address(to_string(*address)) == address);
    }
    if (const auto address = parse_queue_address(text)) {
        FUZZ_CHECK(text.starts_with(to_string(address->path)));
    }
    return 0;
}
