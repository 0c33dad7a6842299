// Checks and parsers of names and addresses.
#include "protocol/types/names.hpp"

#include <charconv>
#include <cstdint>

#include <fmt/format.h>

#include "protocol/types/limits.hpp"
#include "protocol/types/utf8.hpp"

namespace brokerd {
namespace {

constexpr bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

outcome<void> check_words(std::string_view name, std::size_t bytes_max, std::string_view what) {
    if (name.empty()) {
        return refuse(error_code::invalid_name, fmt::format("the {} name is empty", what));
    }
    if (name.size() > bytes_max) {
        return refuse(error_code::invalid_name,
                      fmt::format("the {} name has {} bytes; at most {} are allowed", what,
                                  name.size(), bytes_max));
    }
    std::size_t words = 1;
    bool word_empty = true;
    for (const char c : name) {
        if (c == '.') {
            if (word_empty) {
                break;
            }
            ++words;
            word_empty = true;
        } else if (is_name_char(c)) {
            word_empty = false;
        } else {
            return refuse(error_code::invalid_name,
                          fmt::format("the {} name \"{}\" has a character outside [A-Za-z0-9_-]",
                                      what, printable(name)));
        }
    }
    if (word_empty) {
        return refuse(error_code::invalid_name,
                      fmt::format("the {} name \"{}\" has an empty word between its dots", what,
                                  printable(name)));
    }
    if (words > limits::topic_name_words_max) {
        return refuse(error_code::invalid_name,
                      fmt::format("the {} name has {} words; at most {} are allowed", what, words,
                                  limits::topic_name_words_max));
    }
    return {};
}

// Takes the first word off `name`.
std::string_view take_word(std::string_view& name) {
    const std::size_t dot = name.find('.');
    const std::string_view word = name.substr(0, dot);
    name = dot == std::string_view::npos ? std::string_view{} : name.substr(dot + 1);
    return word;
}

outcome<offset_t> parse_offset(std::string_view digits, std::string_view whole) {
    offset_t offset = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), offset);
    if (error != std::errc{} || end != digits.data() + digits.size() || digits.empty()) {
        return refuse(error_code::invalid_argument,
                      fmt::format("\"{}\" has no offset behind the @", printable(whole)));
    }
    return offset;
}

}  // namespace

outcome<void> check_topic_name(std::string_view name) {
    return check_words(name, limits::topic_name_bytes_max, "topic");
}

outcome<void> check_service_name(std::string_view name) {
    return check_words(name, limits::topic_name_bytes_max, "service");
}

outcome<void> check_queue_name(std::string_view name) {
    return check_words(name, limits::queue_name_bytes_max, "queue");
}

outcome<void> check_text(std::string_view text, std::size_t bytes_max, std::string_view what) {
    if (text.size() > bytes_max) {
        return refuse(error_code::invalid_argument,
                      fmt::format("the {} has {} bytes; at most {} are allowed", what, text.size(),
                                  bytes_max));
    }
    while (!text.empty()) {
        const std::size_t length = utf8_sequence(text);
        if (length == 0 || is_control(text, length)) {
            return refuse(
                error_code::invalid_argument,
                fmt::format("the {} is not valid UTF-8 text without control characters", what));
        }
        text.remove_prefix(length);
    }
    return {};
}

outcome<queue_path> parse_queue_path(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) {
        return refuse(error_code::invalid_name,
                      fmt::format("\"{}\" is no queue; write TOPIC/QUEUE", printable(text)));
    }
    queue_path path{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
    if (auto checked = check_topic_name(path.topic); !checked) {
        return std::unexpected(checked.error());
    }
    if (auto checked = check_queue_name(path.queue); !checked) {
        return std::unexpected(checked.error());
    }
    return path;
}

std::string to_string(const queue_path& path) {
    return path.topic + "/" + path.queue;
}

outcome<void> check_pattern(std::string_view pattern) {
    // What is left when each wildcard is a word of its own is a name.
    std::string as_name;
    std::size_t wildcards = 0;
    std::string_view rest = pattern.substr(0, limits::topic_name_bytes_max + 1);
    while (!rest.empty()) {
        const bool ends = rest.find('.') == std::string_view::npos;
        const std::string_view word = take_word(rest);
        if (word == ">" && !ends) {
            return refuse(error_code::invalid_name,
                          fmt::format("the pattern \"{}\" has words behind its >, which stands "
                                      "for all that follow; write * for one word",
                                      printable(pattern)));
        }
        const bool wildcard = word == "*" || word == ">";
        wildcards += wildcard ? 1 : 0;
        as_name += wildcard ? "x" : word;
        as_name += ends ? "" : ".";
    }
    if (auto checked = check_words(as_name, limits::topic_name_bytes_max, "topic"); !checked) {
        if (as_name.find_first_of("*>") != std::string::npos) {
            return refuse(error_code::invalid_name,
                          fmt::format("the pattern \"{}\" has a * or > within a word; they stand "
                                      "for whole words",
                                      printable(pattern)));
        }
        return refuse(
            error_code::invalid_name,
            fmt::format("\"{}\" is no pattern: {}", printable(pattern), checked.error().text));
    }
    if (wildcards == 0) {
        return refuse(error_code::invalid_name,
                      fmt::format("\"{}\" is no pattern: it has neither * (one word) nor > (one "
                                  "or more words at the end)",
                                  printable(pattern)));
    }
    return {};
}

outcome<queue_path> parse_pattern_path(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) {
        return refuse(
            error_code::invalid_name,
            fmt::format("\"{}\" is no pattern queue; write PATTERN/QUEUE", printable(text)));
    }
    if (auto checked = check_pattern(text.substr(0, slash)); !checked) {
        return std::unexpected(checked.error());
    }
    if (auto checked = check_queue_name(text.substr(slash + 1)); !checked) {
        return std::unexpected(checked.error());
    }
    return queue_path{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
}

bool pattern_matches(std::string_view pattern, std::string_view topic) {
    while (!pattern.empty() && !topic.empty()) {
        const std::string_view wanted = take_word(pattern);
        if (wanted == ">") {
            return true;
        }
        if (const std::string_view word = take_word(topic); wanted != "*" && wanted != word) {
            return false;
        }
    }
    return pattern.empty() && topic.empty();
}

bool patterns_overlap(std::string_view one, std::string_view other) {
    while (!one.empty() && !other.empty()) {
        const std::string_view left = take_word(one);
        const std::string_view right = take_word(other);
        if (left == ">" || right == ">") {
            return true;
        }
        if (left != "*" && right != "*" && left != right) {
            return false;
        }
    }
    return one.empty() && other.empty();
}

outcome<message_address> parse_message_address(std::string_view text) {
    const std::size_t at = text.find('@');
    if (at == std::string_view::npos) {
        return refuse(error_code::invalid_argument,
                      fmt::format("\"{}\" is no message; write TOPIC@OFFSET", printable(text)));
    }
    if (auto checked = check_topic_name(text.substr(0, at)); !checked) {
        return std::unexpected(checked.error());
    }
    const auto offset = parse_offset(text.substr(at + 1), text);
    if (!offset) {
        return std::unexpected(offset.error());
    }
    return message_address{std::string(text.substr(0, at)), *offset};
}

std::string to_string(const message_address& address) {
    return fmt::format("{}@{}", address.topic, address.offset);
}

outcome<queue_address> parse_queue_address(std::string_view text) {
    const std::size_t at = text.find('@');
    auto path = parse_queue_path(text.substr(0, at));
    if (!path) {
        return std::unexpected(path.error());
    }
    if (at == std::string_view::npos) {
        return queue_address{std::move(*path), std::nullopt};
    }
    const auto offset = parse_offset(text.substr(at + 1), text);
    if (!offset) {
        return std::unexpected(offset.error());
    }
    return queue_address{std::move(*path), *offset};
}

std::string printable(std::string_view foreign, std::size_t bytes_max) {
    std::string out;
    while (!foreign.empty() && out.size() < bytes_max) {
        const std::size_t length = utf8_sequence(foreign);
        if (length == 0 || is_control(foreign, length)) {
            out += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(foreign[0]));
            foreign.remove_prefix(1);
            continue;
        }
        if (foreign[0] == '"' || foreign[0] == '\\') {
            out += '\\';
        }
        out += foreign.substr(0, length);
        foreign.remove_prefix(length);
    }
    if (!foreign.empty()) {
        out += "...";
    }
    return out;
}

}  // namespace brokerd
