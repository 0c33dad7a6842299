// Leasing what a command was asked to take.
#include "tools/brokerctl/intake.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "protocol/types/names.hpp"
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

}  // namespace

void intake_options::add_to(CLI::App& app) {
    add_name(app, "TOPIC/QUEUE", queue, "The queue, or PATTERN/QUEUE: of all its queues");
    add_count(app, "--count", count, "How many messages (default 1)");
    add_value(app, "--wait", wait, parse_seconds, "SECONDS",
              "How long to wait for them (default 0: only what is there now)");
}

intake::intake(context& ctx, const intake_options& options)
    : ctx_(ctx),
      options_(options),
      consumer_(ctx.broker().open_consumer(options.queue,
                                           {.prefetch_messages = static_cast<std::uint32_t>(
                                                std::min(options.count, held_messages_max)),
                                            .limit = options.count,
                                            .max_hold = options.wait + 30min,
                                            .confirm = true})),
      deadline_(steady_clock::now() + options.wait) {}

std::optional<message> intake::at_hand() {
    auto leased = consumer_.next(0us);
    came_ += leased ? 1U : 0U;
    return leased;
}

std::optional<message> intake::wait(std::uint64_t held) {
    // What was asked for last may be on its way, however long the command has run.
    const auto grace_end = std::max(deadline_, steady_clock::now()) + grace_max;
    while (came_ < options_.count && !stopped()) {
        const auto now = steady_clock::now();
        const auto left = std::max<steady_clock::duration>(deadline_ - now, 0s);
        const auto slice =
            left > 0s ? std::min<steady_clock::duration>(left, wait_slice) : wait_slice;
        if (auto leased = consumer_.next(std::chrono::ceil<microseconds>(slice))) {
            ++came_;
            return leased;
        }
        if (left == 0s && (now >= grace_end || nothing_to_come(held))) {
            break;
        }
    }
    return std::nullopt;
}

// The one, or those that the pattern queue has by now.
std::vector<queue_info> intake::source_queues() {
    if (!is_pattern(options_.queue)) {
        return {ctx_.admin().queue(options_.queue)};
    }
    const auto [pattern, name] = split_queue(options_.queue);
    const auto mode = ctx_.admin().pattern(options_.queue).mode;
    auto found = ctx_.admin().queues();
    std::erase_if(found, [&](const queue_info& each) {
        return each.queue != name || each.mode != mode || !pattern_matches(pattern, each.topic);
    });
    return found;
}

// The broker has nothing for this consumer: neither ready nor on its way.
bool intake::nothing_to_come(std::uint64_t held) {
    const bool pattern = is_pattern(options_.queue);
    for (const auto& queue : source_queues()) {
        if (queue.ready > 0 && !queue.paused) {
            return false;
        }
    }
    const auto own = ctx_.broker().broker().connection;
    std::uint64_t leased = 0;
    for (const auto& each : ctx_.admin().consumers(pattern ? "" : options_.queue)) {
        leased += each.connection == own ? each.leased : 0;
    }
    return leased <= held;
}

std::uint64_t intake::close() {
    const auto settled = consumer_.flush();
    consumer_.close();
    ctx_.out().end_progress();
    return settled.refused;
}

exit_code intake::report(std::uint64_t done) {
    if (done == options_.count) {
        return exit_code::done;
    }
    ctx_.out().complain(too_few(done));
    return exit_code::refused;
}

std::string intake::too_few(std::uint64_t done) const {
    const auto came = done == 0
                          ? std::string("no message")
                          : fmt::format("only {} of {}", done, plural(options_.count, "message"));
    if (stopped()) {
        return fmt::format("interrupted, {} came", came);
    }
    const auto when =
        options_.wait > 0us
            ? fmt::format("within {:g} s", std::chrono::duration<double>(options_.wait).count())
            : std::string("there");
    if (is_pattern(options_.queue)) {
        return fmt::format("{} {}; 'brokerctl queue ls' shows the queues of {}", came, when,
                           options_.queue);
    }
    return fmt::format("{} {}; 'brokerctl queue explain {}' says why", came, when, options_.queue);
}

}  // namespace brokerd::ctl
