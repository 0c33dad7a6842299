// brokerctl message consume: takes messages from a queue, prints them, then answers them; every
// answer is confirmed before exit. What was leased and could not be printed is released.
#include <algorithm>

#include <fmt/format.h>

#include "tools/brokerctl/interruption.hpp"
#include "tools/brokerctl/message.hpp"
#include "tools/brokerctl/message_view.hpp"
#include "tools/brokerctl/queue_name.hpp"
#include "tools/brokerctl/units.hpp"

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

// How long a message that is there may take to arrive before "nothing came" is said.
constexpr auto grace_max = 2s;
// How often the wait looks at signals and the queue.
constexpr auto wait_slice = 50ms;
// Messages held unanswered at once.
constexpr std::uint64_t held_messages_max = 1000;
constexpr std::size_t held_bytes_max = 4 * 1024 * 1024;  // below the prefetch, or nothing comes

struct consume_verb_options {
    std::string queue;
    std::uint64_t count = 1;
    std::chrono::microseconds wait{0};
    bool ack = false;
    bool nack = false;
    bool reject = false;
    bool release = false;
    std::optional<microseconds> delay;
    std::string reason;

    [[nodiscard]] int actions() const { return int{ack} + int{nack} + int{reject} + int{release}; }
    // Nacked and released messages would come again at once and be counted twice, so these answers
    // wait until all have come.
    [[nodiscard]] bool answers_last() const { return nack || release; }
};

void check(const consume_verb_options& options) {
    if (options.actions() != 1) {
        throw usage_error(
            "say what becomes of the messages: one of --ack, --nack, --reject, --release");
    }
    if (options.delay && !options.nack) {
        throw usage_error("--delay is for --nack; leave it out");
    }
    if (!options.reason.empty() && !options.nack && !options.reject) {
        throw usage_error("--reason is for --nack and --reject; leave it out");
    }
}

void answer(message& leased, const consume_verb_options& options) {
    if (options.ack) {
        leased.ack();
    } else if (options.reject) {
        leased.reject(options.reason);
    } else if (options.release) {
        leased.release();
    } else if (options.delay) {
        leased.nack(*options.delay, options.reason);
    } else {
        leased.nack(options.reason);
    }
}

// One run of the command.
class consumption {
public:
    consumption(context& ctx, const consume_verb_options& options)
        : ctx_(ctx),
          options_(options),
          consumer_(ctx.broker().open_consumer(options.queue,
                                               {.prefetch_messages = static_cast<std::uint32_t>(
                                                    std::min(options.count, held_messages_max)),
                                                .limit = options.count,
                                                .max_hold = options.wait + 30min,
                                                .confirm = true})),
          deadline_(steady_clock::now() + options.wait) {}

    exit_code run() {
        ctx_.out().begin_stream();
        while (came_ < options_.count && !stopped_.requested()) {
            auto leased = next();
            if (!leased) {
                break;
            }
            ++came_;
            held_bytes_ += leased->payload().size();
            ctx_.out().stream_item(message_json(view_of(*leased)), message_line(view_of(*leased)));
            held_.push_back(std::move(*leased));
            if (held_.size() >= held_messages_max || held_bytes_ >= held_bytes_max) {
                answer_held();
            }
        }
        ctx_.out().end_stream();
        answer_held();
        return report();
    }

private:
    // The next message; nothing when the time is over and nothing is there.
    std::optional<message> next() {
        if (auto leased = consumer_.next(0us)) {
            return leased;
        }
        // Nothing is kept to oneself while waiting.
        if (options_.answers_last()) {
            show_held();
        } else {
            answer_held();
        }
        for (;;) {
            const auto now = steady_clock::now();
            const auto left = std::max<steady_clock::duration>(deadline_ - now, 0s);
            const auto slice =
                left > 0s ? std::min<steady_clock::duration>(left, wait_slice) : wait_slice;
            if (auto leased = consumer_.next(std::chrono::ceil<microseconds>(slice))) {
                return leased;
            }
            if (stopped_.requested() ||
                (left == 0s && (now >= deadline_ + grace_max || nothing_to_come()))) {
                return std::nullopt;
            }
        }
    }

    // The broker has nothing for this consumer: neither ready nor on its way.
    bool nothing_to_come() {
        const auto queue = ctx_.admin().queue(options_.queue);
        if (queue.ready > 0 && !queue.paused) {
            return false;
        }
        const auto own = ctx_.broker().broker().connection;
        std::uint64_t leased = 0;
        for (const auto& each : ctx_.admin().consumers(options_.queue)) {
            leased += each.connection == own ? each.leased : 0;
        }
        return leased <= held_.size();
    }

    // What is held was printed: makes sure that it arrived.
    void show_held() {
        if (!held_.empty() && !ctx_.out().flush()) {
            held_.clear();  // releases them
            consumer_.close();
            throw refusal("standard output was closed; the messages not printed were released");
        }
    }

    void answer_held() {
        show_held();
        for (auto& leased : held_) {
            answer(leased, options_);
        }
        held_.clear();
        held_bytes_ = 0;
        ctx_.out().progress("messages", came_);
    }

    exit_code report() {
        const auto settled = consumer_.flush();
        consumer_.close();
        ctx_.out().end_progress();
        if (settled.refused > 0) {
            throw refusal(fmt::format(
                "the lease of {} was lost before the answer; the queue decides what becomes of it",
                plural(settled.refused, "message")));
        }
        if (came_ == options_.count) {
            return exit_code::done;
        }
        ctx_.out().complain(too_few());
        return exit_code::refused;
    }

    std::string too_few() const {
        const auto came =
            came_ == 0 ? std::string("no message")
                       : fmt::format("only {} of {}", came_, plural(options_.count, "message"));
        if (stopped_.requested()) {
            return fmt::format("interrupted, {} came", came);
        }
        const auto when =
            options_.wait > 0us
                ? fmt::format("within {:g} s", std::chrono::duration<double>(options_.wait).count())
                : std::string("there");
        return fmt::format("{} {}; 'brokerctl queue explain {}' says why", came, when,
                           options_.queue);
    }

    context& ctx_;
    const consume_verb_options& options_;
    interruption stopped_;
    consumer consumer_;
    steady_clock::time_point deadline_;
    std::vector<message> held_;  // printed, not answered
    std::size_t held_bytes_ = 0;
    std::uint64_t came_ = 0;
};

exit_code consume(context& ctx, const consume_verb_options& options) {
    check(options);
    outlive_closed_output();  // there are leases to give back
    return consumption{ctx, options}.run();
}

}  // namespace

void add_consume_verb(command_line& line, CLI::App& noun) {
    auto [app, options] = line.add_verb(
        noun,
        {"consume",
         "Take messages from a queue, print them and answer them. Never leases more than --count; "
         "every answer is confirmed before exit.",
         "  brokerctl message consume orders/billing --ack\n"
         "  brokerctl message consume orders/billing --count 10 --wait 6 --ack -o ndjson\n"
         "  brokerctl message consume orders/billing --nack --delay 5s --reason 'card service "
         "down'\n"
         "  brokerctl message consume orders/billing --reject --reason 'no such card'\n"},
        consume);
    add_name(app, "TOPIC/QUEUE", options.queue, "The queue");
    add_count(app, "--count", options.count, "How many messages (default 1)");
    add_value(app, "--wait", options.wait, parse_seconds, "SECONDS",
              "How long to wait for them (default 0: only what is there now)");
    app.add_flag("--ack", options.ack, "They are done");
    app.add_flag("--nack", options.nack, "They failed and come again");
    app.add_flag("--reject", options.reject, "They failed for good: dead");
    app.add_flag("--release", options.release, "Give them back; counts no attempt");
    add_duration(app, "--delay", options.delay,
                 "With --nack: until they come again (default: the queue's back-off)");
    app.add_option("--reason", options.reason,
                   "With --nack and --reject: kept in the messages' history");
}

}  // namespace brokerd::ctl
