// The configuration file: any text gives options within their bounds or an error in one line, and
// what --print-config prints of them is read back to the same values.
//
// Input: the text of the file.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "broker/config/config_text.hpp"
#include "broker/config/listen_address.hpp"
#include "broker/config/option_table.hpp"
#include "protocol/types/names.hpp"
#include "tests/fuzz/check.hpp"

namespace {

using namespace brokerd;

constexpr std::string_view conf_file = "broker.conf";
constexpr std::size_t error_bytes_max = 2000;

void check_error(const failure& error) {
    FUZZ_CHECK(error.code == error_code::invalid_setting);
    FUZZ_CHECK(!error.text.empty());
    // For a terminal: valid UTF-8 without control characters, and not the whole file.
    FUZZ_CHECK(check_text(error.text, error_bytes_max, "error").has_value());
}

struct check_bounds {
    const config::options& of;
    const config::option_row& row;

    void operator()(std::string config::options::* member) const {
        const std::string& value = of.*member;
        FUZZ_CHECK(!value.empty() && value.size() <= config::text_bytes_max);
        FUZZ_CHECK(value.find('\0') == value.npos);
        FUZZ_CHECK(row.choices.empty() || row.choices.find(value) != row.choices.npos);
    }
    void operator()(bool config::options::*) const {}
    void operator()(std::uint64_t config::options::* member) const {
        FUZZ_CHECK(of.*member >= row.min && of.*member <= row.max);
    }
    void operator()(duration_us config::options::* member) const {
        const auto us = static_cast<std::uint64_t>((of.*member).count());
        FUZZ_CHECK(us >= row.min && us <= row.max);
    }
};

void check_options(const config::options& values) {
    for (const auto& row : config::option_table()) {
        std::visit(check_bounds{values, row}, row.member);
    }
    FUZZ_CHECK(values.frame_bytes > values.message_bytes);
    FUZZ_CHECK(values.dead_after >= 2 * values.heartbeat);
    const auto address = config::parse_listen_address(values.listen);
    FUZZ_CHECK(address.has_value() && (address->loopback || values.insecure));
}

void check_printed(const config::configuration& first) {
    const auto settings = config::parse_config_text(config::print_config(first), conf_file);
    FUZZ_CHECK(settings.has_value());
    FUZZ_CHECK(settings->size() == config::option_table().size());
    const auto second = config::configure(*settings);
    FUZZ_CHECK(second.has_value());
    FUZZ_CHECK(second->values == first.values);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(data, data + size);
    const auto settings = config::parse_config_text(text, conf_file);
    if (!settings) {
        check_error(settings.error());
        return 0;
    }
    const auto configured = config::configure(*settings);
    if (!configured) {
        check_error(configured.error());
        return 0;
    }
    check_options(configured->values);
    check_printed(*configured);
    return 0;
}
