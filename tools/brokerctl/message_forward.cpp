// brokerctl message forward: takes messages from a queue and publishes each to another topic, ack
// and publish in one transaction, so that whatever is killed in between, each is there once: in the
// queue or in the other topic. Printed is what was committed.
#include <vector>

#include <fmt/format.h>

#include "tools/brokerctl/intake.hpp"
#include "tools/brokerctl/interruption.hpp"
#include "tools/brokerctl/message.hpp"
#include "tools/brokerctl/queue_name.hpp"
#include "tools/brokerctl/units.hpp"

namespace brokerd::ctl {
namespace {

// What is at hand goes together, up to these: a transaction must fit into a frame, and what it
// holds is leased until it is committed. One larger message goes alone.
constexpr std::size_t together_messages_max = 100;
constexpr std::size_t together_bytes_max = std::size_t{1024} * 1024;

struct forward_options {
    intake_options source;
    std::string topic;
};

// Without a time to live of its own: that was about waiting to be delivered, and what comes out of
// dead messages to be looked at must not expire once more, unseen. And without its id: the topic it
// goes to may remember that of another message, and then it would be nowhere.
outgoing_message copy_of(const message& leased) {
    outgoing_message copy{.key = {},
                          .headers = {},
                          .payload = std::string(leased.payload()),
                          .priority = leased.priority()};
    if (leased.key()) {
        copy.key = std::string(*leased.key());
    }
    for (const auto& [name, value] : leased.headers()) {
        copy.headers.emplace_back(name, value);
    }
    return copy;
}

std::size_t bytes_in(const outgoing_message& copy) {
    std::size_t bytes = copy.payload.size() + (copy.key ? copy.key->size() : 0);
    for (const auto& [name, value] : copy.headers) {
        bytes += name.size() + value.size();
    }
    return bytes;
}

json address_json(const address& at) {
    return {{"topic", at.topic}, {"offset", at.offset}};
}

// One run of the command.
class forwarding {
public:
    forwarding(context& ctx, const forward_options& options)
        : ctx_(ctx), options_(options), source_(ctx, options.source) {}

    exit_code run() {
        ctx_.out().begin_stream();
        while (!source_.stopped() && (next_ || (next_ = source_.wait(0)))) {
            gather();
            commit();
        }
        next_.reset();  // releases it
        ctx_.out().end_stream();
        source_.close();
        return source_.report(forwarded_);
    }

private:
    // What is at hand, from next_ on, which is there. What does not fit is next_ again.
    void gather() {
        std::size_t bytes = 0;
        while (next_ && from_.size() < together_messages_max) {
            const auto copy = copy_of(*next_);
            bytes += bytes_in(copy);
            if (!from_.empty() && bytes > together_bytes_max) {
                return;
            }
            from_.push_back(next_->at());
            both_.publish(options_.topic, copy);
            both_.ack(std::move(*next_));
            next_ = source_.at_hand();
        }
    }

    void commit() {
        const auto done = ctx_.broker().commit(both_);
        for (std::size_t i = 0; i < from_.size(); ++i) {
            const auto& to = done.messages[i];
            ctx_.out().stream_item({{"from", address_json(from_[i])}, {"to", address_json(to)}},
                                   fmt::format("{} {}\n", to_string(from_[i]), to_string(to)));
        }
        forwarded_ += from_.size();
        from_.clear();
        ctx_.out().progress("messages forwarded", forwarded_);
        if (!ctx_.out().flush()) {
            throw refusal(fmt::format("standard output was closed; {} forwarded until then",
                                      plural(forwarded_, "message")));
        }
    }

    context& ctx_;
    const forward_options& options_;
    intake source_;
    std::optional<message> next_;  // leased, in no transaction yet
    // Of one that failed the messages are released when it goes, before their consumer does.
    transaction both_;
    std::vector<address> from_;  // of the messages in both_
    std::uint64_t forwarded_ = 0;
};

exit_code forward_messages(context& ctx, const forward_options& options) {
    if (split_queue(options.source.queue).first == options.topic) {
        throw usage_error(
            fmt::format("what is published to {0} comes to queue {1} again, so forwarding from it "
                        "to {0} would never end; name another topic",
                        options.topic, options.source.queue));
    }
    // Before anything is leased: a topic that is missing is told even when no message is there.
    static_cast<void>(ctx.admin().topic(options.topic));
    outlive_closed_output();  // there are leases to give back
    return forwarding{ctx, options}.run();
}

}  // namespace

void add_forward_verb(command_line& line, CLI::App& noun) {
    auto [app, options] = line.add_verb(
        noun,
        {"forward",
         "Take messages from a queue and publish each to another topic, with its key, headers "
         "and priority but not its time to live and its id. Ack and publish are one transaction: "
         "whatever is "
         "killed in between, each message arrives once. Prints the addresses, old and new. Never "
         "leases more than --count.",
         "  brokerctl message forward orders/billing orders-repaired\n"
         "  brokerctl message forward orders/billing orders-repaired --count 1000\n"
         "  brokerctl message forward orders.de/merge orders --count 1000000 --wait 1h -o "
         "ndjson\n"},
        forward_messages);
    options.source.add_to(app);
    add_name(app, "TO_TOPIC", options.topic, "The topic they go to; it must exist");
}

}  // namespace brokerd::ctl
