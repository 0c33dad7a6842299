// brokerctl message consume: takes messages from a queue, prints them, then answers them; every
// answer is confirmed before exit. What was leased and could not be printed is released.
#include <fmt/format.h>

#include "tools/brokerctl/intake.hpp"
#include "tools/brokerctl/interruption.hpp"
#include "tools/brokerctl/message.hpp"
#include "tools/brokerctl/message_view.hpp"
#include "tools/brokerctl/units.hpp"

namespace brokerd::ctl {
namespace {

// Bytes held unanswered at once.
constexpr std::size_t held_bytes_max = 4 * 1024 * 1024;  // below the prefetch, or nothing comes

struct consume_verb_options {
    intake_options source;
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
        : ctx_(ctx), options_(options), source_(ctx, options.source) {}

    exit_code run() {
        ctx_.out().begin_stream();
        while (came_ < options_.source.count && !source_.stopped()) {
            auto leased = next();
            if (!leased) {
                break;
            }
            ++came_;
            held_bytes_ += leased->payload().size();
            ctx_.out().stream_item(message_json(view_of(*leased)), message_line(view_of(*leased)));
            held_.push_back(std::move(*leased));
            if (held_.size() >= intake::held_messages_max || held_bytes_ >= held_bytes_max) {
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
        if (auto leased = source_.at_hand()) {
            return leased;
        }
        // Nothing is kept to oneself while waiting.
        if (options_.answers_last()) {
            show_held();
        } else {
            answer_held();
        }
        return source_.wait(held_.size());
    }

    // What is held was printed: makes sure that it arrived.
    void show_held() {
        if (!held_.empty() && !ctx_.out().flush()) {
            held_.clear();  // releases them
            source_.close();
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
        if (const auto late = source_.close(); late > 0) {
            throw refusal(fmt::format(
                "the lease of {} was lost before the answer; the queue decides what becomes of it",
                plural(late, "message")));
        }
        return source_.report(came_);
    }

    context& ctx_;
    const consume_verb_options& options_;
    intake source_;
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
         "  brokerctl message consume orders/billing --reject --reason 'no such card'\n"
         "  brokerctl message consume 'orders.*/billing' --count 10 --ack\n"},
        consume);
    options.source.add_to(app);
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
