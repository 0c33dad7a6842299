// The marks of a log against a model that remembers every message.
#include "broker/domain/log_marks.hpp"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "broker/base/random.hpp"

namespace brokerd::domain::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t chunk_max = 256 * limits::kib;

topic_settings bounded(std::uint64_t max_bytes, duration_us max_age = 0s) {
    topic_settings settings;
    settings.max_bytes = max_bytes;
    settings.max_age = max_age;
    return settings;
}

// A log of which every size and time is known, and what a store would have of its marks.
class model {
public:
    explicit model(topic_settings wanted) : settings(wanted) {}

    // A chunk of messages of one size.
    void append(std::uint64_t messages, std::uint64_t size) {
        const offset_t first = marks.end();
        if (marks.append(first, messages, messages * size, now, settings)) {
            stored = marks.marks();
            ++times_stored;
        }
        for (std::uint64_t i = 0; i < messages; ++i) {
            below.push_back(below.back() + size);
            times.push_back(now);
        }
        held_most = std::max(held_most, exact_from(trim));
    }
    void skip(std::uint64_t count) {
        below.insert(below.end(), count, below.back());
        times.insert(times.end(), count, times.empty() ? now : times.back());
        marks.skip_to(end());
        stored = marks.marks();
    }
    void trim_to(offset_t to) {
        trim = to;
        marks.drop_below(to);
    }
    void restart() {
        const offset_t marked = stored.empty() ? 0 : stored.back().offset;
        marks = log_marks();
        marks.restore(stored, trim, end(), exact_from(std::max(marked, trim)),
                      times.empty() ? wall_time{} : times.back());
    }

    [[nodiscard]] offset_t end() const { return times.size(); }
    [[nodiscard]] std::uint64_t exact_from(offset_t offset) const {
        return below.back() - below[offset];
    }
    // What lies between the marks on either side of it.
    [[nodiscard]] std::uint64_t span_at(offset_t offset) const {
        offset_t low = trim;
        offset_t high = end();
        for (const log_mark& each : marks.marks()) {
            if (each.offset <= offset) {
                low = each.offset;
            } else {
                high = std::min(high, each.offset);
            }
        }
        return below[high] - below[low];
    }

    void check() const {
        ASSERT_EQ(marks.begin(), trim);
        ASSERT_EQ(marks.end(), end());
        ASSERT_LE(marks.marks().size(), log_marks::marks_max);
        EXPECT_EQ(marks.bytes_from(end()), 0U);
        for (const log_mark& each : marks.marks()) {
            if (each.offset >= trim) {
                EXPECT_EQ(marks.bytes_from(each.offset), exact_from(each.offset));
            }
        }
        std::uint64_t before = marks.bytes_from(trim);
        for (offset_t at = trim; at <= end(); at += 1 + (end() - trim) / 50) {
            const std::uint64_t told = marks.bytes_from(at);
            const std::uint64_t exact = exact_from(at);
            EXPECT_LE(told > exact ? told - exact : exact - told, span_at(at)) << at;
            EXPECT_LE(told, before) << at;
            before = told;
        }
        check_bytes();
        check_times();
    }
    void check_bytes() const {
        for (const std::uint64_t part : {0U, 1U, 3U, 7U, 8U, 9U}) {
            const std::uint64_t bytes = marks.bytes_from(trim) * part / 8;
            const offset_t first = marks.last_bytes(bytes);
            ASSERT_GE(first, trim);
            EXPECT_LE(marks.bytes_from(first), bytes);
            EXPECT_TRUE(first == trim || marks.bytes_from(first - 1) > bytes);
        }
    }
    void check_times() const {
        const wall_time first = marks.first_time();
        if (trim == end()) {
            EXPECT_EQ(first, wall_never);
            return;
        }
        EXPECT_EQ(marks.appended_by(first - 1us), trim);
        EXPECT_GT(marks.appended_by(first), trim);
        EXPECT_EQ(marks.appended_by(times.back()), end());
        for (offset_t at = trim; at < end(); at += 1 + (end() - trim) / 20) {
            const offset_t told = marks.appended_by(times[at] - 1us);
            EXPECT_LE(told, std::max(at, trim)) << "says too much at " << at;
        }
    }

    topic_settings settings;
    log_marks marks;
    std::vector<log_mark> stored;
    std::size_t times_stored = 0;
    std::vector<std::uint64_t> below{0};  // bytes of all messages before each
    std::vector<wall_time> times;
    offset_t trim = 0;
    std::uint64_t held_most = 0;
    wall_time now{std::chrono::sys_days{std::chrono::year{2030} / 1 / 1}};
};

TEST(log_marks_test, nothing_is_in_an_empty_log) {
    log_marks marks;
    EXPECT_EQ(marks.bytes_from(0), 0U);
    EXPECT_EQ(marks.last_bytes(10), 0U);
    EXPECT_EQ(marks.appended_by(wall_never), 0U);
    EXPECT_EQ(marks.first_time(), wall_never);
    marks.restore({}, 7, 7, 0, {});
    EXPECT_EQ(marks.bytes_from(7), 0U);
    EXPECT_EQ(marks.begin(), 7U);
    EXPECT_EQ(marks.end(), 7U);
}

TEST(log_marks_test, what_lies_in_one_span_is_spread_evenly) {
    model log{{}};
    log.append(1, 100);
    log.append(3, 300);
    EXPECT_EQ(log.marks.bytes_from(0), 1000U);
    EXPECT_EQ(log.marks.bytes_from(1), 750U);
    EXPECT_EQ(log.marks.last_bytes(749), 2U);
    EXPECT_EQ(log.marks.last_bytes(750), 1U);
    log.trim_to(1);
    EXPECT_EQ(log.marks.bytes_from(0), 750U) << "below is nothing any more";
    log.trim_to(4);
    log.append(1, 50);
    EXPECT_EQ(log.marks.bytes_from(4), 50U) << "exact again once it was empty";
    EXPECT_EQ(log.times_stored, 0U);
}

TEST(log_marks_test, random_logs_are_as_exact_as_promised) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        base::random random(seed);
        const std::uint64_t bounds[] = {0, 0, 64 * limits::kib, 8 * limits::mib};
        model log(bounded(bounds[random.below(4)], random.chance(1, 2) ? duration_us{10min} : 0s));
        for (int step = 0; step < 600; ++step) {
            log.now += duration_us{static_cast<std::int64_t>(random.below(2000000))};
            const std::uint64_t messages = 1 + random.below(20);
            log.append(messages, 1 + random.below(chunk_max / messages));
            if (random.chance(1, 8)) {
                // To a message that need not be the first of a chunk.
                log.trim_to(log.trim + random.below(log.end() - log.trim + 1));
            }
            if (random.chance(1, 50)) {
                log.restart();
            }
            if (random.chance(1, 100)) {
                log.skip(1 + random.below(10000));
            }
            if (step % 20 == 0) {
                log.check();
            }
            ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << ", step " << step;
        }
    }
}

TEST(log_marks_test, a_range_is_right_to_within_a_32nd_of_what_the_log_held) {
    for (const std::uint64_t bound : {std::uint64_t{0}, 16 * limits::mib}) {
        model log(bounded(bound));
        base::random random(5);
        for (int step = 0; step < 4000; ++step) {
            log.now += 1s;
            log.append(4, 1 + random.below(chunk_max / 4));
            const std::uint64_t least =
                bound == 0 ? log_marks::spacing_min : bound / log_marks::spacing_share;
            const std::uint64_t most = std::max(least, log.held_most / 32) + 2 * chunk_max;
            if (step % 100 == 0) {
                for (offset_t at = log.trim; at < log.end(); at += 40) {
                    ASSERT_LE(log.span_at(at), most) << at;
                }
            }
        }
        EXPECT_LE(log.times_stored, 600U) << "is not stored with each chunk";
    }
}

TEST(log_marks_test, ages_are_right_to_within_a_64th) {
    constexpr duration_us age = 64s;
    model log(bounded(0, age));
    base::random random(3);
    for (int step = 0; step < 2000; ++step) {
        log.now += duration_us{static_cast<std::int64_t>(random.below(500000))};
        log.append(1 + random.below(5), 10);
        const offset_t old = log.marks.appended_by(log.now - age);
        for (offset_t at = log.trim; at < log.end(); ++at) {
            if (at < old) {
                ASSERT_LE(log.times[at], log.now - age) << "too young";
            } else {
                ASSERT_GT(log.times[at], log.now - age - age / 64) << "kept too long";
            }
        }
        log.trim_to(old);
        if (step % 400 == 399) {
            log.restart();
        }
    }
}

// Small bounds by bytes want a mark with every chunk, and few of these are stored.
TEST(log_marks_test, a_start_knows_ages_to_within_a_64th_whatever_is_marked_for_bytes) {
    constexpr duration_us spacing = 1s;
    topic_settings settings = bounded(0, 64 * spacing);
    settings.keep_done_bytes = 1000;
    model log(settings);
    for (int i = 0; i < 60; ++i) {
        log.append(1, 100);
        log.now += 300ms;
    }
    const wall_time begin = log.times.front();
    log.restart();
    for (wall_time old = begin; old < log.times.back(); old += 100ms) {
        const offset_t known = log.marks.appended_by(old);
        const auto later = std::ranges::upper_bound(log.times, old);
        EXPECT_TRUE(later == log.times.begin() + static_cast<std::ptrdiff_t>(known) ||
                    old - log.times.at(known) <= 2 * spacing)
            << "at " << (old - begin).count() << " us";
    }
    EXPECT_LE(log.times_stored, 20U);
}

TEST(log_marks_test, a_start_counts_what_was_not_marked) {
    model log{{}};
    for (int i = 0; i < 30; ++i) {
        log.now += 1min;
        log.append(1, 100 * limits::kib);
    }
    EXPECT_GT(log.times_stored, 0U);
    log.restart();
    EXPECT_EQ(log.marks.bytes_from(0), 30 * 100 * limits::kib);
    log.trim_to(29);
    log.restart();
    EXPECT_EQ(log.marks.bytes_from(29), 100 * limits::kib);
    log.stored.clear();  // as before there were marks
    log.restart();
    EXPECT_EQ(log.marks.bytes_from(29), 100 * limits::kib);
    log.append(1, 7);
    log.check();
}

// Offsets that were skipped have no bytes, so none are spread over them.
TEST(log_marks_test, skipped_offsets_have_no_bytes) {
    model log{{}};
    log.append(2, 100);
    log.skip(1000);
    log.append(2, 50);
    EXPECT_EQ(log.marks.bytes_from(0), 300U);
    EXPECT_EQ(log.marks.bytes_from(2), 100U);
    EXPECT_EQ(log.marks.bytes_from(1002), 100U);
    EXPECT_EQ(log.marks.bytes_from(1003), 50U);
    log.restart();
    EXPECT_EQ(log.marks.bytes_from(2), 100U);
    log.check();
}

// Else a start would not know when what lies behind the last one stored was appended.
TEST(log_marks_test, marks_are_stored_for_their_age_also_if_others_come_for_their_bytes) {
    model of(bounded(limits::mib, 64s));
    wall_time stored = of.now;
    std::size_t times_stored = 0;
    for (int i = 0; i < 100; ++i) {
        of.now += 500ms;
        of.append(16, 1024);
        if (std::exchange(times_stored, of.times_stored) != of.times_stored) {
            stored = of.now;
        }
        EXPECT_LE(of.now - stored, 1s) << i;
    }
}

}  // namespace
}  // namespace brokerd::domain::test
