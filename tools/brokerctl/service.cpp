// brokerctl service: ls, call, answer.
#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tools/brokerctl/interruption.hpp"
#include "tools/brokerctl/message.hpp"
#include "tools/brokerctl/message_view.hpp"
#include "tools/brokerctl/text.hpp"
#include "tools/brokerctl/views.hpp"

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;

// How often a responder is looked for, and ctrl-C.
constexpr auto poll = 50ms;

struct list_services_options {};

exit_code list_services(context& ctx, const list_services_options&) {
    std::vector<json> rows;
    for (const auto& service : ctx.admin().services()) {
        rows.push_back(service_row(service));
    }
    ctx.out().list(service_columns(), rows);
    if (rows.empty()) {
        ctx.out().remark("no services: nobody answers requests");
    }
    return exit_code::done;
}

// Key, headers and payload as those of a message.
void add_parts(json& to, const std::optional<std::string>& key, const std::vector<header>& headers,
               const std::string& payload) {
    message_view view;
    view.key = key;
    view.headers.assign(headers.begin(), headers.end());
    view.payload = payload;
    const json parts = message_json(view);
    for (const char* name : {"key", "key_base64", "headers", "payload", "payload_base64"}) {
        if (parts.contains(name)) {
            to[name] = parts[name];
        }
    }
}

struct call_options {
    std::string service;
    std::optional<std::string> payload;
    message_labels labels;
    std::optional<microseconds> timeout;
    microseconds wait{0};
};

// Where nobody answers nothing was done: asked again until `wait` is over.
service_reply ask(context& ctx, const call_options& options, const outgoing_message& message) {
    request_options how;
    how.timeout = options.timeout.value_or(how.timeout);
    const auto until = std::chrono::steady_clock::now() + options.wait;
    while (true) {
        try {
            return ctx.broker().request(options.service, message, how);
        } catch (const error& failure) {
            if (failure.code() != broker_errc::no_responder ||
                std::chrono::steady_clock::now() >= until) {
                throw;
            }
        }
        std::this_thread::sleep_for(poll);
    }
}

exit_code call(context& ctx, const call_options& options) {
    const outgoing_message message{.key = options.labels.key,
                                   .headers = options.labels.parsed_headers(),
                                   .payload = options.payload.value_or(std::string())};
    const service_reply reply = ask(ctx, options, message);
    json said{{"service", options.service}, {"responder", reply.responder}};
    add_parts(said, reply.key, reply.headers, reply.payload);
    ctx.out().object(said, reply.payload + "\n");
    return exit_code::done;
}

struct answer_options {
    std::string service;
    bool echo = false;
    std::optional<std::string> reply;
    std::uint64_t count = 0;  // 0: until ctrl-C
};

// False: nobody reads it any more.
bool show_request(context& ctx, const service_request& asked) {
    json row{{"service", asked.service}, {"requester", asked.requester}};
    add_parts(row, asked.key, asked.headers, asked.payload);
    ctx.out().stream_item(
        row, fmt::format("{}  {}\n", terminal_text(asked.requester), terminal_text(asked.payload)));
    return ctx.out().flush();
}

exit_code answer(context& ctx, const answer_options& options) {
    if (options.echo == options.reply.has_value()) {
        throw usage_error("say what to answer: either --echo or --reply TEXT");
    }
    outlive_closed_output();
    client& broker = ctx.broker();
    const interruption interrupted;
    std::stop_source stop;
    const std::jthread watch([&](const std::stop_token& over) {
        while (!over.stop_requested() && !interrupted.requested()) {
            std::this_thread::sleep_for(poll);
        }
        stop.request_stop();
    });
    std::uint64_t shown = 0;
    const auto handle = [&](const service_request& asked) -> outgoing_message {
        const bool seen = show_request(ctx, asked);
        if (++shown == options.count || !seen) {
            stop.request_stop();
        }
        return options.echo ? outgoing_message{asked.key, asked.headers, asked.payload}
                            : outgoing_message{.payload = *options.reply};
    };
    ctx.out().begin_stream();
    const std::uint64_t handled = broker.serve(
        options.service, handle, {.concurrency = 1, .prefetch = 1, .stop = stop.get_token()});
    ctx.out().end_stream();
    return handled < options.count ? exit_code::refused : exit_code::done;
}

}  // namespace

void add_service_verbs(command_line& line) {
    auto& noun = line.add_noun("service", "Requests and replies: ls, call, answer");

    line.add_verb(noun,
                  {"ls",
                   "List the services that have a responder, and what they have to do. Counts are "
                   "those since each has had one.",
                   "  brokerctl service ls\n"
                   "  brokerctl service ls -o json\n"},
                  list_services);

    auto call_verb = line.add_verb(
        noun,
        {"call",
         "Ask a service and print the reply of one of its responders. Nothing of it is stored. "
         "Exits with 4 if a responder may have done what was asked without a reply.",
         "  brokerctl service call prices 'apples?'\n"
         "  brokerctl service call prices 'apples?' --header trace=abc --timeout 2s\n"
         "  brokerctl service call prices ping --wait 10\n"},
        call);
    add_name(call_verb.app, "SERVICE", call_verb.options.service, "The service");
    call_verb.app.add_option("PAYLOAD", call_verb.options.payload,
                             "What to ask; empty if left out; write -- before one that begins with "
                             "-");
    call_verb.options.labels.add_to(call_verb.app, "Key of the request",
                                    "May be given several times");
    add_duration(call_verb.app, "--timeout", call_verb.options.timeout,
                 "Time for the reply, 1ms to 1h (default 30s)");
    add_value(call_verb.app, "--wait", call_verb.options.wait, parse_seconds, "SECONDS",
              "How long to wait for a responder where there is none (default 0)");

    auto answer_verb = line.add_verb(
        noun,
        {"answer",
         "Answer the requests of a service, always alike, and print each: to try out who asks "
         "before the service exists. Ends with ctrl-C.",
         "  brokerctl service answer prices --reply 42\n"
         "  brokerctl service answer ping --echo --count 1\n"},
        answer);
    add_name(answer_verb.app, "SERVICE", answer_verb.options.service, "The service");
    answer_verb.app.add_flag("--echo", answer_verb.options.echo, "Reply with the request itself");
    answer_verb.app.add_option("--reply", answer_verb.options.reply, "Reply with this text")
        ->type_name("TEXT");
    add_count(answer_verb.app, "--count", answer_verb.options.count,
              "End after so many (default: never)");
}

}  // namespace brokerd::ctl
