// TOPIC/QUEUE in commands and their answers. Pure.
#pragma once

#include <string_view>
#include <utility>

#include "tools/brokerctl/table.hpp"

namespace brokerd::ctl {

// Topic and queue; a name without slash, which the broker refuses, has no queue.
[[nodiscard]] inline std::pair<std::string_view, std::string_view> split_queue(
    std::string_view name) {
    const auto slash = name.find('/');
    return {name.substr(0, slash),
            slash == std::string_view::npos ? std::string_view{} : name.substr(slash + 1)};
}

// PATTERN/QUEUE, or PATTERN: it stands for many topics, as no name of a topic or queue does.
[[nodiscard]] inline bool is_pattern(std::string_view name) {
    return name.find_first_of("*>") != std::string_view::npos;
}

// The members every row about a queue begins with.
[[nodiscard]] inline json queue_json(std::string_view name) {
    const auto [topic, queue] = split_queue(name);
    return {{"topic", topic}, {"queue", queue}};
}

}  // namespace brokerd::ctl
