// brokerctl message publish: one message, or one per line of standard input.
//
// With --lines three threads work: the main thread reads lines and hands them in, the client's
// network thread reports their fate, and a printer writes addresses, so that neither a slow reader
// of our output nor a slow writer of our input holds up the network. What was handed in and is not
// yet printed is bounded by --in-flight.
#include <condition_variable>
#include <deque>
#include <istream>
#include <iterator>
#include <mutex>
#include <thread>

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
};

void print_address(output& out, const address& at) {
    out.stream_item({{"topic", at.topic}, {"offset", at.offset}}, to_string(at) + "\n");
}

// After this failure every further message would fail the same way.
bool hopeless(const error& failure) {
    if (!failure.from_broker()) {
        return true;
    }
    const auto code = failure.code();
    return code == broker_errc::topic_not_found || code == broker_errc::topic_removed ||
           code == broker_errc::invalid_name || code == broker_errc::draining ||
           code == broker_errc::storage_failed;
}

// Prints addresses in the order of their acknowledgement and counts the rest.
class line_results {
public:
    line_results(output& out, std::uint32_t in_flight_max)
        : out_(out), in_flight_max_(in_flight_max), printer_([this] { print(); }) {}
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
                print_address(out_, at);
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

    std::mutex mutex_;  // guards everything below
    std::condition_variable changed_;
    std::deque<address> acknowledged_;  // not yet printed
    std::uint32_t in_flight_ = 0;       // handed in and not yet printed or failed
    std::uint64_t failed_ = 0;
    std::optional<error> first_failure_;
    bool stopped_ = false;
    bool finished_ = false;
    bool output_lost_ = false;

    std::thread printer_;  // last: uses all of the above
};

exit_code publish_lines(context& ctx, const publish_options& options) {
    outlive_closed_output();
    client& broker = ctx.broker(options.in_flight);
    outgoing_message message{options.labels.key, options.labels.parsed_headers(), {}};
    ctx.out().begin_stream();
    line_results results{ctx.out(), options.in_flight};
    std::uint64_t lines = 0;
    while (std::getline(ctx.in(), message.payload)) {
        if (!results.admit()) {
            break;
        }
        ++lines;
        try {
            broker.submit(options.topic, message,
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

exit_code publish(context& ctx, const publish_options& options) {
    if (options.lines) {
        if (options.payload) {
            throw usage_error("--lines reads payloads from standard input; leave out PAYLOAD");
        }
        return publish_lines(ctx, options);
    }
    const outgoing_message message{options.labels.key, options.labels.parsed_headers(),
                                   options.payload ? *options.payload : read_payload(ctx)};
    const auto at = ctx.broker().publish(options.topic, message);
    ctx.out().object({{"topic", at.topic}, {"offset", at.offset}}, to_string(at) + "\n");
    return exit_code::done;
}

}  // namespace

void add_publish_verb(command_line& line, CLI::App& noun) {
    auto [app, options] = line.add_verb(
        noun,
        {"publish",
         "Publish a message and print its address once it is on disk. Without PAYLOAD, standard "
         "input is the payload.",
         "  brokerctl message publish orders '{\"id\":42}' --key 42 --header trace=abc\n"
         "  brokerctl message publish images < cat.png\n"
         "  seq 100000 | brokerctl message publish numbers --lines\n"},
        publish);
    add_name(app, "TOPIC", options.topic, "The topic");
    app.add_option("PAYLOAD", options.payload,
                   "The payload; write -- before one that begins with -");
    options.labels.add_to(app, "Groups messages that belong together",
                          "May be given several times");
    app.add_flag("--lines", options.lines,
                 "Each line of standard input is a message; prints the address of each as it is "
                 "acknowledged");
    app.add_option("--in-flight", options.in_flight,
                   "With --lines: most messages not yet acknowledged (default 1000)")
        ->check(CLI::Range(1U, 65536U));
}

}  // namespace brokerd::ctl
