// Where the bytes and the times of a topic lie in its log, in a few marks: enough to say how many
// bytes lie in a range and how old it is, without reading it. Pure.
//
// Totals are exact at each mark and at the end. Between two marks bytes are taken as spread evenly
// over the messages, so a range is right to within what lies between two marks and one chunk: at
// most a 32nd of what the log held then, or spacing_min, or a 64th of the topic's bounds by bytes
// where that is less. No error adds up, as every answer is a difference of totals.
//
// Not each mark is worth to be stored at once: what lies behind the last one stored is counted at a
// start, and only there the spacing is wider until it is trimmed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "broker/domain/mutation.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

class log_marks {
public:
    static constexpr std::size_t marks_max = 256;  // beyond it every second one goes
    static constexpr std::uint64_t spacing_min = limits::mib;
    static constexpr int spacing_share = 64;  // of what the log holds, and of max_age
    static constexpr duration_us age_spacing_min = std::chrono::milliseconds(100);
    // Without max_age: a 64th of how old the log is, or this. It may get a max_age yet.
    static constexpr duration_us age_spacing_idle = std::chrono::hours(1);
    // Not less is between two marks that are stored for the sake of bytes.
    static constexpr std::uint64_t stored_spacing_min = 16 * limits::kib;

    // A chunk of the topic begins at `first`, behind all there is; `bytes` of its batches, without
    // its header. True if the marks are to be stored with the chunk.
    [[nodiscard]] bool append(offset_t first, std::uint64_t messages, std::uint64_t bytes,
                              wall_time appended, const topic_settings& settings);
    // Offsets without a message follow the last one.
    void skip_to(offset_t end);
    // Nothing below `trim` is there any more.
    void drop_below(offset_t trim);

    [[nodiscard]] offset_t begin() const { return begin_; }
    [[nodiscard]] offset_t end() const { return end_; }
    // Bytes of the messages from `offset` on; 0 at the end.
    [[nodiscard]] std::uint64_t bytes_from(offset_t offset) const;
    // The first offset from which on there are at most so many bytes.
    [[nodiscard]] offset_t last_bytes(std::uint64_t bytes) const;
    // All messages below it were appended by `time`, and it is the last offset of which the marks
    // know that; begin(): of none.
    [[nodiscard]] offset_t appended_by(wall_time time) const;
    // The first time for which appended_by says more than begin(); wall_never: the log is empty.
    [[nodiscard]] wall_time first_time() const;

    // As they are stored. The last mark is no mark of the end: what lies behind it is counted at a
    // start (topic_tail::unmarked_bytes).
    [[nodiscard]] const std::vector<log_mark>& marks() const { return marks_; }
    // What was stored; behind the last mark lie `unmarked` bytes up to `end`, appended by `last`.
    void restore(std::vector<log_mark> marks, offset_t trim, offset_t end, std::uint64_t unmarked,
                 wall_time last);

private:
    void add_mark(offset_t offset);
    [[nodiscard]] bool wants_mark_of_bytes(const topic_settings& settings) const;
    [[nodiscard]] bool wants_mark_of_age(wall_time appended, const topic_settings& settings) const;
    [[nodiscard]] duration_us age_spacing(wall_time now, const topic_settings& settings) const;
    [[nodiscard]] std::uint64_t bytes_below(offset_t offset) const;

    std::vector<log_mark> marks_;  // ascending; the first one at or below begin_, if there is any
    offset_t begin_ = 0;
    offset_t end_ = 0;
    std::uint64_t total_ = 0;  // bytes below end_
    wall_time last_{};         // of the last message
    // Of the last mark that was to be stored: the total there, and when the first message behind it
    // was appended.
    std::uint64_t told_ = 0;
    wall_time untold_began_{};
};

}  // namespace brokerd::domain
