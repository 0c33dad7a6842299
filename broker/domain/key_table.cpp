// Locks, waiting messages and blocked keys of an ordered queue.
#include "broker/domain/key_table.hpp"

#include <algorithm>
#include <iterator>

#include "broker/base/assert.hpp"
#include "broker/base/seeded_fault.hpp"

namespace brokerd::domain {

// FNV-1a, then the finalizer of MurmurHash3: keys are short, and all bits are to matter.
key_hash hash_of_key(std::string_view key) {
    if (key.empty()) {
        return no_key;
    }
    std::uint64_t h = 0xcbf29ce484222325U;
    for (const char c : key) {
        h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    }
    h = (h ^ (h >> 33U)) * 0xff51afd7ed558ccdU;
    h = (h ^ (h >> 33U)) * 0xc4ceb9fe1a85ec53U;
    h ^= h >> 33U;
    return h <= only_key || h == unknown_key ? only_key + 1 : h;
}

key_table::key_table(std::pmr::memory_resource* pool)
    : entries_(pool),
      in_flight_(pool),
      runnable_(pool),
      hungry_(pool),
      missed_(pool),
      further_(pool) {}

// ---- entries and their indexes ----

class key_table::change {
public:
    change(key_table& table, key_hash key) : change(table, table.entries_.try_emplace(key).first) {}
    change(key_table& table, entry_map::iterator at) : table_(table), at_(at) { index(false); }
    change(const change&) = delete;
    change& operator=(const change&) = delete;
    ~change() {
        const entry& of = at_->second;
        if (of.in_flight == 0 && of.waiting.empty() && of.missed_from == offset_end) {
            table_.entries_.erase(at_);
        } else {
            index(true);
        }
    }

    entry* operator->() { return &at_->second; }

private:
    void index(bool in) {
        const key_hash key = at_->first;
        const entry& of = at_->second;
        const auto put = [&](by_offset& where, offset_t offset) {
            in ? void(where.emplace(offset, key)) : void(where.erase({offset, key}));
        };
        if (of.missed_from != offset_end) {
            put(table_.missed_, of.missed_from);
        }
        if (may_run(key, of) && !of.waiting.empty()) {
            put(table_.runnable_, of.waiting.front());
        } else if (may_run(key, of) && of.missed_from != offset_end) {
            put(table_.hungry_, of.missed_from);
        }
    }

    key_table& table_;
    entry_map::iterator at_;
};

bool key_table::may_run(key_hash key, const entry& of) {
    return !of.aside && (of.in_flight == 0 || key == no_key);
}

// Makes room: keys that cannot run keep a small share of what they remember. Not where that could
// not free much, as there are too many keys: a step costs work per key.
void key_table::evict() {
    if (entries_.size() > waiting_max - waiting_max / 16) {
        return;
    }
    const std::size_t share = std::max<std::size_t>(1, waiting_max / 4 / entries_.size());
    for (auto at = entries_.begin(); at != entries_.end();) {
        const auto next = std::next(at);
        if (!may_run(at->first, at->second) && at->second.waiting.size() > share) {
            change of(*this, at);
            of->missed_from = of->waiting[share];
            of->full = true;  // a running search may be beyond it
            waiting_count_ -= of->waiting.size() - share;
            of->waiting.truncate(share);
        }
        at = next;
    }
}

// ---- in flight ----

void key_table::lock(key_hash key, offset_t offset) {
    if (key == no_key || !in_flight_.emplace(offset, key).second) {
        return;
    }
    change of(*this, key);
    if (!base::seeded_fault(base::fault::forget_key_lock)) {
        ++of->in_flight;
    }
    of->newest_in_flight = offset;
}

key_hash key_table::unlock(offset_t offset) {
    const auto held = in_flight_.find(offset);
    if (held == in_flight_.end()) {
        return no_key;
    }
    const key_hash key = held->second;
    in_flight_.erase(held);
    const auto at = entries_.find(key);
    if (base::seeded_fault(base::fault::forget_key_lock)) {
        return key;
    }
    BROKERD_ASSERT(at != entries_.end() && at->second.in_flight > 0, "no key of {} is in flight",
                   offset);
    change of(*this, at);
    --of->in_flight;
    return key;
}

bool key_table::locked(key_hash key) const {
    return in_flight(key) != offset_end;
}

offset_t key_table::in_flight(key_hash key) const {
    const auto at = entries_.find(key);
    return at != entries_.end() && at->second.in_flight > 0 ? at->second.newest_in_flight
                                                            : offset_end;
}

// ---- waiting ----

offset_t key_table::first_waiting(key_hash key) const {
    const auto at = entries_.find(key);
    if (at == entries_.end()) {
        return offset_end;
    }
    return at->second.waiting.empty() ? at->second.missed_from : at->second.waiting.front();
}

void key_table::wait_behind(key_hash key, offset_t offset) {
    const auto known = entries_.find(key);
    if (known != entries_.end() && known->second.missed_from != offset_end) {
        return;  // it lies behind what is to be looked for anyway
    }
    if (waiting_count_ >= waiting_max) {
        evict();  // maybe of this very key
    }
    change of(*this, key);
    if (of->missed_from != offset_end) {
        return;
    }
    if (of->waiting.size() >= waiting_per_key_max || waiting_count_ >= waiting_max) {
        of->missed_from = offset;
        return;
    }
    BROKERD_ASSERT(of->waiting.empty() || of->waiting.back() < offset);
    of->waiting.push_back(offset);
    ++waiting_count_;
}

void key_table::wait_again(key_hash key, offset_t offset) {
    change of(*this, key);
    if (offset >= of->missed_from) {
        of->full = true;  // a running search may be beyond it; another one will find it
        return;
    }
    const auto behind = std::lower_bound(of->waiting.begin(), of->waiting.end(), offset);
    if (behind == of->waiting.end() || *behind != offset) {
        of->waiting.insert(behind, offset);
        ++waiting_count_;
    }
}

key_table::candidate key_table::next_runnable() const {
    if (runnable_.empty()) {
        return {};
    }
    return {runnable_.begin()->second, runnable_.begin()->first};
}

void key_table::take_waiting(const candidate& which) {
    const auto at = entries_.find(which.key);
    BROKERD_ASSERT(at != entries_.end() && !at->second.waiting.empty() &&
                   at->second.waiting.front() == which.offset);
    change of(*this, at);
    of->waiting.pop_front();
    --waiting_count_;
}

void key_table::put_aside(key_hash key) {
    if (const auto at = entries_.find(key); at != entries_.end()) {
        change(*this, at)->aside = true;
    }
}

void key_table::make_runnable(key_hash key) {
    if (const auto at = entries_.find(key); at != entries_.end()) {
        change(*this, at)->aside = false;
    }
}

void key_table::make_all_runnable() {
    for (auto at = entries_.begin(); at != entries_.end();) {
        change(*this, at++)->aside = false;
    }
}

// ---- searching ----

offset_t key_table::start_search() {
    searching_ = true;
    search_from_ = hungry_.begin()->first;
    for (const auto& [from, key] : missed_) {
        entries_.at(key).full = false;
    }
    return search_from_;
}

void key_table::found(key_hash key, offset_t offset) {
    const auto at = entries_.find(key);
    const auto looked_for = [&] {
        const entry& of = at->second;
        return !of.full && of.missed_from >= search_from_ && offset >= of.missed_from;
    };
    if (at == entries_.end() || !looked_for()) {
        return;
    }
    if (waiting_count_ >= waiting_max) {
        evict();  // maybe of this very key, which then has to be searched for again
        if (!looked_for()) {
            return;
        }
    }
    change of(*this, at);
    // One at least for a key that could run.
    const bool room = of->waiting.empty() ||
                      (of->waiting.size() < waiting_per_key_max && waiting_count_ < waiting_max);
    of->missed_from = room ? offset + 1 : offset;
    of->full = !room;
    if (room) {
        of->waiting.push_back(offset);
        ++waiting_count_;
    }
}

void key_table::end_search() {
    searching_ = false;
    std::vector<key_hash> through;
    for (const auto& [from, key] : missed_) {
        if (from >= search_from_ && !entries_.at(key).full) {
            through.push_back(key);
        }
    }
    for (const key_hash key : through) {
        change(*this, entries_.find(key))->missed_from = offset_end;
    }
}

void key_table::clear() {
    entries_.clear();
    in_flight_.clear();
    runnable_.clear();
    hungry_.clear();
    missed_.clear();
    waiting_count_ = 0;
    searching_ = false;
}

// ---- retrying messages by key ----

std::size_t key_table::home(key_hash key) const {
    return static_cast<std::size_t>(key) & (slots_.size() - 1);
}

void key_table::grow() {
    constexpr std::size_t slots_min = 16;
    std::vector<slot> before(std::max(slots_min, slots_.size() * 2));
    before.swap(slots_);
    for (const slot& each : before) {
        if (each.offset != offset_end) {
            slots_[place_of(each.key)] = each;
        }
    }
}

// Where the key is, or the free slot where it would be.
std::size_t key_table::place_of(key_hash key) const {
    std::size_t at = home(key);
    while (slots_[at].offset != offset_end && slots_[at].key != key) {
        at = (at + 1) & (slots_.size() - 1);
    }
    return at;
}

void key_table::add_retrying(key_hash key, offset_t offset) {
    if (key == no_key) {
        return;
    }
    if ((slots_used_ + 1) * 4 > slots_.size() * 3) {
        grow();
    }
    slot& of = slots_[place_of(key)];
    if (of.offset == offset_end) {
        of = {key, offset};
        ++slots_used_;
    } else if (of.offset != offset) {
        further_.emplace(key, std::max(of.offset, offset));
        of.offset = std::min(of.offset, offset);
    }
}

void key_table::remove_retrying(key_hash key, offset_t offset) {
    if (slots_.empty() || key == no_key) {
        return;
    }
    const std::size_t at = place_of(key);
    if (slots_[at].offset != offset || slots_[at].key != key) {
        further_.erase({key, offset});
        return;
    }
    const auto next = further_.lower_bound({key, 0});
    if (next != further_.end() && next->first == key) {
        slots_[at].offset = next->second;
        further_.erase(next);
        return;
    }
    free_slot(at);
    --slots_used_;
}

void key_table::free_slot(std::size_t hole) {
    // What was pushed beyond the hole moves up, so that a free slot still ends every search.
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t next = (hole + 1) & mask; slots_[next].offset != offset_end;
         next = (next + 1) & mask) {
        const std::size_t wanted = home(slots_[next].key);
        if (((next - wanted) & mask) >= ((next - hole) & mask)) {
            slots_[hole] = slots_[next];
            hole = next;
        }
    }
    slots_[hole] = {};
}

offset_t key_table::first_retrying(key_hash key) const {
    return slots_.empty() || key == no_key ? offset_end : slots_[place_of(key)].offset;
}

}  // namespace brokerd::domain
