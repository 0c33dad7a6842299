// Settings given on the command line, against those in force.
#include "tools/brokerctl/settings.hpp"

#include <fmt/format.h>

#include "protocol/types/duration.hpp"
#include "tools/brokerctl/command_line.hpp"
#include "tools/brokerctl/filter.hpp"
#include "tools/brokerctl/text.hpp"
#include "tools/brokerctl/units.hpp"

namespace brokerd::ctl {
namespace {

std::string plain(std::uint64_t value) {
    return fmt::format("{}", value);
}

std::string percent(std::uint32_t value) {
    return fmt::format("{}%", value);
}

std::string quoted(std::string_view filter) {
    return filter.empty() ? "none" : fmt::format("\"{}\"", terminal_text(filter));
}

template <typename Policy>
std::string_view word(Policy value) {
    return to_string(value);
}

// Calls visit(name, given, in force, text of a value) for each setting.
template <typename Settings, typename Visit>
void each(const topic_changes& given, Settings& settings, Visit visit) {
    visit("keep-done", given.keep_done, settings.keep_done, format_duration);
    visit("max-message-bytes", given.max_message_bytes, settings.max_message_bytes, exact_bytes);
    visit("ttl", given.ttl, settings.ttl, format_duration);
    visit("durability", given.durability, settings.durability, word<durability_level>);
    visit("message-id-window", given.message_id_window, settings.message_id_window,
          format_duration);
    visit("keep-done-bytes", given.keep_done_bytes, settings.keep_done_bytes, bytes_or_none);
    visit("max-messages", given.max_messages, settings.max_messages, number_or_none);
    visit("max-bytes", given.max_bytes, settings.max_bytes, bytes_or_none);
    visit("when-full", given.when_full, settings.when_full, word<overflow_policy>);
    visit("max-age", given.max_age, settings.max_age, duration_or_none);
    visit("priorities", given.priorities, settings.priorities, plain);
}

template <typename Settings, typename Visit>
void each(const queue_changes& given, Settings& settings, Visit visit) {
    visit("lease", given.lease, settings.lease, format_duration);
    visit("attempts", given.attempts, settings.attempts, plain);
    visit("backoff", given.backoff, settings.backoff, format_duration);
    visit("backoff-max", given.backoff_max, settings.backoff_max, format_duration);
    visit("max-retrying", given.max_retrying, settings.max_retrying, plain);
    visit("max-runs", given.max_runs, settings.max_runs, plain);
    visit("jitter", given.jitter_percent, settings.jitter_percent, percent);
    visit("after-failure", given.after_failure, settings.after_failure, word<failure_policy>);
    visit("expires", given.expires, settings.expires, format_duration);
    visit("on-expiry", given.on_expiry, settings.on_expiry, word<expiry_policy>);
    visit("filter", given.filter, settings.filter, quoted);
    visit("until", given.until, settings.until, number_or_none);
}

template <typename Changes, typename Settings>
void apply(const Changes& given, Settings& settings) {
    each(given, settings, [](const char*, const auto& wanted, auto& setting, auto) {
        if (wanted) {
            setting = *wanted;
        }
    });
}

template <typename Changes, typename Settings>
std::string describe(const Changes& given, const Settings& settings) {
    std::string text;
    each(given, settings, [&](const char* name, const auto& wanted, const auto&, auto spell) {
        if (wanted) {
            text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, spell(*wanted));
        }
    });
    return text;
}

template <typename Changes, typename Settings>
std::string describe_conflict(const Changes& given, const Settings& in_force) {
    std::string text;
    each(given, in_force,
         [&](const char* name, const auto& wanted, const auto& setting, auto spell) {
             if (wanted && *wanted != setting) {
                 text += fmt::format("{}{} {}, not {}", text.empty() ? "" : "; ", name,
                                     spell(setting), spell(*wanted));
             }
         });
    return text;
}

}  // namespace

void topic_changes::add_to(CLI::App& app) {
    add_duration(app, "--keep-done", keep_done,
                 "How long a message stays readable after every queue is done with it");
    add_size(app, "--keep-done-bytes", keep_done_bytes,
             "How much of what every queue is done with stays readable: of what --keep-done keeps, "
             "or without it however old; 0: no bound by size");
    add_bound(app, "--max-messages", max_messages,
              "Most messages that some queue is not done with, without queues most messages; 0: no "
              "bound");
    add_size(app, "--max-bytes", max_bytes, "Likewise, most bytes, from 4KiB on; 0: no bound");
    add_choice(app, "--when-full", when_full, overflow_policies,
               "What becomes of a message beyond these bounds: it is refused, or the oldest ones "
               "make room, whether or not a queue still needs them");
    add_duration(app, "--max-age", max_age,
                 "Older messages are dropped, whether or not a queue still needs them, from 1s on; "
                 "0: never");
    add_size(app, "--max-message-bytes", max_message_bytes,
             "Largest message the topic accepts; brokerd's own --max-message-bytes holds as well");
    add_duration(app, "--ttl", ttl,
                 "Time to live of messages that have none of their own, from their append on, also "
                 "of those already stored; 0: none");
    add_choice(app, "--durability", durability, durability_levels,
               "How safe a message is when its publish is answered: synced to disk, or handed to "
               "the operating system, which syncs it soon: faster, and a power cut may take it");
    add_duration(app, "--message-id-window", message_id_window,
                 "How long ids of messages are remembered, so that none is stored twice, up to "
                 "365d; 0: they are not looked at");
    add_value(
        app, "--priorities", priorities, parse_priorities, "N",
        "Levels of priority, 1 to 10 (default 1), fixed when the topic is made: queues of mode "
        "shared give out messages of the highest level first");
}

void topic_changes::apply_to(topic_options& settings) const {
    apply(*this, settings);
}
std::string topic_changes::text() const {
    return describe(*this, topic_options{});
}
std::string topic_changes::conflict(const topic_options& in_force) const {
    return describe_conflict(*this, in_force);
}

void queue_changes::add_to(CLI::App& app) {
    add_duration(app, "--lease", lease, "How long a lease lasts unless renewed, 100ms to 12h");
    app.add_option("--attempts", attempts, "Failed attempts after which a message is dead");
    add_duration(app, "--backoff", backoff, "Delay before the first retry; it doubles with each");
    add_duration(app, "--backoff-max", backoff_max, "Longest delay before a retry");
    add_count(app, "--max-retrying", max_retrying,
              "Retrying messages beyond which the queue pauses");
    add_count(app, "--max-runs", max_runs,
              "Gaps between settled messages beyond which the queue pauses");
    app.add_option("--jitter", jitter_percent,
                   "Retry delays are spread by up to this many percent to either side")
        ->type_name("PERCENT")
        ->check(CLI::Range(0, 100));
    add_choice(app, "--after-failure", after_failure, failure_policies,
               "What later messages of a key do while one is retrying (mode single: all later "
               "ones)");
    add_duration(app, "--expires", expires,
                 "A temporary queue goes after so long without a consumer, 1s to 365d; 0: never");
    add_choice(app, "--on-expiry", on_expiry, expiry_policies,
               "What a message becomes whose time to live is over");
    add_subscription_filter(app, filter);
}

void queue_changes::apply_to(queue_options& settings) const {
    apply(*this, settings);
}
std::string queue_changes::text() const {
    return describe(*this, queue_options{});
}
std::string queue_changes::conflict(const queue_options& in_force) const {
    return describe_conflict(*this, in_force);
}

}  // namespace brokerd::ctl
