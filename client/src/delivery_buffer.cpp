// Held messages and their leases.
#include "client/src/delivery_buffer.hpp"

#include <algorithm>
#include <utility>

#include "client/src/convert.hpp"
#include "client/src/deadline.hpp"
#include "protocol/codec/record.hpp"

namespace brokerd::client_core {
// ---- the queues

void delivery_buffer::open_queue(queue_terms of, mono_time now) {
    source& at = sources_[of.queue];
    if (at.origin == nullptr) {
        at.origin = std::make_shared<const delivery_origin>(
            delivery_origin{owner_, consumer_, std::move(of.topic), std::move(of.path)});
    }
    at.lease = std::max<duration_us>(of.lease, std::chrono::milliseconds{1});
    at.attempts = of.attempts;
    for (const auto& each : at.held) {
        each->lease_until = std::min(each->lease_until, later(now, at.lease));
    }
    if (at.open > 0) {
        at.renew_at = std::min(at.renew_at, later(now, at.lease / 3));
        renew_at_ = std::min(renew_at_, at.renew_at);
        expire_at_ = std::min(expire_at_, later(now, at.lease));
    }
}

void delivery_buffer::close_queue(queue_id queue) {
    if (const auto found = sources_.find(queue); found != sources_.end()) {
        forget(found->second);
        sources_.erase(found);
    }
}

// What lies in buffered_ is passed over by take().
void delivery_buffer::forget(source& of) {
    for (const auto& each : std::exchange(of.held, {})) {
        for (std::uint32_t i = 0; i < each->slots.size(); ++i) {
            if (std::exchange(each->slots[i].open, false)) {
                --open_;
                buffered_open_ -= i >= each->handed ? 1U : 0U;
            }
        }
        each->open_count = 0;
    }
    of.open = 0;
}

void delivery_buffer::close_idle_queues() {
    std::erase_if(sources_, [](const auto& each) { return each.second.open == 0; });
}

duration_us delivery_buffer::lease() const {
    const auto least =
        std::ranges::min_element(sources_, {}, [](const auto& each) { return each.second.lease; });
    return least == sources_.end() ? duration_us{0} : least->second.lease;
}

std::uint32_t delivery_buffer::attempts() const {
    const auto least = std::ranges::min_element(
        sources_, {}, [](const auto& each) { return each.second.attempts; });
    return least == sources_.end() ? 0 : least->second.attempts;
}

// ---- messages

bool delivery_buffer::add(const codec::delivery_run& run, queue_id queue, const shared_bytes& body,
                          mono_time now) {
    const auto found = sources_.find(queue);
    if (found == sources_.end()) {
        return false;
    }
    source& from = found->second;
    if (open_ == 0) {
        renew_at_ = mono_never;
    }
    if (from.open == 0) {
        from.renew_at = later(now, from.lease / 3);
        renew_at_ = std::min(renew_at_, from.renew_at);
    }
    auto fresh = std::make_shared<delivery>();
    fresh->origin = from.origin;
    fresh->queue = queue;
    fresh->leases = run.leases;
    fresh->append_time = run.append_time;
    fresh->attempt = run.attempt;
    fresh->history = to_public_list(run.history);
    fresh->body = body;
    fresh->records = run.records.view;
    fresh->open_count = run.leases.count;
    fresh->lease_until = later(now, from.lease);
    expire_at_ = std::min(expire_at_, fresh->lease_until);
    // Buffered messages without renewal go back before their lease runs out.
    const mono_time hold_until = later(now, std::max(max_hold_, from.lease * 2 / 3));
    fresh->slots.assign(run.leases.count, delivery::slot{.hold_until = hold_until});
    from.open += run.leases.count;
    open_ += run.leases.count;
    buffered_open_ += run.leases.count;
    fresh->self = from.held.insert(from.held.end(), fresh);
    buffered_.push_back(std::move(fresh));
    return true;
}

std::optional<handed_message> delivery_buffer::take(mono_time now) {
    while (!buffered_.empty()) {
        delivery& front = *buffered_.front();
        while (front.handed < front.slots.size()) {
            const byte_view left = front.records.subspan(front.handed_bytes);
            const byte_view record = left.first(codec::record_size_at(left));
            const std::uint32_t index = front.handed++;
            front.handed_bytes += record.size();
            if (front.slots[index].open) {
                --buffered_open_;
                front.slots[index].hold_until = later(now, max_hold_);
                handed_message one{buffered_.front(), index, record};
                if (front.handed == front.slots.size()) {
                    buffered_.pop_front();
                }
                return one;
            }
        }
        buffered_.pop_front();
    }
    return std::nullopt;
}

void delivery_buffer::close(delivery& of, std::uint32_t index) {
    source& from = sources_.at(of.queue);
    of.slots[index].open = false;
    --open_;
    --from.open;
    if (index >= of.handed) {
        --buffered_open_;
    }
    if (--of.open_count == 0) {
        from.held.erase(of.self);  // it lives on in buffered_ or in its messages
    }
}

void delivery_buffer::close_gone(queue_id queue, const std::vector<lease_run>& gone) {
    const auto found = sources_.find(queue);
    if (found == sources_.end()) {
        return;
    }
    auto& held = found->second.held;
    for (const lease_run& run : gone) {
        for (auto next = held.begin(); next != held.end();) {
            const std::shared_ptr<delivery> each = *next++;
            if (each->leases.epoch != run.epoch) {
                continue;
            }
            const std::uint64_t first = std::max(each->leases.first_lease, run.first_lease);
            const std::uint64_t end = std::min(each->leases.first_lease + each->leases.count,
                                               run.first_lease + run.count);
            for (std::uint64_t lease = first; lease < end; ++lease) {
                const auto index = static_cast<std::uint32_t>(lease - each->leases.first_lease);
                if (each->slots[index].open) {
                    close(*each, index);
                }
            }
        }
    }
}

// Queues have leases of different length, so any of them may be the first to end.
void delivery_buffer::close_expired(mono_time now) {
    if (now < expire_at_) {
        return;
    }
    expire_at_ = mono_never;
    std::erase_if(buffered_, [&](const std::shared_ptr<delivery>& each) {
        if (each->lease_until > now) {
            expire_at_ = std::min(expire_at_, each->lease_until);
            return false;
        }
        for (std::uint32_t i = each->handed; i < each->slots.size(); ++i) {
            if (each->slots[i].open) {
                close(*each, i);
            }
        }
        each->handed = static_cast<std::uint32_t>(each->slots.size());
        return true;
    });
}

void delivery_buffer::clear() {
    for (auto& [queue, each] : sources_) {
        forget(each);
    }
    buffered_.clear();
}

// ---- leases

delivery_buffer::renewal delivery_buffer::renew(mono_time now) {
    renewal out;
    renew_at_ = mono_never;
    for (auto& [queue, each] : sources_) {
        if (each.open > 0 && each.renew_at <= now) {
            renew(each, queue, now, out);
            restart(each, now);
        }
        renew_at_ = each.open > 0 ? std::min(renew_at_, each.renew_at) : renew_at_;
    }
    return out;
}

void delivery_buffer::renew(source& of, queue_id queue, mono_time now, renewal& out) {
    std::vector<lease_run> runs;
    for (const auto& each : of.held) {
        for (std::uint32_t i = 0; i < each->slots.size(); ++i) {
            const delivery::slot& slot = each->slots[i];
            if (!slot.open || slot.extended_until > later(now, of.lease)) {
                continue;
            }
            if (slot.hold_until > now) {
                append_run(runs, each->lease_of(i));
            } else if (i >= each->handed) {
                out.given_back.emplace_back(each, i);
            }
        }
    }
    if (!runs.empty()) {
        out.renewed.push_back({queue, std::move(runs)});
    }
}

void delivery_buffer::restart(source& of, mono_time now) {
    of.renew_at = later(now, of.lease / 3);
    for (const auto& each : of.held) {
        each->lease_until = later(now, of.lease);
    }
}

void delivery_buffer::restart_leases(mono_time now) {
    renew_at_ = mono_never;
    for (auto& [queue, each] : sources_) {
        restart(each, now);
        renew_at_ = each.open > 0 ? std::min(renew_at_, each.renew_at) : renew_at_;
    }
}

std::vector<codec::pattern_held> delivery_buffer::open_runs() const {
    std::vector<codec::pattern_held> out;
    for (const auto& [queue, each] : sources_) {
        if (each.open > 0) {
            out.push_back({queue, open_runs(each)});
        }
    }
    return out;
}

std::vector<lease_run> delivery_buffer::open_runs(const source& of) {
    std::vector<lease_run> runs;
    for (const auto& each : of.held) {
        for (std::uint32_t i = 0; i < each->slots.size(); ++i) {
            if (each->slots[i].open) {
                append_run(runs, each->lease_of(i));
            }
        }
    }
    return runs;
}

}  // namespace brokerd::client_core
