// Recent chunks in memory.
#include "broker/domain/chunk_cache.hpp"

#include <algorithm>

namespace brokerd::domain {

const chunk_tail::entry* chunk_tail::find(offset_t offset) const {
    if (empty() || offset < front().data->base_offset()) {
        return nullptr;
    }
    const auto at = reaching(offset);
    return at == entries_.end() ? nullptr : &*at;
}

const chunk_tail::entry* chunk_tail::find_in_lane(offset_t offset, std::uint8_t lane) const {
    const auto at = std::find_if(reaching(offset), entries_.end(),
                                 [&](const entry& each) { return each.data->lane() == lane; });
    return at == entries_.end() ? nullptr : &*at;
}

std::vector<chunk_tail::entry>::const_iterator chunk_tail::reaching(offset_t offset) const {
    return std::lower_bound(
        entries_.begin() + static_cast<std::ptrdiff_t>(gone_), entries_.end(), offset,
        [](const entry& each, offset_t wanted) { return each.data->last_offset() < wanted; });
}

offset_t chunk_tail::first_since(wall_time time) const {
    const auto at = std::lower_bound(
        entries_.begin() + static_cast<std::ptrdiff_t>(gone_), entries_.end(), time,
        [](const entry& each, wall_time wanted) { return each.data->append_time() < wanted; });
    return at == entries_.end() ? offset_end : at->data->base_offset();
}

void chunk_tail::pop_front() {
    entries_[gone_++].data.reset();
    if (gone_ * 2 >= entries_.size()) {
        entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(gone_));
        gone_ = 0;
    }
}

void chunk_cache::add(chunk_tail& tail, chunk_ptr data, commit_number commit) {
    bytes_ += data->memory_bytes();
    ++chunks_;
    order_.push_back({data->topic(), data->base_offset(), commit});
    tail.entries_.push_back({std::move(data), commit});
}

void chunk_cache::pop_front(chunk_tail& tail) {
    bytes_ -= tail.front().data->memory_bytes();
    --chunks_;
    tail.pop_front();
}

void chunk_cache::drop_below(chunk_tail& tail, offset_t offset) {
    while (!tail.empty() && tail.front().data->end_offset() <= offset) {
        pop_front(tail);
    }
}

}  // namespace brokerd::domain
