// Messages as JSON and as text.
#include "tools/brokerctl/message_view.hpp"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>

#include "protocol/types/duration.hpp"
#include "tools/brokerctl/text.hpp"
#include "tools/brokerctl/units.hpp"
#include "tools/brokerctl/views.hpp"

namespace brokerd::ctl {
namespace {

json headers_json(const message_view& view) {
    json headers = json::object();
    for (const auto& [name, value] : view.headers) {
        json& at = headers[std::string(name)];
        if (at.is_null()) {
            at = value;
        } else if (at.is_array()) {
            at.push_back(value);
        } else {
            at = json::array({at, value});
        }
    }
    return headers;
}

std::string headers_text(const message_view& view) {
    std::string text;
    for (const auto& [name, value] : view.headers) {
        text += fmt::format("{}{}={}", text.empty() ? "" : " ", terminal_text(name),
                            terminal_text(value));
    }
    return text;
}

std::string ago(timestamp time, timestamp now) {
    return short_duration(std::max(now - time, std::chrono::microseconds{0})) + " ago";
}

// The moment at which something happens without anybody's doing.
timestamp next_time(const message_in_queue& at) {
    switch (at.state) {
        case delivery_state::leased: return at.lease_until;
        case delivery_state::retrying: return at.due;
        case delivery_state::ready:
        case delivery_state::dead:
        case delivery_state::done: break;
    }
    return no_timestamp;
}

json attempt_json(const failed_attempt& attempt) {
    return {{"time", time_json(attempt.time)},
            {"consumer", attempt.consumer},
            {"outcome", to_string(attempt.outcome)},
            {"reason", attempt.reason}};
}

json in_queue_json(const message_in_queue& at) {
    json result{{"queue", at.queue}, {"state", to_string(at.state)}};
    json& attempts = result["attempts"] = json::array();
    for (const auto& attempt : at.history) {
        attempts.push_back(attempt_json(attempt));
    }
    result["attempts_count"] = at.attempts;
    result["attempts_max"] = at.attempts_max;
    result["next"] = at.next;
    result["next_at"] = time_json(next_time(at));
    if (at.state == delivery_state::leased) {
        result["consumer"] = at.consumer;
        result["lease"] = json{{"epoch", at.lease.epoch}, {"counter", at.lease.counter}};
    }
    return result;
}

tone tone_of(delivery_state state) {
    switch (state) {
        case delivery_state::dead: return tone::bad;
        case delivery_state::retrying: return tone::warning;
        case delivery_state::done: return tone::good;
        case delivery_state::ready:
        case delivery_state::leased: break;
    }
    return tone::strong;
}

// What the broker says of the message, without the state that stands beside it.
std::string next_text(const message_in_queue& at) {
    std::string_view next = at.next;
    if (const auto state = to_string(at.state); next.starts_with(state)) {
        next.remove_prefix(state.size());
        next.remove_prefix(std::min(next.find_first_not_of(":, "), next.size()));
    }
    return terminal_text(next);
}

// Whether the broker's sentence tells this attempt: `... ago by w@host:1 ...`, or at, or with.
bool tells(std::string_view sentence, const failed_attempt& attempt) {
    constexpr std::string_view ago = " ago ";
    const auto at = sentence.find(ago);
    if (at == std::string_view::npos) {
        return false;
    }
    sentence.remove_prefix(at + ago.size());
    sentence.remove_prefix(std::min(sentence.find(' ') + 1, sentence.size()));
    return sentence.starts_with(attempt.consumer);
}

// The attempts that are not told by what the broker says: usually all but the last.
std::span<const failed_attempt> earlier_attempts(const message_in_queue& at) {
    std::span<const failed_attempt> all = at.history;
    if (!all.empty() && tells(at.next, all.back())) {
        all = all.first(all.size() - 1);
    }
    return all;
}

template <std::size_t Index>
cell cell_at(const json& row) {
    return row.at(Index).get<std::string>();
}

std::string states_text(std::string_view topic, const shown_message& shown, bool colours) {
    constexpr std::array columns{
        column{"QUEUE", align::left, cell_at<0>},
        column{"STATE", align::left,
               [](const json& row) -> cell {
                   return {row.at(1).get<std::string>(), tone_of(row.at(2).get<delivery_state>())};
               }},
        column{"WHY", align::left, cell_at<3>},
    };
    std::vector<json> rows;
    for (const auto& at : shown.queues) {
        rows.push_back(json::array(
            {fmt::format("{}/{}", topic, at.queue), to_string(at.state), at.state, next_text(at)}));
    }
    return "\n" + render_table(columns, rows, colours);
}

std::string earlier_text(std::string_view topic, const shown_message& shown, timestamp now,
                         bool colours) {
    constexpr std::array columns{
        column{"EARLIER", align::left, cell_at<0>}, column{"ATTEMPT", align::left, cell_at<1>},
        column{"BY", align::left, cell_at<2>},      column{"QUEUE", align::left, cell_at<3>},
        column{"REASON", align::left, cell_at<4>},
    };
    std::vector<json> rows;
    std::string forgotten;
    for (const auto& at : shown.queues) {
        const auto queue = fmt::format("{}/{}", topic, at.queue);
        for (const auto& attempt : earlier_attempts(at)) {
            rows.push_back(json::array({ago(attempt.time, now), to_string(attempt.outcome),
                                        terminal_text(attempt.consumer), queue,
                                        terminal_text(attempt.reason)}));
        }
        if (at.attempts > at.history.size()) {
            forgotten += fmt::format("{}: the last {} of {} failed attempts are kept\n", queue,
                                     at.history.size(), at.attempts);
        }
    }
    return (rows.empty() ? "" : "\n" + render_table(columns, rows, colours)) + forgotten;
}

}  // namespace

message_view view_of(const stored_message& message) {
    message_view view{message.topic,   message.offset, message.time, message.key, {},
                      message.payload, message.ttl,    std::nullopt, message.id,  message.priority};
    view.headers.assign(message.headers.begin(), message.headers.end());
    return view;
}

message_view view_of(const message& leased) {
    return {leased.topic(),   leased.offset(), leased.time(),    leased.key(), leased.headers(),
            leased.payload(), leased.ttl(),    leased.attempt(), leased.id(),  leased.priority()};
}

json message_json(const message_view& view) {
    json result{{"topic", view.topic}, {"offset", view.offset}, {"time", time_json(view.time)}};
    if (view.key) {
        add_bytes(result, "key", *view.key);
    } else {
        result["key"] = nullptr;
    }
    result["headers"] = headers_json(view);
    add_bytes(result, "payload", view.payload);
    result["priority"] = view.priority;
    if (!view.id.empty()) {
        add_bytes(result, "id", view.id);
    }
    if (view.ttl) {
        result["ttl_seconds"] = number_json(seconds_of(*view.ttl));
    }
    if (view.attempt) {
        result["attempt"] = *view.attempt;
    }
    return result;
}

std::string message_line(const message_view& view) {
    auto line = fmt::format("{}@{}", view.topic, view.offset);
    if (view.key) {
        line += "  key " + terminal_text(*view.key);
    }
    if (!view.headers.empty()) {
        line += "  " + headers_text(view);
    }
    if (!view.id.empty()) {
        line += "  id " + terminal_text(view.id);
    }
    if (view.priority != 0) {
        line += fmt::format("  priority {}", view.priority);
    }
    if (view.ttl) {
        line += "  ttl " + format_duration(*view.ttl);
    }
    if (view.attempt) {
        line += fmt::format("  attempt {}", *view.attempt);
    }
    if (!view.payload.empty()) {
        line += "  " + terminal_text(view.payload);
    }
    return line + "\n";
}

std::string message_details_text(const message_view& view, timestamp now, bool colours) {
    std::vector<detail> details{
        {"message", fmt::format("{}@{}", view.topic, view.offset)},
        {"time", fmt::format("{} ({})", rfc3339_text(view.time), ago(view.time, now))}};
    if (view.key) {
        details.push_back({"key", terminal_text(*view.key)});
    }
    for (const auto& [name, value] : view.headers) {
        details.push_back(
            {"header", fmt::format("{}={}", terminal_text(name), terminal_text(value))});
    }
    if (!view.id.empty()) {
        details.push_back({"id", terminal_text(view.id)});
    }
    if (view.priority != 0) {
        details.push_back({"priority", fmt::format("{}", view.priority)});
    }
    if (view.ttl) {
        details.push_back({"ttl", format_duration(*view.ttl)});
    }
    details.push_back({"payload", terminal_text(view.payload)});
    return render_details(details, colours);
}

json shown_json(const message_view& view, const shown_message& shown) {
    json result = message_json(view);
    json& queues = result["queues"] = json::array();
    for (const auto& at : shown.queues) {
        queues.push_back(in_queue_json(at));
    }
    return result;
}

std::string shown_text(const message_view& view, const shown_message& shown, timestamp now,
                       bool colours) {
    const auto text = message_details_text(view, now, colours);
    if (shown.queues.empty()) {
        return text + fmt::format("no queue yet; 'brokerctl queue create {}/QUEUE' creates one\n",
                                  view.topic);
    }
    return text + states_text(view.topic, shown, colours) +
           earlier_text(view.topic, shown, now, colours);
}

}  // namespace brokerd::ctl
