// A line of offsets in ascending order that is served from the front. It has no memory of its own
// until something stands in it: an ordered queue has one for each key in flight. Pure; header only.
#pragma once

#include <cstddef>
#include <vector>

#include "protocol/types/ids.hpp"

namespace brokerd::domain {

class offset_line {
public:
    using const_iterator = std::vector<offset_t>::const_iterator;

    [[nodiscard]] bool empty() const { return served_ == offsets_.size(); }
    [[nodiscard]] std::size_t size() const { return offsets_.size() - served_; }
    [[nodiscard]] const_iterator begin() const {
        return offsets_.begin() + static_cast<std::ptrdiff_t>(served_);
    }
    [[nodiscard]] const_iterator end() const { return offsets_.end(); }
    [[nodiscard]] offset_t front() const { return offsets_[served_]; }
    [[nodiscard]] offset_t back() const { return offsets_.back(); }
    [[nodiscard]] offset_t operator[](std::size_t place) const { return offsets_[served_ + place]; }

    void push_back(offset_t offset) { offsets_.push_back(offset); }
    void insert(const_iterator before, offset_t offset) { offsets_.insert(before, offset); }
    void pop_front() {
        ++served_;
        // What is served goes when it is the larger part, so that each offset moves once.
        if (served_ * 2 >= offsets_.size()) {
            offsets_.erase(offsets_.begin(), begin());
            served_ = 0;
            if (offsets_.capacity() > kept_max && offsets_.size() * 4 <= offsets_.capacity()) {
                offsets_.shrink_to_fit();  // a line that was long once must not stay so large
            }
        }
    }
    [[nodiscard]] std::size_t capacity() const { return offsets_.capacity(); }
    // Keeps the first `count`, which are at most size().
    void truncate(std::size_t count) {
        offsets_.resize(served_ + count);
        offsets_.shrink_to_fit();
    }

private:
    static constexpr std::size_t kept_max = 16;  // of a capacity that is not given back

    std::vector<offset_t> offsets_;
    std::size_t served_ = 0;  // of offsets_, at its front
};

}  // namespace brokerd::domain
