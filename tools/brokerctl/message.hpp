// The verbs of `brokerctl message`, by file.
#pragma once

#include "tools/brokerctl/command_line.hpp"

namespace brokerd::ctl {

void add_publish_verb(command_line& line, CLI::App& noun);
void add_consume_verb(command_line& line, CLI::App& noun);
void add_forward_verb(command_line& line, CLI::App& noun);
void add_reading_verbs(command_line& line, CLI::App& noun);  // get, peek, find, show, tail

// --key and --header: what a message is given, or must have to be found.
struct message_labels {
    std::optional<std::string> key;
    std::vector<std::string> headers;

    void add_to(CLI::App& app, const char* key_help, const char* header_help);
    [[nodiscard]] std::vector<header> parsed_headers() const;
};

}  // namespace brokerd::ctl
