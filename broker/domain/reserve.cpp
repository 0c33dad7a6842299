// Offsets of topics of durability os, of which none may be used twice, not even after a power cut
// that took what was acknowledged last: such a topic reserves them ahead, and a commit that
// reserves is synced like any. What is still reserved at a start may have been given out by a
// broker that stopped without goodbye: it is skipped. No message has a skipped offset and none ever
// will, so it is done in every queue, whenever that comes by; nobody who goes by what is open ever
// meets one.
#include <utility>
#include <vector>

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {
namespace {

void reserve_below(core& c, turn& t, topic& of, offset_t below) {
    if (of.reserved != below) {
        of.reserved = below;
        c.emit(t, offsets_reserved{of.id, below});
    }
}

void note_skipped(core& c, turn& t, const topic& of, bool urgent) {
    offsets_skipped durable{.topic = of.id, .runs = {}};
    of.skipped.for_each([&](offset_range run) { durable.runs.push_back({run.first, run.count}); });
    c.emit(t, std::move(durable), urgent);
}

}  // namespace

bool is_os(const core& c, const topic& of) {
    return of.settings.durability == durability::os && c.options.level == durability::disk &&
           c.reserving;
}

void reserve_offsets(core& c, turn& t, topic& of) {
    const offset_t next = of.next_offset();
    if (of.reserved < next + limits::offsets_reserved_ahead / 2) {
        reserve_below(c, t, of, next + limits::offsets_reserved_ahead);
    }
}

void reservation_changed(core& c, turn& t, topic& of) {
    if (!is_os(c, of)) {
        reserve_below(c, t, of, 0);
    }
}

void release_reservations(core& c, turn& t) {
    c.reserving = false;
    for (const auto& [id, of] : c.topics) {
        reserve_below(c, t, *of, 0);
    }
}

void skip_reserved(core& c, turn& t, topic& of) {
    if (of.reserved <= of.end || base::seeded_fault(base::fault::reuse_offsets)) {
        return;
    }
    const offset_range run{of.end, of.reserved - of.end};
    of.skipped.insert(run);
    of.end = run.end();
    of.marks.skip_to(of.end);
    c.counters.skipped_offsets += run.count;
    c.skipped_at_start.push_back({of.name, run});
    note_skipped(c, t, of, true);
    c.emit(t, log_marked{of.id, of.marks.marks()}, false);
    for (const auto& [name, q] : of.queues) {
        skip_in_queue(c, t, *q, run.first);
    }
}

void skip_in_queue(core& c, turn& t, queue& q, offset_t from) {
    q.owner.skipped.for_each_in(from, q.owner.end, [&](offset_range run) {
        q.book.to_done(run);
        c.note_change(t, q, true);
    });
}

void forget_skipped(core& c, turn& t, topic& of) {
    const std::uint64_t before = of.skipped.count();
    of.skipped.erase_below(of.trim);
    if (of.skipped.count() != before) {
        note_skipped(c, t, of, false);
    }
}

}  // namespace brokerd::domain
