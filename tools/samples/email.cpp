// Checking, reading and writing of e-mails.
#include "tools/samples/email.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace samples {
namespace {

constexpr std::size_t line_bytes_max = 998;     // RFC 5322, without CRLF
constexpr std::size_t encoded_word_bytes = 45;  // becomes 60 in base64; RFC 2047 allows 75
constexpr std::size_t encoded_line_bytes = 57;  // becomes 76 in base64 (RFC 2045)

bool is_printable_ascii(char c) {
    return c >= 0x20 && c <= 0x7e;
}

std::string base64(std::string_view bytes) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const auto byte = [&](std::size_t at) {
            return at < bytes.size() ? static_cast<std::uint8_t>(bytes[at]) : 0U;
        };
        const std::uint32_t group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
        text += digits[group >> 18];
        text += digits[group >> 12 & 63];
        text += i + 1 < bytes.size() ? digits[group >> 6 & 63] : '=';
        text += i + 2 < bytes.size() ? digits[group & 63] : '=';
    }
    return text;
}

// A header's value, in encoded words if it is not plain ASCII.
std::string header_text(std::string_view text) {
    if (std::ranges::all_of(text, is_printable_ascii)) {
        return std::string(text);
    }
    std::string words;
    while (!text.empty()) {
        std::size_t length = std::min(text.size(), encoded_word_bytes);
        const auto inside_character = [&] {
            return length < text.size() && (text[length] & 0xc0) == 0x80;
        };
        while (length > 1 && inside_character()) {
            --length;
        }
        words += fmt::format("{}=?utf-8?B?{}?=", words.empty() ? "" : "\r\n ",
                             base64(text.substr(0, length)));
        text.remove_prefix(length);
    }
    return words;
}

// The body's lines if they can go as they are: ASCII, none too long. Empty if they cannot.
std::string plain_lines(std::string_view body) {
    std::string lines;
    while (!body.empty()) {
        const std::size_t length = std::min(body.find('\n'), body.size());
        std::string_view line = body.substr(0, length);
        body.remove_prefix(std::min(length + 1, body.size()));
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        const auto goes_plain = [](char c) { return is_printable_ascii(c) || c == '\t'; };
        if (line.size() > line_bytes_max || !std::ranges::all_of(line, goes_plain)) {
            return {};
        }
        lines.append(line).append("\r\n");
    }
    return lines;
}

}  // namespace

bool is_address(std::string_view text) {
    const std::size_t at = text.find('@');
    constexpr std::string_view separators = " <>()[]\\,;:\"";
    return text.size() <= address_bytes_max && at != std::string_view::npos && at > 0 &&
           at + 1 < text.size() && text.find('@', at + 1) == std::string_view::npos &&
           std::ranges::all_of(
               text, [&](char c) { return is_printable_ascii(c) && !separators.contains(c); });
}

std::expected<email, std::string> parse_email(std::string_view json_text) {
    const auto json = nlohmann::json::parse(json_text, nullptr, false);
    if (!json.is_object()) {
        return std::unexpected("not a JSON object with \"to\", \"subject\" and \"body\"");
    }
    email mail;
    for (const auto& [name, value] :
         {std::pair{"to", &mail.to}, {"subject", &mail.subject}, {"body", &mail.body}}) {
        const auto found = json.find(name);
        if (found == json.end() || !found->is_string()) {
            return std::unexpected(fmt::format("\"{}\" must be there and be a string", name));
        }
        *value = found->get<std::string>();
    }
    if (!is_address(mail.to)) {
        return std::unexpected("\"to\" must be one mail address, like ada@example.com");
    }
    if (mail.subject.empty() || mail.subject.size() > subject_bytes_max) {
        return std::unexpected(
            fmt::format("\"subject\" must have 1 to {} bytes", subject_bytes_max));
    }
    // Line breaks here would become headers of their own.
    const auto is_control = [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; };
    if (std::ranges::any_of(mail.subject, is_control)) {
        return std::unexpected("\"subject\" must be one line");
    }
    return mail;
}

std::string to_json(const email& mail) {
    return nlohmann::json{{"to", mail.to}, {"subject", mail.subject}, {"body", mail.body}}.dump();
}

std::string render(const email& mail, std::string_view from, std::string_view message_id,
                   std::time_t date) {
    std::string body = plain_lines(mail.body);
    const bool is_plain = !body.empty() || mail.body.empty();
    for (std::size_t i = 0; !is_plain && i < mail.body.size(); i += encoded_line_bytes) {
        body += base64(std::string_view(mail.body).substr(i, encoded_line_bytes)) + "\r\n";
    }
    return fmt::format(
        "Date: {:%a, %d %b %Y %H:%M:%S} +0000\r\n"
        "From: {}\r\n"
        "To: {}\r\n"
        "Subject: {}\r\n"
        "Message-ID: <{}>\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset={}\r\n"
        "Content-Transfer-Encoding: {}\r\n"
        "\r\n"
        "{}",
        fmt::gmtime(date), from, mail.to, header_text(mail.subject), message_id,
        is_plain ? "us-ascii" : "utf-8", is_plain ? "7bit" : "base64", body);
}

}  // namespace samples
