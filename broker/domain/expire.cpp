// Ending messages whose time to live is over: they become done or dead, as their queue says. Ready
// ones by range, those that failed before one by one; leased ones are left to their holders.
#include "broker/domain/expire.hpp"

#include <algorithm>
#include <optional>

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/operations.hpp"
#include "protocol/codec/record.hpp"

namespace brokerd::domain {
namespace {

// What becomes dead in one commit; publishers go on beside a million that expire at once.
constexpr std::uint32_t dead_per_commit = 4096;
constexpr duration_us with_next_commit = std::chrono::milliseconds(1);

bool is_over(const turn& t, const topic& of, const chunk& data, offset_t offset) {
    return data.expiry_of(offset, of.settings.ttl) <= t.wall;
}

// Ready messages of `data` that have expired; fewer of them if not all may die in this commit.
offset_range end_range(core& c, turn& t, queue& q, const chunk& data, offset_range range) {
    const bool dies = q.settings->on_expiry == expiry_action::dead;
    if (dies) {
        range.count = std::min<std::uint64_t>(range.count, dead_per_commit - c.expired_to_dead);
        c.expired_to_dead += static_cast<std::uint32_t>(range.count);
    }
    q.end_ready(range);
    c.wake(q);
    c.counters.expired_messages += range.count;
    if (!dies) {
        q.book.to_done(range);
        c.note_change(t, q, false);
        c.note_trim(q.owner);
        return range;
    }
    for (offset_t offset = range.first; offset < range.end(); ++offset) {
        const key_hash key = q.order ? key_of(q, data.record(offset)) : no_key;
        expire_message(c, t, q, offset, nullptr, key);
    }
    return range;
}

bool may_end_some(const core& c, const queue& q) {
    return q.settings->on_expiry == expiry_action::done || c.expired_to_dead < dead_per_commit;
}

}  // namespace

swept sweep_chunk(core& c, turn& t, queue& q, const chunk& data) {
    const topic& of = q.owner;
    swept result;
    if (!data.may_have_expired(t.wall, of.settings.ttl)) {
        return result;
    }
    const offset_t stop = data.end_offset();
    for (offset_t at = q.next_ready(data.base_offset()); at < stop; at = q.next_ready(at)) {
        offset_t end = at;
        while (end < stop && q.next_ready(end) == end && is_over(t, of, data, end) &&
               !is_unmatched(q, data, end)) {
            ++end;
        }
        if (end == at) {
            ++at;
            continue;
        }
        const offset_range range{at, end - at};
        if (q.is_one_run_too_many(range)) {
            result.postponed = std::min(result.postponed, at);
            at = end;
        } else if (!may_end_some(c, q)) {
            result.complete = false;
            return result;
        } else {
            at = end_range(c, t, q, data, range).end();
        }
    }
    for (offset_t at = q.next_open(data.base_offset()); at < stop; at = q.next_open(at + 1)) {
        if (q.next_ready(at) != at && is_over(t, of, data, at)) {
            result.held.insert({at, 1});
        }
    }
    return result;
}

std::optional<std::uint64_t> live_from(core& c, turn& t, queue& q, const chunk& data,
                                       offset_range range, std::uint64_t live_max) {
    const auto sifted = sifted_from(c, t, q, data, range, live_max);
    if (!sifted) {
        return std::nullopt;
    }
    range.count = *sifted;
    const topic& of = q.owner;
    if (range.count == 0 || !data.may_have_expired(t.wall, of.settings.ttl) ||
        base::seeded_fault(base::fault::deliver_expired)) {
        return std::min(range.count, live_max);
    }
    const offset_t stop = std::min(range.end(), data.end_offset());
    offset_t at = range.first;
    if (!is_over(t, of, data, at)) {
        while (at < stop && at - range.first < live_max && !is_over(t, of, data, at)) {
            ++at;
        }
        return at - range.first;
    }
    if (!may_end_some(c, q)) {
        c.arm(q, t.now.mono + with_next_commit);
        return std::nullopt;
    }
    while (at < stop && is_over(t, of, data, at)) {
        ++at;
    }
    (void)end_range(c, t, q, data, {range.first, at - range.first});
    return 0;
}

bool expire_retry(core& c, turn& t, queue& q, offset_t offset) {
    const known_exception& known = q.exceptions->known.at(offset);
    if (known.value.ttl_lifted || base::seeded_fault(base::fault::deliver_expired) ||
        expires_at(known.append_time, codec::record_ttl_ms(known.record.view),
                   q.owner.settings.ttl) > t.wall) {
        return false;
    }
    const exception_state before = known.value;
    ++c.counters.expired_messages;
    if (q.settings->on_expiry == expiry_action::dead) {
        expire_message(c, t, q, offset, &before, no_key);
    } else {
        erase_exception(c, t, q, offset, before);
    }
    c.wake(q);
    return true;
}

}  // namespace brokerd::domain
