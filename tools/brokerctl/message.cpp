// brokerctl message: the noun, and what its verbs share.
#include "tools/brokerctl/message.hpp"

namespace brokerd::ctl {

void message_labels::add_to(CLI::App& app, const char* key_help, const char* header_help) {
    app.add_option("--key", key, key_help);
    app.add_option("--header", headers, header_help)
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false)  // one value each, or it would take the payload, too
        ->check([](const std::string& text) {
            const auto header = parse_header(text);
            return header ? std::string{} : header.error();
        });
}

std::vector<header> message_labels::parsed_headers() const {
    std::vector<header> result;
    for (const auto& text : headers) {
        result.push_back(*parse_header(text));  // checked when the command line was read
    }
    return result;
}

void add_message_verbs(command_line& line) {
    auto& noun = line.add_noun("message",
                               "Messages: publish, consume, forward, get, peek, find, show, tail");
    add_publish_verb(line, noun);
    add_consume_verb(line, noun);
    add_forward_verb(line, noun);
    add_reading_verbs(line, noun);
}

}  // namespace brokerd::ctl
