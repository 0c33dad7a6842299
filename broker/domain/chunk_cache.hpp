// Recent chunks, kept in memory by reference so that consumers at the tail never touch the disk.
// Each topic has its tail; one byte budget over all topics drops the oldest first. Pure.
//
// Invariant: what is not applied to the store yet is never dropped, so a fetch always finds what
// memory has not.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "broker/domain/chunk.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::domain {

// The newest chunks of one topic, without gaps up to its end.
class chunk_tail {
public:
    struct entry {
        chunk_ptr data;
        commit_number commit;  // the one that stores it
    };

    // The entry that holds `offset`, nullptr if none does.
    [[nodiscard]] const entry* find(offset_t offset) const;
    // The first entry of the lane that ends behind `offset`, nullptr if there is none.
    [[nodiscard]] const entry* find_in_lane(offset_t offset, std::uint8_t lane) const;
    // First offset appended at or after `time` among these; offset_end if there is none.
    [[nodiscard]] offset_t first_since(wall_time time) const;
    // The first offset in memory; offset_end if there is none.
    [[nodiscard]] offset_t begin_offset() const {
        return empty() ? offset_end : front().data->base_offset();
    }
    [[nodiscard]] bool empty() const { return gone_ == entries_.size(); }
    [[nodiscard]] const entry& front() const { return entries_[gone_]; }
    [[nodiscard]] std::size_t size() const { return entries_.size() - gone_; }

private:
    friend class chunk_cache;
    void pop_front();
    // The first entry that ends behind `offset`.
    [[nodiscard]] std::vector<entry>::const_iterator reaching(offset_t offset) const;

    std::vector<entry> entries_;
    std::size_t gone_ = 0;  // dropped at the front, not moved up yet
};

class chunk_cache {
public:
    explicit chunk_cache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

    void add(chunk_tail& tail, chunk_ptr data, commit_number commit);
    // Drops the chunks that lie wholly below `offset`.
    void drop_below(chunk_tail& tail, offset_t offset);
    void drop_all(chunk_tail& tail) { drop_below(tail, offset_end); }

    // Drops the oldest chunks beyond the budget, but none of a commit after `applied`.
    // find_tail(topic_id) gives the tail of a topic, nullptr if that is gone.
    template <typename FindTail>
    void keep_budget(commit_number applied, FindTail&& find_tail) {
        while (bytes_ > bytes_max_ && !order_.empty() && order_.front().commit <= applied) {
            const place oldest = order_.front();
            order_.pop_front();
            chunk_tail* tail = find_tail(oldest.topic);
            if (tail != nullptr && !tail->empty() &&
                tail->front().data->base_offset() == oldest.base_offset) {
                pop_front(*tail);
            }
        }
        if (order_.size() > 2 * chunks_ + order_slack) {
            std::erase_if(order_, [&](const place& each) {
                const chunk_tail* tail = find_tail(each.topic);
                return tail == nullptr || tail->empty() ||
                       tail->front().data->base_offset() > each.base_offset;
            });
        }
    }

    [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
    static constexpr std::size_t order_slack = 64;

    struct place {
        topic_id topic;
        offset_t base_offset = 0;
        commit_number commit;
    };

    void pop_front(chunk_tail& tail);

    std::size_t bytes_max_;
    std::size_t bytes_ = 0;
    std::size_t chunks_ = 0;
    std::deque<place> order_;  // of every chunk added, oldest first; some are gone already
};

}  // namespace brokerd::domain
