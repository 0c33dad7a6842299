// --filter: parsing, and looking at a message that was read.
#include "tools/brokerctl/filter.hpp"

#include <vector>

#include <fmt/format.h>

#include "protocol/filter/position.hpp"

namespace brokerd::ctl {
namespace {

constexpr const char* form = "FILTER";

parsed<filters::filter> parse_filter(std::string_view text) {
    auto made = filters::filter::parse(text);
    if (!made) {
        return std::unexpected(fmt::format("{}\n{}", made.error().text,
                                           filters::caret_lines(text, made.error().text)));
    }
    return *std::move(made);
}

parsed<filters::filter> parse_topic_filter(std::string_view text) {
    auto made = parse_filter(text);
    if (made && !(made->uses() & filters::queue_fields).empty()) {
        return std::unexpected(
            fmt::format("a message of a topic has no {}: these belong to a queue",
                        filters::to_string(made->uses() & filters::queue_fields)));
    }
    return made;
}

}  // namespace

void queue_filter::add_to(CLI::App& app) {
    add_value(
        app, "--filter", text,
        [](std::string_view given) -> parsed<std::string> {
            auto made = parse_filter(given);
            return made ? parsed<std::string>(std::string(given)) : std::unexpected(made.error());
        },
        form, "Only those it matches, such as \"attempts >= 3 and reason like '*timeout*'\"");
}

void add_subscription_filter(CLI::App& app, std::optional<std::string>& target) {
    add_value(
        app, "--filter", target,
        [](std::string_view given) -> parsed<std::string> {
            if (given.empty()) {
                return std::string();
            }
            auto made = parse_filter(given);
            return made ? parsed<std::string>(made->text()) : std::unexpected(made.error());
        },
        form,
        "Which messages are for it, by offset, time, size, key and headers, such as "
        "\"header.country "
        "in ('DE', 'AT')\"; the others are done at once. '': all");
}

void topic_filter::add_to(CLI::App& app) {
    add_value(app, "--filter", filter_, parse_topic_filter, form,
              "Only those it matches, such as \"header.country in ('DE', 'AT') and size > 1KiB\"");
}

bool topic_filter::matches(const stored_message& message) const {
    if (!filter_) {
        return true;
    }
    std::vector<codec::header_view> headers;
    for (const auto& [name, value] : message.headers) {
        headers.push_back({name, value});
    }
    const filters::message_parts parts{
        .key = message.key, .headers = headers, .payload_bytes = message.payload.size()};
    return filter_->matches(
        {.parts = &parts, .offset = message.offset, .time = message.time, .now = wall_now()});
}

}  // namespace brokerd::ctl
