// brokerctl message get, peek, find, show, tail: looking at messages, which changes nothing.
#include <algorithm>
#include <ostream>

#include <fmt/format.h>

#include "tools/brokerctl/filter.hpp"
#include "tools/brokerctl/interruption.hpp"
#include "tools/brokerctl/message.hpp"
#include "tools/brokerctl/message_view.hpp"

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;

constexpr const char* removed_text = "done in every queue, removed";

bool matches(const stored_message& message, const std::optional<std::string>& key,
             const std::vector<header>& headers) {
    if (key && message.key != key) {
        return false;
    }
    return std::ranges::all_of(headers, [&](const header& wanted) {
        return std::ranges::find(message.headers, wanted) != message.headers.end();
    });
}

void print(context& ctx, const stored_message& message) {
    const auto view = view_of(message);
    ctx.out().stream_item(message_json(view), message_line(view));
}

struct get_options {
    address at;
    bool raw = false;
};

exit_code get(context& ctx, const get_options& options) {
    const auto shown = ctx.admin().show(options.at.topic, options.at.offset);
    if (!shown.message) {
        throw refusal(
            fmt::format("{}: {}; 'brokerctl topic set {} --keep-done DURATION' keeps "
                        "messages longer",
                        to_string(options.at), removed_text, options.at.topic));
    }
    if (options.raw) {
        ctx.out().raw(shown.message->payload);
        return exit_code::done;
    }
    const auto view = view_of(*shown.message);
    ctx.out().object(message_json(view),
                     message_details_text(view, wall_now(), ctx.out().colours()));
    return exit_code::done;
}

struct show_options {
    address at;
};

exit_code show(context& ctx, const show_options& options) {
    const auto shown = ctx.admin().show(options.at.topic, options.at.offset);
    if (!shown.message) {
        ctx.out().object({{"topic", options.at.topic},
                          {"offset", options.at.offset},
                          {"removed", true},
                          {"state", removed_text}},
                         fmt::format("{}\n", removed_text));
        return exit_code::refused;
    }
    const auto view = view_of(*shown.message);
    ctx.out().object(shown_json(view, shown),
                     shown_text(view, shown, wall_now(), ctx.out().colours()));
    return exit_code::done;
}

// The next message of what is there; what was removed since `begun` is no reason to stop.
std::optional<stored_message> next_here(reader& from, bool begun) {
    for (;;) {
        try {
            return from.next(0us);
        } catch (const error& failure) {
            if (!begun || failure.code() != broker_errc::gone) {
                throw;
            }
            from.seek(log_position::earliest());
        }
    }
}

// Reads a topic up to the end it has now, so that this ends while others publish. `take` answers
// whether to go on.
template <typename Take>
void read_until_end(context& ctx, const std::string& topic, log_position from,
                    const reader_options& paging, Take take) {
    constexpr std::uint64_t flush_every = 1024;  // messages
    const std::uint64_t end = ctx.admin().topic(topic).next_offset;
    auto reader = ctx.broker().open_reader(topic, from, paging);
    for (std::uint64_t seen = 0;; ++seen) {
        const auto message = next_here(reader, seen > 0);
        if (!message || message->offset >= end || !take(*message) || message->offset + 1 == end) {
            return;
        }
        if (seen % flush_every == flush_every - 1 && !ctx.out().flush()) {
            return;
        }
    }
}

struct peek_options {
    std::string topic;
    std::optional<log_position> from;
    topic_filter filter;
    std::uint64_t limit = 10;
};

exit_code peek(context& ctx, const peek_options& options) {
    std::uint64_t seen = 0;
    reader_options paging;
    if (!options.filter.given()) {
        paging.batch_messages = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(options.limit, paging.batch_messages));
    }
    ctx.out().begin_stream();
    read_until_end(ctx, options.topic, options.from.value_or(log_position::earliest()), paging,
                   [&](const stored_message& message) {
                       if (!options.filter.matches(message)) {
                           return true;
                       }
                       print(ctx, message);
                       return ++seen < options.limit;
                   });
    ctx.out().end_stream();
    if (seen == 0) {
        ctx.out().remark("no messages there");
    }
    return exit_code::done;
}

struct find_options {
    std::string topic;
    message_labels labels;
    topic_filter filter;
    std::optional<log_position> since;
    std::uint64_t limit = UINT64_MAX;
};

exit_code find(context& ctx, const find_options& options) {
    const auto headers = options.labels.parsed_headers();
    std::uint64_t found = 0;
    std::uint64_t looked_at = 0;
    ctx.out().begin_stream();
    read_until_end(ctx, options.topic, options.since.value_or(log_position::earliest()), {},
                   [&](const stored_message& message) {
                       ctx.out().progress("messages looked at", ++looked_at);
                       if (!matches(message, options.labels.key, headers) ||
                           !options.filter.matches(message)) {
                           return true;
                       }
                       print(ctx, message);
                       return ++found < options.limit;
                   });
    ctx.out().end_progress();
    ctx.out().end_stream();
    if (found == 0) {
        ctx.out().remark("no message found");
    }
    return exit_code::done;
}

struct tail_options {
    std::string topic;
    std::optional<log_position> from;
    std::optional<std::uint64_t> count;
    message_labels labels;
    topic_filter filter;
};

exit_code tail(context& ctx, const tail_options& options) {
    constexpr auto look_at_signals_every = 100ms;
    const auto headers = options.labels.parsed_headers();
    const interruption stopped;
    auto reader = ctx.broker().open_reader(
        options.topic, options.from.value_or(log_position::latest()), {.skip_removed = true});
    std::uint64_t seen = 0;
    ctx.out().begin_stream();
    while (!stopped.requested() && (!options.count || seen < *options.count)) {
        auto message = reader.next(0us);
        if (!message) {
            if (!ctx.out().flush()) {
                break;
            }
            message = reader.next(look_at_signals_every);
        }
        if (message && matches(*message, options.labels.key, headers) &&
            options.filter.matches(*message)) {
            print(ctx, *message);
            ++seen;
        }
    }
    ctx.out().end_stream();
    return exit_code::done;
}

void add_one_message_verbs(command_line& line, CLI::App& noun) {
    auto get_verb = line.add_verb(noun,
                                  {"get", "Print one message.",
                                   "  brokerctl message get orders@812\n"
                                   "  brokerctl message get images@0 --raw > cat.png\n"},
                                  get);
    add_value(get_verb.app, "TOPIC@OFFSET", get_verb.options.at, parse_address, "", "Its address")
        ->required();
    get_verb.app.add_flag("--raw", get_verb.options.raw, "Only the bytes of the payload");

    auto show_verb =
        line.add_verb(noun,
                      {"show",
                       "Print a message with its state in every queue: attempts, what happens next "
                       "and when.",
                       "  brokerctl message show orders@812\n"
                       "  brokerctl message show orders@812 -o json\n"},
                      show);
    add_value(show_verb.app, "TOPIC@OFFSET", show_verb.options.at, parse_address, "", "Its address")
        ->required();
}

}  // namespace

void add_reading_verbs(command_line& line, CLI::App& noun) {
    add_one_message_verbs(line, noun);

    auto peek_verb =
        line.add_verb(noun,
                      {"peek", "Print messages of a topic without taking them.",
                       "  brokerctl message peek orders\n"
                       "  brokerctl message peek orders --from 812 --limit 100 -o ndjson\n"},
                      peek);
    add_name(peek_verb.app, "TOPIC", peek_verb.options.topic, "The topic");
    add_position(peek_verb.app, "--from", peek_verb.options.from,
                 "Where to begin (default earliest)");
    peek_verb.options.filter.add_to(peek_verb.app);
    add_count(peek_verb.app, "--limit", peek_verb.options.limit, "At most so many (default 10)");

    auto find_verb = line.add_verb(
        noun,
        {"find", "Print the messages of a topic that have a key and headers, or match a filter.",
         "  brokerctl message find orders --key 42\n"
         "  brokerctl message find orders --filter \"header.amount > 99.5 and not has key\"\n"
         "  brokerctl message find orders --header trace=abc --since -1h -o ndjson\n"},
        find);
    add_name(find_verb.app, "TOPIC", find_verb.options.topic, "The topic");
    find_verb.options.labels.add_to(find_verb.app, "The key",
                                    "A header; with several, all must match");
    find_verb.options.filter.add_to(find_verb.app);
    add_value(
        find_verb.app, "--since", find_verb.options.since,
        [](std::string_view text) -> parsed<log_position> {
            const auto time = parse_time(text, wall_now());
            return time ? parsed<log_position>(log_position::at_time(*time))
                        : std::unexpected(time.error());
        },
        "TIME", "Only from then on: 2026-03-01T12:00:00Z or -10min (default: all)");
    add_count(find_verb.app, "--limit", find_verb.options.limit, "At most so many (default: all)");

    auto tail_verb = line.add_verb(
        noun,
        {"tail",
         "Follow a topic: print messages as they are published, until ctrl-C or until the topic is "
         "removed.",
         "  brokerctl message tail orders\n"
         "  brokerctl message tail orders --from -10min --key 42 -o ndjson\n"},
        tail);
    add_name(tail_verb.app, "TOPIC", tail_verb.options.topic, "The topic");
    add_position(tail_verb.app, "--from", tail_verb.options.from,
                 "Where to begin (default latest)");
    add_count(tail_verb.app, "--count", tail_verb.options.count, "End after so many");
    tail_verb.options.labels.add_to(tail_verb.app, "Only with this key",
                                    "Only with this header; with several, all must match");
    tail_verb.options.filter.add_to(tail_verb.app);
}

}  // namespace brokerd::ctl
