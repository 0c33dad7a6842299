// Held messages and their leases.
#include "client/src/delivery_buffer.hpp"

#include <algorithm>

#include "client/src/convert.hpp"
#include "client/src/deadline.hpp"
#include "protocol/codec/record.hpp"

namespace brokerd::client_core {
namespace {

// Exactly `count` undamaged records, and nothing else.
bool holds_records(byte_view bytes, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
        const outcome<codec::record_view> record = codec::check_record(bytes);
        if (!record) {
            return false;
        }
        bytes = bytes.subspan(record->bytes.size());
    }
    return bytes.empty();
}

}  // namespace

bool delivery_buffer::add(const codec::delivery_run& run, const shared_bytes& body,
                          duration_us lease, mono_time now) {
    if (!holds_records(run.records.view, run.leases.count)) {
        return false;
    }
    auto fresh = std::make_shared<delivery>();
    fresh->origin = origin_;
    fresh->leases = run.leases;
    fresh->append_time = run.append_time;
    fresh->attempt = run.attempt;
    fresh->history = to_public_list(run.history);
    fresh->body = body;
    fresh->records = run.records.view;
    fresh->open_count = run.leases.count;
    fresh->lease_until = later(now, lease);
    // Buffered messages without renewal go back before their lease runs out.
    const mono_time hold_until = later(now, std::max(max_hold_, lease * 2 / 3));
    fresh->slots.assign(run.leases.count, delivery::slot{.hold_until = hold_until});
    open_ += run.leases.count;
    buffered_open_ += run.leases.count;
    fresh->self = held_.insert(held_.end(), fresh);
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
    of.slots[index].open = false;
    --open_;
    if (index >= of.handed) {
        --buffered_open_;
    }
    if (--of.open_count == 0) {
        held_.erase(of.self);  // it lives on in buffered_ or in its messages
    }
}

void delivery_buffer::close_gone(const std::vector<lease_run>& gone) {
    for (const lease_run& run : gone) {
        for (auto next = held_.begin(); next != held_.end();) {
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

// The front has always the earliest end: what comes later is delivered later, and all are renewed
// together.
void delivery_buffer::close_expired(mono_time now) {
    while (!buffered_.empty() && buffered_.front()->lease_until <= now) {
        const std::shared_ptr<delivery> front = std::move(buffered_.front());
        buffered_.pop_front();
        for (std::uint32_t i = front->handed; i < front->slots.size(); ++i) {
            if (front->slots[i].open) {
                close(*front, i);
            }
        }
        front->handed = static_cast<std::uint32_t>(front->slots.size());
    }
}

void delivery_buffer::clear() {
    for (const auto& each : held_) {
        for (delivery::slot& slot : each->slots) {
            slot.open = false;
        }
        each->open_count = 0;
    }
    buffered_.clear();
    held_.clear();
    open_ = 0;
    buffered_open_ = 0;
}

delivery_buffer::renewal delivery_buffer::renew(duration_us lease, mono_time now) {
    renewal out;
    for (const auto& each : held_) {
        for (std::uint32_t i = 0; i < each->slots.size(); ++i) {
            const delivery::slot& slot = each->slots[i];
            if (!slot.open || slot.extended_until > later(now, lease)) {
                continue;
            }
            if (slot.hold_until > now) {
                append_run(out.renewed, each->lease_of(i));
            } else if (i >= each->handed) {
                out.given_back.emplace_back(each, i);
            }
        }
    }
    restart_leases(lease, now);
    return out;
}

void delivery_buffer::restart_leases(duration_us lease, mono_time now) {
    for (const auto& each : held_) {
        each->lease_until = later(now, lease);
    }
}

std::vector<lease_run> delivery_buffer::open_runs() const {
    std::vector<lease_run> runs;
    for (const auto& each : held_) {
        for (std::uint32_t i = 0; i < each->slots.size(); ++i) {
            if (each->slots[i].open) {
                append_run(runs, each->lease_of(i));
            }
        }
    }
    return runs;
}

}  // namespace brokerd::client_core
