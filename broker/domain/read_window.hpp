// Chunks a lagging queue has fetched from the store, from its cursor on: neighbours in the log.
// One fetch is outstanding at most; the next part is asked for before the last is used up. And a
// few chunks from anywhere. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "broker/domain/chunk.hpp"
#include "broker/domain/interval_set.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::domain {

// Chunks that were read, in the order in which they came: what they take in memory.
class fetched_chunks {
public:
    // `total` counts the bytes of all of them together.
    explicit fetched_chunks(std::size_t& total) : total_(total) {}
    ~fetched_chunks() { clear(); }
    fetched_chunks(const fetched_chunks&) = delete;
    fetched_chunks& operator=(const fetched_chunks&) = delete;

    [[nodiscard]] bool empty() const { return chunks_.empty(); }
    [[nodiscard]] std::size_t size() const { return chunks_.size(); }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    [[nodiscard]] const chunk_ptr& front() const { return chunks_.front(); }
    [[nodiscard]] const chunk_ptr& back() const { return chunks_.back(); }
    // The one that holds `offset`, nullptr if there is none.
    [[nodiscard]] const chunk_ptr* find(offset_t offset) const {
        const auto found = std::ranges::find_if(
            chunks_, [&](const chunk_ptr& each) { return each->contains(offset); });
        return found == chunks_.end() ? nullptr : &*found;
    }
    // The first one that ends behind `offset`, nullptr if there is none.
    [[nodiscard]] const chunk_ptr* next(offset_t offset) const {
        const auto found = first_behind(offset);
        return found == chunks_.end() ? nullptr : &*found;
    }

    void add(chunk_ptr data) {
        count(data->memory_bytes());
        chunks_.push_back(std::move(data));
    }
    // Those in front that end at `offset` or below.
    void drop_below(offset_t offset) { drop_until(first_behind(offset)); }
    void drop_front() { drop_until(chunks_.begin() + 1); }
    void clear() { drop_until(chunks_.end()); }

private:
    using place = std::vector<chunk_ptr>::const_iterator;

    [[nodiscard]] place first_behind(offset_t offset) const {
        return std::ranges::find_if(
            chunks_, [&](const chunk_ptr& each) { return each->end_offset() > offset; });
    }
    void count(std::size_t more) {
        bytes_ += more;
        total_ += more;
    }
    void drop_until(place kept) {
        for (place gone = chunks_.begin(); gone != kept; ++gone) {
            bytes_ -= (*gone)->memory_bytes();
            total_ -= (*gone)->memory_bytes();
        }
        chunks_.erase(chunks_.begin(), kept);
    }

    std::size_t& total_;
    std::vector<chunk_ptr> chunks_;  // a few
    std::size_t bytes_ = 0;
};

class read_window {
public:
    explicit read_window(std::size_t& total) : chunks_(total) {}

    // The chunk that holds `offset`, nullptr if it is not in the window.
    [[nodiscard]] const chunk_ptr* find(offset_t offset) const { return chunks_.find(offset); }
    [[nodiscard]] bool empty() const { return chunks_.empty(); }
    [[nodiscard]] std::size_t bytes() const { return chunks_.bytes(); }
    [[nodiscard]] const chunk_ptr& front() const { return chunks_.front(); }
    // Behind the last message; only when not empty.
    [[nodiscard]] offset_t end() const { return chunks_.back()->end_offset(); }

    // Takes fetched chunks in: behind what is there if they continue it, else instead of it.
    // `skipped` = the offsets of the topic that no message has.
    void add(const std::vector<chunk_ptr>& chunks, const interval_set& skipped) {
        for (const chunk_ptr& each : chunks) {
            if (!empty() && each->base_offset() != skipped.next_gap(end())) {
                clear();
            }
            chunks_.add(each);
        }
    }
    void drop_below(offset_t offset) { chunks_.drop_below(offset); }
    void clear() { chunks_.clear(); }

    bool fetching = false;

private:
    fetched_chunks chunks_;
};

// A few single chunks, the newest kept.
class chunk_shelf {
public:
    static constexpr std::size_t chunks_max = 16;

    explicit chunk_shelf(std::size_t& total) : chunks_(total) {}

    [[nodiscard]] const chunk_ptr* find(offset_t offset) const { return chunks_.find(offset); }
    void add(chunk_ptr data) {
        if (find(data->base_offset()) != nullptr) {
            return;  // two of its messages were asked for at once
        }
        if (chunks_.size() == chunks_max) {
            chunks_.drop_front();
        }
        chunks_.add(std::move(data));
    }
    void clear() { chunks_.clear(); }

private:
    fetched_chunks chunks_;
};

}  // namespace brokerd::domain
