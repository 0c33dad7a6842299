// Making and removing.
#include "tools/brokerctl/bench_site.hpp"

#include <algorithm>
#include <chrono>
#include <unistd.h>

#include <fmt/format.h>

#include "protocol/types/limits.hpp"

namespace brokerd::ctl {

bench_site::bench_site(context& ctx, const bench_plan& plan)
    : ctx_(ctx), plan_(plan), address_(ctx.server()) {
    if (plan.spawn) {
        spawned_ = std::make_unique<spawned_broker>(plan.data_dir);
        address_ = spawned_->address();
        if (spawned_->directory().in_memory()) {
            ctx.out().complain(fmt::format(
                "{} is in memory, where a sync costs nothing; --data-dir names a directory on disk",
                spawned_->directory().path()));
        }
    }
    control_ = std::make_unique<client>(brokerd::connect(address_, connection_options()));
    // No two that run at the same time have the same, on whatever machine.
    name_ = fmt::format("brokerd-bench-{}-{}-{:x}", to_string(plan.workload), ::getpid(),
                        std::chrono::system_clock::now().time_since_epoch().count());
}

bench_site::~bench_site() {
    if (!created_ || spawned_) {
        return;  // what was spawned goes as a whole
    }
    try {
        admin(*control_).remove_topic(name_);
    } catch (const std::exception& failure) {
        ctx_.out().complain(
            fmt::format("topic {0} is left behind: {1}; 'brokerctl topic rm {0}' "
                        "removes it",
                        name_, failure.what()));
    }
}

void bench_site::create_topic(std::uint64_t queues) {
    constexpr std::uint64_t beside_payload = limits::key_bytes_max;
    topic_options settings;
    settings.durability = plan_.durability.value_or(settings.durability);
    settings.max_message_bytes = std::clamp<std::uint64_t>(
        plan_.size + beside_payload, settings.max_message_bytes, limits::message_bytes_max);
    created_ = true;
    control_->ensure_topic(name_, settings);
    for (std::uint64_t number = 0; number < queues; ++number) {
        control_->ensure_queue(queue(number), {}, log_position::earliest(),
                               plan_.mode.value_or(delivery_mode::shared));
    }
}

std::string bench_site::queue(std::uint64_t number) const {
    return fmt::format("{}/q{}", name_, number);
}

client_options bench_site::connection_options() const {
    client_options options;
    options.give_up_after = ctx_.connect_timeout();
    options.batch_messages = plan_.batching ? options.batch_messages : 1;
    return options;
}

std::vector<client> bench_site::connect(std::uint64_t count, std::uint64_t in_flight) const {
    constexpr std::uint64_t record_bytes = 64;  // at least, beside the payload, with a key
    client_options options = connection_options();
    options.in_flight_messages = static_cast<std::uint32_t>(in_flight);
    // The window is one of messages, whatever their size; what the process may hold bounds it.
    options.in_flight_bytes = std::clamp<std::uint64_t>(
        in_flight * (plan_.size + record_bytes), options.in_flight_bytes, std::uint64_t{1} << 30U);
    std::vector<client> result;
    for (std::uint64_t i = 0; i < count; ++i) {
        result.push_back(brokerd::connect(address_, options));
    }
    return result;
}

bench_counters bench_site::counters() {
    return bench_counters::from(admin(*control_).stats());
}

}  // namespace brokerd::ctl
