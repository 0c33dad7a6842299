// Draining, reading and changing for loads and audits.
#include "tests/crash/mix_client.hpp"

#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "tests/crash/crash_clients.hpp"

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr auto drain_time = 40s;  // expired and unmatched messages may rest for 10 s after a start

}  // namespace

client mix_connect(const mix_scene& scene) {
    client_options options = patient();
    options.give_up_after = 60s;
    return connect(scene.server(), options);
}

answer choose_answer(base::random& random) {
    const std::uint64_t dice = random.below(40);
    if (dice < 6) {
        return answer::ack_confirmed;
    }
    if (dice < 33) {
        return answer::ack;
    }
    if (dice < 37) {
        return answer::nack;
    }
    return dice < 39 ? answer::release : answer::reject;
}

bool confirmed_ack(message& which) {
    try {
        which.ack_confirmed();
        return true;
    } catch (const error& failed) {
        if (failed.code() != broker_errc::lease_gone) {
            throw;
        }
    }
    return false;
}

std::vector<stored_message> read_topic(client& with, const std::string& topic) {
    admin look(with);
    std::vector<stored_message> all;
    log_position from = log_position::earliest();
    while (true) {
        read_page page = look.read(topic, from);
        for (auto& each : page.messages) {
            all.push_back(std::move(each));
        }
        if (page.position >= page.next_offset) {
            return all;
        }
        from = log_position::at_offset(page.position);
    }
}

std::map<std::uint64_t, std::uint64_t> read_numbers(client& with, const std::string& topic) {
    std::map<std::uint64_t, std::uint64_t> stored;
    for (const auto& each : read_topic(with, topic)) {
        stored[each.offset] = content_of(each.payload);
    }
    return stored;
}

std::vector<dead_message> read_dead(client& with, const std::string& queue) {
    admin look(with);
    std::vector<dead_message> all;
    for (dead_page page{.next = 0, .more = true, .messages = {}}; page.more;) {
        page = look.dead(queue, page.next);
        all.insert(all.end(), page.messages.begin(), page.messages.end());
    }
    return all;
}

void drain_queue(client& with, findings& told, const std::string& queue,
                 const std::function<void(const message&)>& each, std::uint32_t prefetch) {
    admin look(with);
    const auto deadline = std::chrono::steady_clock::now() + drain_time;
    consume_options options;
    options.prefetch_messages = prefetch;
    options.confirm = true;
    auto from = with.open_consumer(queue, options);
    while (true) {
        if (auto taken = from.next(50ms)) {
            each(*taken);
            taken->ack();
            continue;
        }
        (void)from.flush();
        const queue_info now = look.queue(queue);
        if (now.ready + now.leased + now.retrying == 0) {
            // Offsets that a topic of durability os skipped are done, too.
            const std::uint64_t end = look.topic(now.topic).next_offset;
            if (now.done + now.dead != end) {
                told.tell(fmt::format("{} has {} done and {} dead of {} offsets", queue, now.done,
                                      now.dead, end));
            }
            break;
        }
        if (std::chrono::steady_clock::now() > deadline) {
            told.tell(fmt::format("{} does not become empty: {} ready, {} leased, {} retrying: {}",
                                  queue, now.ready, now.leased, now.retrying, look.explain(queue)));
            break;
        }
    }
    from.close();
}

void remove_surely(client& with, const std::string& queue) {
    admin change(with);
    while (true) {
        try {
            change.remove_queue(queue);
            return;
        } catch (const error& failed) {
            if (failed.code() == broker_errc::queue_not_found) {
                return;
            }
            if (failed.code() != client_errc::outcome_unknown) {
                throw;
            }
        }
    }
}

}  // namespace brokerd::crash
