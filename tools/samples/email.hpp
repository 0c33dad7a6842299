// The e-mail that signup_api takes, the topic carries and email_worker sends: checked, read from
// JSON, written as the text of an SMTP message (RFC 5322). Pure; no thread affinity.
#pragma once

#include <cstddef>
#include <ctime>
#include <expected>
#include <string>
#include <string_view>

namespace samples {

inline constexpr std::size_t address_bytes_max = 254;  // RFC 5321
inline constexpr std::size_t subject_bytes_max = 500;

struct email {
    std::string to;
    std::string subject;
    std::string body;
};

// Reads {"to": ..., "subject": ..., "body": ...}; the error says what is wrong with it. What passes
// can be sent: one recipient, no line breaks where they would become headers or SMTP commands.
[[nodiscard]] std::expected<email, std::string> parse_email(std::string_view json_text);

[[nodiscard]] std::string to_json(const email& mail);

// Whether it is one plain mail address: local@domain, printable ASCII.
[[nodiscard]] bool is_address(std::string_view text);

// The message as it goes over SMTP, lines ending in CRLF. `message_id` is without its angle
// brackets; the same message sent twice has the same, so that a receiver can tell.
[[nodiscard]] std::string render(const email& mail, std::string_view from,
                                 std::string_view message_id, std::time_t date);

}  // namespace samples
