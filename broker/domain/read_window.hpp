// Chunks a lagging queue has fetched from the store, from its cursor on: neighbours in the log.
// One fetch is outstanding at most; the next part is asked for before the last is used up. And a
// few chunks from anywhere. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "broker/domain/chunk.hpp"
#include "broker/domain/interval_set.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::domain {

class read_window {
public:
    // `total` counts the bytes of all windows together.
    explicit read_window(std::size_t& total) : total_(total) {}
    ~read_window() { clear(); }
    read_window(const read_window&) = delete;
    read_window& operator=(const read_window&) = delete;

    // The chunk that holds `offset`, nullptr if it is not in the window.
    [[nodiscard]] const chunk_ptr* find(offset_t offset) const {
        for (const chunk_ptr& each : chunks_) {
            if (each->contains(offset)) {
                return &each;
            }
        }
        return nullptr;
    }
    [[nodiscard]] bool empty() const { return chunks_.empty(); }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
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
            count(each->memory_bytes());
            chunks_.push_back(each);
        }
    }
    void drop_below(offset_t offset) {
        std::size_t gone = 0;
        while (gone < chunks_.size() && chunks_[gone]->end_offset() <= offset) {
            bytes_ -= chunks_[gone]->memory_bytes();
            total_ -= chunks_[gone]->memory_bytes();
            ++gone;
        }
        chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(gone));
    }
    void clear() {
        chunks_.clear();
        total_ -= bytes_;
        bytes_ = 0;
    }

    bool fetching = false;

private:
    void count(std::size_t more) {
        bytes_ += more;
        total_ += more;
    }

    std::size_t& total_;
    std::vector<chunk_ptr> chunks_;  // a few
    std::size_t bytes_ = 0;
};

// A few single chunks, the newest kept.
class chunk_shelf {
public:
    static constexpr std::size_t chunks_max = 16;

    explicit chunk_shelf(std::size_t& total) : total_(total) {}
    ~chunk_shelf() { clear(); }
    chunk_shelf(const chunk_shelf&) = delete;
    chunk_shelf& operator=(const chunk_shelf&) = delete;

    [[nodiscard]] const chunk_ptr* find(offset_t offset) const {
        for (const chunk_ptr& each : chunks_) {
            if (each->contains(offset)) {
                return &each;
            }
        }
        return nullptr;
    }
    void add(chunk_ptr data) {
        if (find(data->base_offset()) != nullptr) {
            return;  // two of its messages were asked for at once
        }
        if (chunks_.size() == chunks_max) {
            total_ -= chunks_.front()->memory_bytes();
            chunks_.erase(chunks_.begin());
        }
        total_ += data->memory_bytes();
        chunks_.push_back(std::move(data));
    }
    void clear() {
        for (const chunk_ptr& each : chunks_) {
            total_ -= each->memory_bytes();
        }
        chunks_.clear();
    }

private:
    std::size_t& total_;
    std::vector<chunk_ptr> chunks_;
};

}  // namespace brokerd::domain
