// Schedules: taking them, appending them when they are due, listing and cancelling them.
//
// Due times are wall times as the domain sees them (wall_clock.hpp). A schedule is appended and
// erased by the same commit, so a crash neither loses nor repeats it; what fell due while the
// broker was down is appended when it starts.
#include <algorithm>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/operations.hpp"
#include "protocol/codec/record.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {
namespace {

// How much one commit appends of what is due: publishers go on beside a million due at once. Topics
// that are due together get a part of it each, in turns.
constexpr std::size_t commit_bytes_max = limits::mib;
constexpr std::size_t turn_bytes_max = 64 * limits::kib;
constexpr duration_us next_commit = std::chrono::milliseconds(1);
constexpr duration_us look_again = std::chrono::seconds(1);
constexpr std::uint32_t fetches_max = 4;             // of all topics: what they bring is kept
constexpr std::size_t page_bytes_max = limits::mib;  // of the batches read for one

// When a topic is looked at again. Waits that are not for a due time are not by the wall clock,
// which may be set.
struct next_look {
    wall_time due = wall_never;
    mono_time wait = mono_never;
};

schedule_book& book_of(core& c, topic& of) {
    if (!of.scheduled) {
        of.scheduled = std::make_unique<schedule_book>(c.scheduled_bytes_kept);
        schedule_totals totals;
        totals.topic = of.id;
        of.scheduled->load(totals);
    }
    return *of.scheduled;
}

void note(core& c, turn& t, topic& of) {
    c.dirty = true;
    t.out.urgent = true;
    if (!of.scheduled->noted) {
        of.scheduled->noted = true;
        c.noted_schedules.push_back(&of);
    }
}

// Looks at a time by the wall clock again at least once a second, as it may be set meanwhile.
mono_time look_at(const turn& t, wall_time when) {
    return t.now.mono + std::clamp(when - t.wall, duration_us{1}, look_again);
}

void arm(core& c, const turn& t, topic& of, const next_look& when) {
    schedule_book& book = *of.scheduled;
    const auto set = [&](auto& timers, auto& timer, auto until, auto never) {
        if (timer != until) {
            timers.erase({timer, of.id});
            timer = until;
            if (until != never) {
                timers.emplace(until, of.id);
            }
        }
    };
    set(c.schedule_timers, book.timer, when.due, wall_never);
    set(c.schedule_waits, book.wait, when.wait, mono_never);
    c.schedule_deadline = std::min(c.schedule_deadline, when.wait);
    if (when.due != wall_never) {
        c.schedule_deadline = std::min(c.schedule_deadline, look_at(t, when.due));
    }
}

void erase(core& c, turn& t, topic& of, const scheduled_batch& what) {
    if (!base::seeded_fault(base::fault::keep_schedule)) {
        c.emit(t, schedule_erased{of.id, what.key.id, what.key.due});
    }
    of.scheduled->remove(what, c.gathering);
    note(c, t, of);
}

// Appends what is due, so many bytes. Returns when to go on if that is not all.
mono_time append_due(core& c, turn& t, topic& of, std::size_t bytes_max) {
    schedule_book& book = *of.scheduled;
    book.waits_for_room = false;
    std::size_t bytes = 0;
    for (auto due = book.next_due(t.wall); due; due = book.next_due(t.wall)) {
        if (c.schedules_held || !has_room(of, *due)) {
            book.wait_for_room();
            return t.now.mono + look_again;
        }
        if (c.scheduled_bytes_appended >= commit_bytes_max || bytes >= bytes_max) {
            return t.now.mono + next_commit;
        }
        const scheduled_batch* next = book.first();
        if (next == nullptr) {
            break;  // it went back to the store while it waited
        }
        bytes += next->bytes;
        c.scheduled_bytes_appended += next->bytes;
        c.schedules_looked_at = of.id;
        // A wall clock that is set back before the chunk is closed does not change that.
        of.last_append = std::max(of.last_append, next->key.due);
        append_batch(c, t, of, next->batch.view, next->messages);
        erase(c, t, of, *next);
    }
    return mono_never;
}

void fetch_next(core& c, turn& t, topic& of) {
    schedule_book& book = *of.scheduled;
    // Without room for all that comes next one batch must do, of one topic at a time.
    const std::size_t bytes = book.has_room() ? schedule_book::fetch_bytes_max : 1;
    const schedule_key from = book.known();
    const wall_time until = t.wall + schedule_book::horizon;
    book.fetching = true;
    book.reads.begin(c.applied());
    ++c.schedule_fetches;
    c.read(t, fetch_schedules{of.id, from, until, schedule_book::fetch_count_max, bytes},
           [&c, id = of.id, from, until, then_applied = c.applied()](turn& later,
                                                                     fetch_result& result) {
               --c.schedule_fetches;
               topic* then = c.topic_by_id(id);
               if (then == nullptr) {
                   return;
               }
               schedule_book& mine = *then->scheduled;
               mine.reads.end(then_applied);
               mine.fetching = false;
               if (const auto* failed = std::get_if<failure>(&result)) {
                   mine.read_error = failed->text;
                   mine.read_again = later.now.mono + read_retry;
               } else {
                   mine.read_error.clear();
                   auto& got = std::get<schedules_fetched>(result);
                   const schedule_key end =
                       got.more ? behind(got.items.back().key) : schedule_key{until, 0};
                   mine.take(got.items, from, end, later.wall);
               }
               arm(c, later, *then, {.due = later.wall});  // what is due waits for its turn
           });
}

struct page_request {
    asker who;
    topic_id topic;
    schedule_key from{};
    std::uint32_t limit = 0;
};

codec::schedule_item item_of(const scheduled_batch& each) {
    const byte_view records = each.batch.view.subspan(codec::batch_header_bytes);
    return {.id = each.key.id,
            .due = each.key.due,
            .messages = each.messages,
            .bytes = each.bytes,
            .key = std::string(codec::record_key(records))};
}

void read_page(core& c, turn& t, const page_request& what);

void answer_page(core& c, turn& t, const page_request& what, topic& of, schedules_fetched& got) {
    schedule_book& book = *of.scheduled;
    const schedule_key end =
        got.more ? behind(got.items.back().key) : schedule_key{wall_never, ~std::uint64_t{0}};
    std::erase_if(got.items, [&](const auto& each) { return !book.is_scheduled(each.key); });
    for (const scheduled_batch* each : book.added_lately()) {
        if (each->key >= what.from && each->key < end) {
            got.items.push_back(*each);
        }
    }
    std::ranges::sort(got.items, {}, &scheduled_batch::key);
    const auto twice = std::ranges::unique(got.items, {}, &scheduled_batch::key);
    got.items.erase(twice.begin(), twice.end());
    if (got.items.empty() && got.more) {  // all of them were appended or cancelled by now
        read_page(c, t, {what.who, what.topic, end, what.limit});
        return;
    }
    codec::schedules page;
    std::size_t bytes = 0;  // keys may be long
    for (const scheduled_batch& each : got.items) {
        if (page.items.size() == what.limit || bytes >= page_bytes_max) {
            break;
        }
        page.items.push_back(item_of(each));
        bytes += each.bytes;
    }
    page.more = got.more || page.items.size() < got.items.size();
    c.answer(t, what.who, book.last_change(), std::move(page));
}

void read_page(core& c, turn& t, const page_request& what) {
    c.topic_by_id(what.topic)->scheduled->reads.begin(c.applied());
    c.read(t, fetch_schedules{what.topic, what.from, wall_never, what.limit, page_bytes_max},
           [&c, what, then_applied = c.applied()](turn& later, fetch_result& result) {
               topic* of = c.topic_by_id(what.topic);
               if (of == nullptr) {
                   c.refuse(later, what.who, {error_code::topic_removed, "the topic was removed"});
                   return;
               }
               of->scheduled->reads.end(then_applied);
               if (const auto* failed = std::get_if<failure>(&result)) {
                   c.refuse(later, what.who, *failed);
                   return;
               }
               answer_page(c, later, what, *of, std::get<schedules_fetched>(result));
           });
}

void cancel_found(core& c, turn& t, asker who, topic& of, const std::vector<std::uint64_t>& ids,
                  const schedules_fetched& got) {
    schedule_book& book = *of.scheduled;
    std::unordered_map<std::uint64_t, scheduled_batch> known;
    for (const scheduled_batch& each : got.items) {
        known.emplace(each.key.id, each);
    }
    for (const scheduled_batch* each : book.added_lately()) {
        known.emplace(each->key.id, *each);
    }
    codec::counted answer;
    for (const std::uint64_t id : ids) {
        const auto at = known.find(id);
        if (at != known.end() && book.is_scheduled(at->second.key)) {
            erase(c, t, of, at->second);
            ++answer.messages;
        }
    }
    look_for_room(c, t, of);  // what comes next may find more
    c.answer(t, who, book.last_change(), answer);
}

}  // namespace

outcome<wall_time> due_of(const turn& t, const schedule_time& when) {
    constexpr duration_us ahead_max{limits::schedule_ahead_max};
    const auto bad = [](std::string text) {
        return refuse(error_code::invalid_argument, std::move(text));
    };
    if (when.due != wall_time{} && when.delay != duration_us{0}) {
        return bad("a schedule has either a due time or a delay, not both");
    }
    if (when.due < wall_time{}) {
        return bad("the due time of a schedule is before 1970");
    }
    if (when.delay < duration_us{0}) {
        return bad("the delay of a schedule is below 0");
    }
    if (when.delay > ahead_max || when.due > t.wall + ahead_max) {
        return bad("a schedule is due more than 36500 days from now, which is the most");
    }
    return when.due != wall_time{} ? when.due : t.wall + when.delay;
}

std::uint64_t add_schedule(core& c, turn& t, topic& of, const publish_request& what,
                           wall_time due) {
    schedule_book& book = book_of(c, of);
    if (book.in_store() == 0) {
        book.set_known({t.wall + schedule_book::horizon, 0});
    }
    const std::uint64_t id = book.take_id();
    scheduled_batch entry{
        {due, id}, what.count, what.batch.view.size(), copy_bytes(what.batch.view)};
    c.emit(t, schedule_put{of.id, id, due, entry.batch});
    book.add(std::move(entry), c.gathering, t.wall);
    note(c, t, of);
    const bool in_memory = schedule_key{due, id} < book.known();
    const wall_time look = in_memory ? due : due - schedule_book::fetch_margin;
    arm(c, t, of, {std::min(book.timer, look), book.wait});
    return id;
}

namespace {

// Fetches what is due next if memory does not know it; returns when to look again.
next_look fetch_ahead(core& c, turn& t, topic& of) {
    schedule_book& book = *of.scheduled;
    if (book.in_store() == 0) {
        book.set_known({t.wall + schedule_book::horizon, 0});
        book.read_error.clear();
        return {};
    }
    const bool has_room = book.has_room();
    if (book.fetching || book.waits_for_room || (!has_room && book.first() != nullptr)) {
        return {};  // its answer, or that one, comes back here
    }
    if (t.now.mono < book.read_again) {
        return {.wait = book.read_again};
    }
    const wall_time when =
        has_room ? book.known().due - schedule_book::fetch_margin : book.known().due;
    if (when > t.wall) {
        return {.due = when};
    }
    if (c.schedule_fetches >= (has_room ? fetches_max : 1)) {
        return {.wait = t.now.mono + next_commit};
    }
    fetch_next(c, t, of);
    return {};
}

void advance(core& c, turn& t, topic& of, std::size_t bytes_max) {
    const mono_time blocked = append_due(c, t, of, bytes_max);
    next_look next = fetch_ahead(c, t, of);
    next.wait = std::min(next.wait, blocked);
    if (blocked == mono_never && of.scheduled->first() != nullptr) {
        next.due = std::min(next.due, of.scheduled->first()->key.due);
    }
    arm(c, t, of, next);
}

// The topics to look at, beginning behind the one that appended last.
std::vector<topic_id> topics_in_turn(const core& c, const turn& t) {
    std::set<topic_id> found;
    for (auto at = c.schedule_timers.begin(); at != c.schedule_timers.end() && at->first <= t.wall;
         ++at) {
        found.insert(at->second);
    }
    for (auto at = c.schedule_waits.begin();
         at != c.schedule_waits.end() && at->first <= t.now.mono; ++at) {
        found.insert(at->second);
    }
    const auto first = found.upper_bound(c.schedules_looked_at);
    std::vector<topic_id> ordered(first, found.end());
    ordered.insert(ordered.end(), found.begin(), first);
    return ordered;
}

}  // namespace

void look_at_schedules(core& c, turn& t) {
    if (c.schedule_deadline > t.now.mono) {
        return;
    }
    const std::vector<topic_id> due = topics_in_turn(c, t);
    for (const topic_id id : due) {
        advance(c, t, *c.topic_by_id(id), due.size() > 1 ? turn_bytes_max : commit_bytes_max);
    }
    c.schedule_deadline = c.schedule_waits.empty() ? mono_never : c.schedule_waits.begin()->first;
    if (!c.schedule_timers.empty()) {
        c.schedule_deadline =
            std::min(c.schedule_deadline, look_at(t, c.schedule_timers.begin()->first));
    }
}

void look_for_room(core& c, const turn& t, topic& of) {
    if (of.scheduled && of.scheduled->waits_for_room) {
        arm(c, t, of, {of.scheduled->timer, t.now.mono});
    }
}

void forget_schedules(core& c, topic& of) {
    if (of.scheduled) {
        c.schedule_timers.erase({of.scheduled->timer, of.id});
        c.schedule_waits.erase({of.scheduled->wait, of.id});
        std::erase(c.noted_schedules, &of);
    }
}

void seal_schedules(core& c, turn& t) {
    for (topic* of : c.noted_schedules) {
        if (std::exchange(of->scheduled->totals_changed, false)) {
            c.emit(t, of->scheduled->totals());
        }
    }
}

void forget_applied_schedules(core& c) {
    c.scheduled_bytes_appended = 0;
    std::erase_if(c.noted_schedules, [&](topic* of) {
        of->scheduled->noted = !of->scheduled->forget_applied(c.applied());
        return !of->scheduled->noted;
    });
}

void restore_schedules(core& c, turn& t, const schedule_totals& totals) {
    topic& of = *c.topic_by_id(totals.topic);
    book_of(c, of).load(totals);
    if (totals.schedules > 0) {
        arm(c, t, of, {.due = t.wall});
    }
}

void list_schedules(core& c, turn& t, asker who, const codec::schedule_list& what) {
    const auto found = c.find_topic(what.topic);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    topic& of = **found;
    if (!of.scheduled) {
        c.answer(t, who, of.changed, codec::schedules{});
        return;
    }
    read_page(c, t,
              {.who = who,
               .topic = of.id,
               .from = behind({what.after_due, what.after_id}),
               .limit = std::clamp(what.limit, 1U, limits::schedules_page_max)});
}

void cancel_schedules(core& c, turn& t, asker who, const codec::schedule_cancel& what) {
    const auto found = c.find_topic(what.topic);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    if (what.ids.empty() || what.ids.size() > limits::schedules_cancel_max) {
        c.refuse(t, who,
                 {error_code::invalid_argument,
                  fmt::format("{} ids of schedules to cancel, 1 to {} are allowed in one request",
                              what.ids.size(), limits::schedules_cancel_max)});
        return;
    }
    topic& of = **found;
    if (!of.scheduled) {
        c.answer(t, who, of.changed, codec::counted{});
        return;
    }
    of.scheduled->reads.begin(c.applied());
    c.read(t, find_schedules{of.id, what.ids},
           [&c, who, id = of.id, ids = what.ids, then_applied = c.applied()](turn& later,
                                                                             fetch_result& result) {
               topic* then = c.topic_by_id(id);
               if (then == nullptr) {
                   c.refuse(later, who, {error_code::topic_removed, "the topic was removed"});
                   return;
               }
               then->scheduled->reads.end(then_applied);
               if (const auto* failed = std::get_if<failure>(&result)) {
                   c.refuse(later, who, *failed);
                   return;
               }
               cancel_found(c, later, who, *then, ids, std::get<schedules_fetched>(result));
           });
}

}  // namespace brokerd::domain
