// Where the bytes and the times of a topic lie in its log.
#include "broker/domain/log_marks.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "broker/base/assert.hpp"

namespace brokerd::domain {
namespace {

// What the topic is to be exact about; 0: no bound by bytes.
std::uint64_t smallest_bound(const topic_settings& settings) {
    const auto least = [](std::uint64_t a, std::uint64_t b) {
        return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
    };
    return least(settings.max_bytes, settings.keep_done_bytes);
}

std::uint64_t spacing_of(const topic_settings& settings) {
    const std::uint64_t bound = smallest_bound(settings);
    return bound == 0 ? log_marks::spacing_min
                      : std::min(log_marks::spacing_min, bound / log_marks::spacing_share);
}

// The marks are stored as one, so a few per bound do.
std::uint64_t stored_spacing_of(const topic_settings& settings) {
    const std::uint64_t bound = smallest_bound(settings);
    return bound == 0
               ? log_marks::spacing_min
               : std::clamp(bound / 8, log_marks::stored_spacing_min, log_marks::spacing_min);
}

// Every second one goes, but for the first and the last.
void thin_out(std::vector<log_mark>& marks) {
    std::size_t left = 0;
    for (std::size_t i = 0; i < marks.size(); ++i) {
        if (i % 2 == 0 || i + 1 == marks.size()) {
            marks[left++] = marks[i];
        }
    }
    marks.resize(left);
}

}  // namespace

void log_marks::add_mark(offset_t offset) {
    marks_.push_back({.offset = offset, .bytes = total_, .time = last_});
    if (marks_.size() > marks_max) {
        thin_out(marks_);
    }
}

duration_us log_marks::age_spacing(wall_time now, const topic_settings& settings) const {
    return settings.max_age > duration_us{0}
               ? std::max(age_spacing_min, settings.max_age / spacing_share)
               : std::max(age_spacing_idle, (now - marks_.front().time) / spacing_share);
}

bool log_marks::wants_mark_of_bytes(const topic_settings& settings) const {
    const std::uint64_t spacing =
        std::max(spacing_of(settings), bytes_from(begin_) / spacing_share);
    return total_ - marks_.back().bytes >= spacing;
}

// Whatever is marked for bytes meanwhile: of those marks a start may know none.
bool log_marks::wants_mark_of_age(wall_time appended, const topic_settings& settings) const {
    return appended - untold_began_ >= age_spacing(appended, settings);
}

bool log_marks::append(offset_t first, std::uint64_t messages, std::uint64_t bytes,
                       wall_time appended, const topic_settings& settings) {
    BROKERD_ASSERT(first >= end_ && messages > 0, "a chunk at {}, the log ends at {}", first, end_);
    bool store = false;
    const bool is_behind_last = !marks_.empty() && first > marks_.back().offset;
    if (begin_ == end_ || marks_.empty()) {
        // Nothing there: exact from here on, and counted again at a start.
        marks_.assign(1, {.offset = first, .bytes = total_, .time = appended});
        untold_began_ = appended;
        told_ = total_;
    } else if (const bool of_age = is_behind_last && wants_mark_of_age(appended, settings);
               of_age || (is_behind_last && wants_mark_of_bytes(settings))) {
        const std::uint64_t untold = total_ - std::max(told_, marks_.front().bytes);
        store = of_age || untold >= stored_spacing_of(settings);
        told_ = store ? total_ : told_;
        untold_began_ = store ? appended : untold_began_;
        add_mark(first);
    }
    end_ = first + messages;
    total_ += bytes;
    last_ = std::max(last_, appended);
    return store;
}

// A mark on either side: else their bytes would be taken as spread over the skipped ones too.
void log_marks::skip_to(offset_t end) {
    if (begin_ == end_) {
        marks_.clear();
    } else if (end_ > marks_.back().offset) {
        add_mark(end_);
    }
    end_ = end;
    add_mark(end_);
    untold_began_ = {};
}

void log_marks::drop_below(offset_t trim) {
    begin_ = std::clamp(trim, begin_, end_);
    const auto above = std::ranges::upper_bound(marks_, begin_, {}, &log_mark::offset);
    if (above - marks_.begin() > 1) {
        marks_.erase(marks_.begin(), above - 1);
    }
}

std::uint64_t log_marks::bytes_below(offset_t offset) const {
    if (offset >= end_ || marks_.empty()) {
        return total_;
    }
    const auto above = std::ranges::upper_bound(marks_, offset, {}, &log_mark::offset);
    if (above == marks_.begin()) {
        return marks_.front().bytes;
    }
    const log_mark& low = *std::prev(above);
    const bool is_last = above == marks_.end();
    const offset_t high = is_last ? end_ : above->offset;
    const std::uint64_t between = (is_last ? total_ : above->bytes) - low.bytes;
    const double share =
        static_cast<double>(offset - low.offset) / static_cast<double>(high - low.offset);
    return low.bytes +
           std::min(between, static_cast<std::uint64_t>(static_cast<double>(between) * share));
}

std::uint64_t log_marks::bytes_from(offset_t offset) const {
    return total_ - bytes_below(std::max(offset, begin_));
}

offset_t log_marks::last_bytes(std::uint64_t bytes) const {
    offset_t low = begin_;
    offset_t high = end_;  // from there on there are none
    while (low < high) {
        const offset_t middle = low + (high - low) / 2;
        if (bytes_from(middle) <= bytes) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

offset_t log_marks::appended_by(wall_time time) const {
    if (last_ <= time) {
        return end_;
    }
    const auto later = std::ranges::upper_bound(marks_, time, {}, &log_mark::time);
    return later == marks_.begin() ? begin_ : std::max(begin_, std::prev(later)->offset);
}

wall_time log_marks::first_time() const {
    if (begin_ == end_) {
        return wall_never;
    }
    const auto above = std::ranges::upper_bound(marks_, begin_, {}, &log_mark::offset);
    return above == marks_.end() ? last_ : above->time;
}

void log_marks::restore(std::vector<log_mark> marks, offset_t trim, offset_t end,
                        std::uint64_t unmarked, wall_time last) {
    marks_ = std::move(marks);
    begin_ = trim;
    end_ = std::max(trim, end);
    last_ = last;
    std::erase_if(marks_, [&](const log_mark& each) { return each.offset > end_; });
    // What is unmarked is counted from the trim point on, not from a mark below it.
    if (marks_.empty() || marks_.back().offset < trim) {
        const std::uint64_t bytes = marks_.empty() ? 0 : marks_.back().bytes;
        marks_.assign(1, {.offset = trim, .bytes = bytes, .time = last});
    }
    total_ = marks_.back().bytes + (begin_ == end_ ? 0 : unmarked);
    told_ = marks_.back().bytes;
    untold_began_ = {};  // not known: the next chunk begins with a mark
    drop_below(trim);
}

}  // namespace brokerd::domain
