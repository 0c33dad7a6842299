// Escapes and encodings of foreign bytes.
#include "tools/brokerctl/text.hpp"

#include <array>
#include <cstdint>

#include <fmt/format.h>

namespace brokerd::ctl {
namespace {

struct utf8_lead {
    std::uint8_t first, last;  // range of the lead byte
    std::uint8_t low, high;    // range of the byte behind it: no overlong form, no surrogate
    std::size_t length;
};

constexpr std::array utf8_leads{
    utf8_lead{0x00, 0x7F, 0x00, 0x00, 1}, utf8_lead{0xC2, 0xDF, 0x80, 0xBF, 2},
    utf8_lead{0xE0, 0xE0, 0xA0, 0xBF, 3}, utf8_lead{0xE1, 0xEC, 0x80, 0xBF, 3},
    utf8_lead{0xED, 0xED, 0x80, 0x9F, 3}, utf8_lead{0xEE, 0xEF, 0x80, 0xBF, 3},
    utf8_lead{0xF0, 0xF0, 0x90, 0xBF, 4}, utf8_lead{0xF1, 0xF3, 0x80, 0xBF, 4},
    utf8_lead{0xF4, 0xF4, 0x80, 0x8F, 4},
};

// C0, DEL and C1: what a terminal would act upon.
bool is_control(std::string_view sequence) {
    const auto lead = static_cast<std::uint8_t>(sequence[0]);
    if (sequence.size() == 1) {
        return lead < 0x20 || lead == 0x7F;
    }
    return sequence.size() == 2 && lead == 0xC2 && static_cast<std::uint8_t>(sequence[1]) < 0xA0;
}

}  // namespace

std::size_t utf8_sequence(std::string_view text) {
    if (text.empty()) {
        return 0;
    }
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    for (const utf8_lead& lead : utf8_leads) {
        if (byte(0) < lead.first || byte(0) > lead.last) {
            continue;
        }
        if (lead.length > text.size() ||
            (lead.length > 1 && (byte(1) < lead.low || byte(1) > lead.high))) {
            return 0;
        }
        for (std::size_t i = 2; i < lead.length; ++i) {
            if ((byte(i) & 0xC0U) != 0x80U) {
                return 0;
            }
        }
        return lead.length;
    }
    return 0;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t length = utf8_sequence(text);
        if (length == 0) {
            return false;
        }
        text.remove_prefix(length);
    }
    return true;
}

std::string terminal_text(std::string_view foreign) {
    std::string out;
    out.reserve(foreign.size());
    while (!foreign.empty()) {
        const std::size_t length = utf8_sequence(foreign);
        if (length > 0 && !is_control(foreign.substr(0, length))) {
            out += foreign.substr(0, length);
            foreign.remove_prefix(length);
            continue;
        }
        switch (foreign[0]) {
            case '\n': out += "\\n"; break;
            case '\t': out += "\\t"; break;
            case '\r': out += "\\r"; break;
            default: out += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(foreign[0]));
        }
        foreign.remove_prefix(1);
    }
    return out;
}

std::size_t display_width(std::string_view text) {
    std::size_t width = 0;
    for (const char c : text) {
        width += (static_cast<std::uint8_t>(c) & 0xC0U) != 0x80U ? 1 : 0;
    }
    return width;
}

std::string base64(std::string_view bytes) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        std::uint32_t group = 0;
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
        for (std::size_t i = 0; i < 3; ++i) {
            group = group << 8U | (i < count ? static_cast<std::uint8_t>(bytes[at + i]) : 0U);
        }
        for (std::size_t i = 0; i < 4; ++i) {
            out += i <= count ? digits[group >> (18 - 6 * i) & 63U] : '=';
        }
    }
    return out;
}

}  // namespace brokerd::ctl
