// brokerctl message publish: one message, or one per line of standard input.
//
// With --delay or --at it is scheduled instead, and the id of its schedule printed. With --id it is
// told whether it was there already.
//
// With --lines three threads work: the main thread reads lines and hands them in, the client's
// network thread reports their fate, and a printer writes what is acknowledged, so that neither a
// slow reader of our output nor a slow writer of our input holds up the network. What was handed in
// and is not yet printed is bounded by --in-flight.
#include <condition_variable>
#include <deque>
#include <istream>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "tools/brokerctl/interruption.hpp"
#include "tools/brokerctl/message.hpp"
#include "tools/brokerctl/units.hpp"

namespace brokerd::ctl {
namespace {

struct publish_options {
    std::string topic;
    std::optional<std::string> payload;
    message_labels labels;
    bool lines = false;
    std::uint32_t in_flight = 1000;
    std::optional<microseconds> delay;
    std::optional<timestamp> at;
    std::optional<microseconds> ttl;
    std::optional<std::string> id;
    std::optional<std::uint8_t> priority;

    // Nothing: append now.
    [[nodiscard]] std::optional<schedule_time> when() const {
        if (delay && at) {
            throw usage_error("give either --delay or --at, not both");
        }
        if (delay) {
            return schedule_time::after(*delay);
        }
        return at ? std::optional(schedule_time::at(*at)) : std::nullopt;
    }

    [[nodiscard]] outgoing_message message_with(std::string bytes) const {
        return {.key = labels.key,
                .headers = labels.parsed_headers(),
                .payload = std::move(bytes),
                .ttl = ttl,
                .id = id.value_or(std::string{}),
                .priority = priority.value_or(std::uint8_t{0})};
    }
};

// What was acknowledged, as the two output forms say it.
struct acknowledgement {
    json value;
    std::string text;  // with its line end
};

acknowledgement published(const std::string& topic, std::uint64_t offset) {
    return {{{"topic", topic}, {"offset", offset}}, to_string(address{topic, offset}) + "\n"};
}

acknowledgement scheduled(const std::string& topic, std::uint64_t id) {
    return {{{"topic", topic}, {"schedule", id}}, fmt::format("{} schedule {}\n", topic, id)};
}

// What the broker says of a message with an id: a duplicate has the address of the first.
void add_duplicate(acknowledgement& to, bool duplicate) {
    to.value["duplicate"] = duplicate;
    if (duplicate) {
        to.text.insert(to.text.size() - 1, " (stored before)");
    }
}

// After this failure every further message would fail the same way.
bool hopeless(const error& failure) {
    if (!failure.from_broker()) {
        return true;
    }
    const auto code = failure.code();
    return code == broker_errc::topic_not_found || code == broker_errc::topic_removed ||
           code == broker_errc::invalid_name || code == broker_errc::draining ||
           code == broker_errc::storage_failed || code == broker_errc::topic_full ||
           code == broker_errc::invalid_argument || code == broker_errc::feature_unsupported;
}

using describe_function = acknowledgement (*)(const std::string& topic, std::uint64_t number);

// Prints what was acknowledged, in that order, and counts the rest.
class line_results {
public:
    line_results(output& out, std::uint32_t in_flight_max, describe_function describe)
        : out_(out),
          in_flight_max_(in_flight_max),
          describe_(describe),
          printer_([this] { print(); }) {}
    ~line_results() { finish(); }
    line_results(const line_results&) = delete;
    line_results& operator=(const line_results&) = delete;

    // Waits until one more message may be in flight. False: stop, more would be useless.
    [[nodiscard]] bool admit() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return in_flight_ < in_flight_max_ || stopped_; });
        if (stopped_) {
            return false;
        }
        ++in_flight_;
        return true;
    }

    // On the client's network thread, in order of acknowledgement.
    void take(const publish_result& result) {
        const std::lock_guard lock{mutex_};
        if (result) {
            acknowledged_.push_back({std::string(result.topic), result.offset});
        } else {
            record_failure(*result.failure);
        }
        changed_.notify_all();
    }

    // The client refused to take the message that was admitted last.
    void refuse(const error& failure) {
        const std::lock_guard lock{mutex_};
        record_failure(failure);
        changed_.notify_all();
    }

    // Everything handed in has its result: prints the rest.
    void finish() {
        {
            const std::lock_guard lock{mutex_};
            finished_ = true;
            changed_.notify_all();
        }
        if (printer_.joinable()) {
            printer_.join();
        }
    }

    // After finish().
    [[nodiscard]] std::uint64_t failed() const { return failed_; }
    [[nodiscard]] const std::optional<error>& first_failure() const { return first_failure_; }
    [[nodiscard]] bool output_lost() const { return output_lost_; }

private:
    void record_failure(const error& failure) {
        if (++failed_ == 1) {
            first_failure_ = failure;
        }
        stopped_ = stopped_ || hopeless(failure);
        --in_flight_;
    }

    void print() {
        std::deque<address> batch;
        std::uint64_t printed = 0;
        for (;;) {
            {
                std::unique_lock lock{mutex_};
                in_flight_ -= static_cast<std::uint32_t>(batch.size());
                batch.clear();
                changed_.notify_all();
                changed_.wait(lock, [this] { return !acknowledged_.empty() || finished_; });
                if (acknowledged_.empty()) {
                    return;
                }
                batch.swap(acknowledged_);
            }
            for (const auto& at : batch) {
                const auto said = describe_(at.topic, at.offset);
                out_.stream_item(said.value, said.text);
            }
            printed += batch.size();
            out_.progress("messages published", printed);
            if (!out_.flush()) {
                const std::lock_guard lock{mutex_};
                output_lost_ = true;
                stopped_ = true;
                changed_.notify_all();
            }
        }
    }

    output& out_;  // used by the printer alone until finish()
    const std::uint32_t in_flight_max_;
    const describe_function describe_;

    std::mutex mutex_;  // guards everything below
    std::condition_variable changed_;
    std::deque<address> acknowledged_;  // not yet printed; of a schedule the id, not an offset
    std::uint32_t in_flight_ = 0;       // handed in and not yet printed or failed
    std::uint64_t failed_ = 0;
    std::optional<error> first_failure_;
    bool stopped_ = false;
    bool finished_ = false;
    bool output_lost_ = false;

    std::thread printer_;  // last: uses all of the above
};

void hand_in(client& broker, const publish_options& options, const outgoing_message& message,
             const std::optional<schedule_time>& when, publish_callback take) {
    if (when) {
        broker.schedule(options.topic, message, *when, std::move(take));
    } else {
        broker.submit(options.topic, message, std::move(take));
    }
}

exit_code publish_lines(context& ctx, const publish_options& options,
                        const std::optional<schedule_time>& when) {
    outlive_closed_output();
    client& broker = ctx.broker(options.in_flight);
    outgoing_message message = options.message_with({});
    ctx.out().begin_stream();
    line_results results{ctx.out(), options.in_flight, when ? scheduled : published};
    std::uint64_t lines = 0;
    while (std::getline(ctx.in(), message.payload)) {
        if (!results.admit()) {
            break;
        }
        ++lines;
        try {
            hand_in(broker, options, message, when,
                    [&results](const publish_result& result) { results.take(result); });
        } catch (const error& failure) {
            results.refuse(failure);
        }
    }
    broker.flush();
    results.finish();
    ctx.out().end_stream();
    ctx.out().end_progress();
    if (results.output_lost()) {
        throw refusal("standard output was closed; what was acknowledged is stored");
    }
    if (results.failed() > 0) {
        const error& first = *results.first_failure();
        const auto what = fmt::format("{} of {} not acknowledged; first: {}", results.failed(),
                                      plural(lines, "message"), first.what());
        if (results.failed() == lines && exit_code_of(first) == exit_code::usage) {
            throw usage_error(what);  // such as a malformed topic name: not about the messages
        }
        throw refusal(what);
    }
    return exit_code::done;
}

std::string read_payload(context& ctx) {
    if (ctx.in_terminal()) {
        ctx.out().remark("type the payload; ctrl-D ends it");
    }
    return {std::istreambuf_iterator<char>(ctx.in()), {}};
}

acknowledgement publish_one(context& ctx, const publish_options& options,
                            const outgoing_message& message,
                            const std::optional<schedule_time>& when) {
    client& broker = ctx.broker();
    acknowledgement said;
    std::optional<error> failure;
    hand_in(broker, options, message, when, [&](const publish_result& result) {
        if (!result) {
            failure = *result.failure;
            return;
        }
        said = (when ? scheduled : published)(options.topic, result.offset);
        if (options.id) {
            add_duplicate(said, result.duplicate);
        }
    });
    broker.flush();
    if (failure) {
        throw error(*failure);
    }
    return said;
}

exit_code publish(context& ctx, const publish_options& options) {
    const auto when = options.when();
    if (options.ttl == microseconds{0}) {
        throw usage_error("--ttl must be longer than 0; without it the topic's holds");
    }
    if (options.id == "") {
        throw usage_error("--id must not be empty; leave it out for a message without one");
    }
    if (options.lines) {
        if (options.id) {
            throw usage_error("--id names one message; with --lines there are many");
        }
        if (options.payload) {
            throw usage_error("--lines reads payloads from standard input; leave out PAYLOAD");
        }
        return publish_lines(ctx, options, when);
    }
    const auto message =
        options.message_with(options.payload ? *options.payload : read_payload(ctx));
    const auto said = publish_one(ctx, options, message, when);
    ctx.out().object(said.value, said.text);
    return exit_code::done;
}

}  // namespace

void add_publish_verb(command_line& line, CLI::App& noun) {
    auto [app, options] = line.add_verb(
        noun,
        {"publish",
         "Publish a message and print its address once it is on disk (or as safe as its topic asks "
         "for). Without PAYLOAD, standard input is the payload. With --delay or --at the broker "
         "keeps it and appends it to the topic when it is due; its schedule is printed, see "
         "'brokerctl schedule'. With --id it is stored once, however often it is published.",
         "  brokerctl message publish orders '{\"id\":42}' --key 42 --header trace=abc\n"
         "  brokerctl message publish images < cat.png\n"
         "  seq 100000 | brokerctl message publish numbers --lines\n"
         "  brokerctl message publish reminders 'still in the basket?' --delay 2h\n"
         "  brokerctl message publish reminders 'good morning' --at 2026-03-01T07:00:00+01:00\n"
         "  brokerctl message publish codes 4711 --key ann --ttl 5min\n"
         "  brokerctl message publish orders '{\"id\":42}' --id order-42\n"
         "  brokerctl message publish mails 'your code is 4711' --priority 2\n"},
        publish);
    add_name(app, "TOPIC", options.topic, "The topic");
    app.add_option("PAYLOAD", options.payload,
                   "The payload; write -- before one that begins with -");
    options.labels.add_to(app, "Groups messages that belong together",
                          "May be given several times");
    app.add_flag("--lines", options.lines,
                 "Each line of standard input is a message; prints the address or schedule of each "
                 "as it is acknowledged; ends where all others would be refused, too, as when the "
                 "topic is full");
    app.add_option("--in-flight", options.in_flight,
                   "With --lines: most messages not yet acknowledged (default 1000)")
        ->check(CLI::Range(1U, 65536U));
    add_duration(app, "--delay", options.delay,
                 "Append it so long after it has arrived at the broker, for example 10min");
    add_value(app, "--at", options.at, parse_due, "TIME",
              "Append it at this time, for example 2026-03-01T12:00:00Z; one that has passed: now");
    add_duration(app, "--ttl", options.ttl,
                 "How long it may wait to be delivered, counted from its append, for example 5min "
                 "(default: what the topic says); then it is done or dead, as each queue says");
    add_value(
        app, "--priority", options.priority, parse_priority, "N",
        "0 to 9 (default 0): queues of mode shared give out higher ones first, if the topic has "
        "levels (its --priorities)");
    app.add_option("--id", options.id,
                   "Says which message it is, up to 255 bytes: as long as the topic remembers it "
                   "(its --message-id-window) none with the same id is stored again, and what was "
                   "stored is printed");
}

}  // namespace brokerd::ctl
