// What the operations on a queue share.
#include "broker/domain/queue.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "broker/domain/consumer_group.hpp"
#include "broker/domain/topic.hpp"

namespace brokerd::domain {

queue::queue(queue_id number, topic& of, queue_mode how, offset_t start, const queue_memory& memory)
    : id(number),
      owner(of),
      book(start, memory.pool),
      next(start),
      returned(memory.pool),
      ahead(memory.pool),
      leases(memory.pool),
      ended(memory.pool),
      window(*memory.window_bytes),
      schedule(memory.pool),
      leased_retries(memory.pool),
      alone_due(memory.pool),
      exceptions(memory.pool),
      candidates(memory.pool),
      order(how == queue_mode::shared
                ? nullptr
                : std::make_unique<ordering>(memory.pool, *memory.window_bytes)),
      levels(how == queue_mode::shared && of.settings.priorities > 1
                 ? std::make_unique<queue_levels>(of.settings.priorities, memory.pool,
                                                  *memory.window_bytes)
                 : nullptr),
      mode(how) {}

std::string queue::path() const {
    return owner.name + "/" + name;
}

std::string queue::address(offset_t offset) const {
    return fmt::format("{}/{}@{}", owner.name, name, offset);
}

std::uint64_t queue::ready() const {
    return book.open_count(owner.end) - leases->fresh() + due();
}

message_state queue::state_of(offset_t offset) const {
    if (book.dead().contains(offset)) {
        return message_state::dead;
    }
    if (book.retrying().contains(offset)) {
        if (leased_retries.contains(offset)) {
            return message_state::leased;
        }
        return is_due(offset) ? message_state::ready : message_state::retrying;
    }
    if (offset < book.floor() || book.closed().contains(offset)) {
        return message_state::done;
    }
    if (passed_over(offset) || untouched(offset)) {
        return message_state::ready;
    }
    return message_state::leased;
}

bool queue::untouched(offset_t offset) const {
    if (order && order->skipped.contains(offset)) {
        return true;
    }
    return offset >= next && offset >= book.floor() && offset < owner.end &&
           !ahead.contains(offset) && !returned.contains(offset) && !book.closed().contains(offset);
}

offset_t queue::next_ready(offset_t from) const {
    offset_t fresh = std::max({from, next, book.floor()});
    for (offset_t open = 0; (open = ahead.next_gap(book.closed().next_gap(fresh))) != fresh;) {
        fresh = open;
    }
    offset_t found = fresh < owner.end ? fresh : offset_end;
    found = std::min(found, returned.next_member(from));
    return order ? std::min(found, order->skipped.next_member(from)) : found;
}

std::optional<offset_range> queue::next_ready_run(offset_t from) const {
    const offset_t first = next_ready(from);
    if (first == offset_end) {
        return std::nullopt;
    }
    offset_t stop = owner.end;
    if (returned.contains(first)) {
        stop = returned.next_gap(first);
    } else if (order && order->skipped.contains(first)) {
        stop = order->skipped.next_gap(first);
    } else {
        stop = std::min({stop, book.closed().next_member(first), ahead.next_member(first),
                         returned.next_member(first)});
    }
    return offset_range{first, stop - first};
}

offset_t queue::end_of_topic() const {
    return owner.end;
}

bool queue::is_one_run_too_many(offset_range range) const {
    const interval_set& closed = book.closed();
    return closed.runs() >= settings->max_runs && !closed.contains(range.end()) &&
           range.first != book.floor() && (range.first == 0 || !closed.contains(range.first - 1));
}

void queue::end_ready(offset_range range) {
    returned.erase(range);
    if (order) {
        order->skipped.erase(range);  // who waits for their keys learns it by and by
    }
    if (levels) {
        levels->forget_returned(range);
    }
}

void queue::give_back(offset_range range, std::uint8_t lane) {
    returned.insert(range);
    if (levels) {
        levels->give_back(range, lane);
    }
}

void queue::clear_returned() {
    returned.clear();
    if (levels) {
        levels->clear_returned();
    }
}

offset_t queue::skip_to_fresh() {
    while (true) {
        const offset_t open = book.closed().next_gap(std::max(next, book.floor()));
        next = ahead.next_gap(open);
        if (next == open) {
            break;
        }
    }
    ahead.erase_below(next);
    return next;
}

void queue::forget_due(offset_t offset, wall_time due) {
    schedule.remove(offset, due);
    alone_due.erase({offset, 1});
    if (order) {
        order->forget_due(offset);
    }
    if (levels) {
        levels->forget_due(offset);
    }
}

void queue::offer(consumer& one) {
    if (one.group != nullptr && !one.candidate && !stands_by(one) &&
        (one.room() == 0 || one.group->somebody_waits())) {
        one.group->stand_in_line(one);
        return;
    }
    admit(one);
}

void queue::admit(consumer& one) {
    if (!one.candidate && !stands_by(one) && one.room() > 0) {
        one.candidate = true;
        candidates.push_back(&one);
    }
}

void queue::reserve(consumer* one) {
    consumer* const was = std::exchange(reserved_for_alone, one);
    if (was != nullptr && was != one && was->group != nullptr) {
        was->group->end_claim(*was);
    }
    if (one != nullptr && one->group != nullptr) {
        one->group->claim(*one, true);
    }
}

void queue::end_reservation() {
    if (consumer* const was = reserved_for_alone) {
        reserve(nullptr);
        offer(*was);
    }
}

void queue::end_claims() {
    end_reservation();
    const std::vector<consumer*> claimants = too_large_for;
    for (consumer* one : claimants) {
        one->group->end_claim(*one);
        offer(*one);
    }
}

void queue::forget(consumer& one) {
    std::erase(consumers, &one);
    candidates.remove(&one);
    one.candidate = false;
    if (reserved_for_alone == &one) {
        reserve(nullptr);
    }
    if (one.group != nullptr) {
        one.group->forget(one);
    }
    if (mode == queue_mode::single && !consumers.empty()) {
        offer(*consumers.front());
    }
}

void queue::pass_on() {
    if (mode != queue_mode::single || consumers.size() < 2) {
        return;
    }
    consumer* const was = consumers.front();
    forget(*was);
    consumers.push_back(was);
}

}  // namespace brokerd::domain
