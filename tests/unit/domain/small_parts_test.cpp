// The small parts: line of offsets, retry schedule, wall clock, rate meter, chunk cache, read
// window, units for people.
#include <gmock/gmock.h>

#include "broker/domain/chunk_cache.hpp"
#include "broker/domain/human.hpp"
#include "broker/domain/offset_line.hpp"
#include "broker/domain/rate_meter.hpp"
#include "broker/domain/read_window.hpp"
#include "broker/domain/retry_schedule.hpp"
#include "broker/domain/shared_settings.hpp"
#include "broker/domain/wall_clock.hpp"
#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

constexpr wall_time noon = wall_from_us(1'000'000'000);

using offsets = std::vector<offset_t>;

offsets all_of(const offset_line& line) {
    return {line.begin(), line.end()};
}

TEST(offset_line, gives_its_memory_back_as_it_is_served) {
    offset_line line;
    for (offset_t offset = 0; offset < 1000; ++offset) {
        line.push_back(offset);
    }
    while (line.size() > 1) {
        line.pop_front();
    }
    EXPECT_EQ(line.front(), 999U);
    EXPECT_LE(line.capacity(), 16U);
}

TEST(offset_line, is_a_queue_that_takes_what_comes_back) {
    offset_line line;
    EXPECT_TRUE(line.empty());
    for (offset_t offset = 10; offset < 20; ++offset) {
        line.push_back(offset);
    }
    for (offset_t offset = 10; offset < 17; ++offset) {
        EXPECT_EQ(line.front(), offset);
        line.pop_front();
    }
    EXPECT_EQ(all_of(line), (offsets{17, 18, 19}));
    line.insert(line.begin(), 12);
    line.push_back(30);
    EXPECT_EQ(all_of(line), (offsets{12, 17, 18, 19, 30}));
    EXPECT_EQ(line[4], line.back());
    line.pop_front();
    line.truncate(2);
    EXPECT_EQ(all_of(line), (offsets{17, 18}));
    EXPECT_EQ(line.size(), 2U);
    line.pop_front();
    line.pop_front();
    EXPECT_TRUE(line.empty());
}

TEST(retry_schedule, holds_what_is_due_soon_and_leaves_the_rest_to_the_store) {
    retry_schedule schedule;
    schedule.set_known_until(noon + 60s);
    schedule.add(1, noon + 5s, noon);
    schedule.add(2, noon + 70s, noon);
    schedule.add(3, noon, noon);
    EXPECT_EQ(schedule.in_memory(), 2U);
    EXPECT_TRUE(schedule.due().contains(3));
    EXPECT_EQ(schedule.next(), noon + 5s);
    EXPECT_FALSE(schedule.advance(noon + 4s));
    EXPECT_TRUE(schedule.advance(noon + 5s));
    EXPECT_EQ(schedule.due().count(), 2U);
    schedule.remove(1, noon + 5s);
    EXPECT_EQ(schedule.next(), wall_never);
    EXPECT_EQ(schedule.in_memory(), 1U);
}

TEST(wall_clock, follows_small_steps_at_once_and_large_ones_slowly) {
    wall_clock clock;
    instant now{mono_time{0s}, noon};
    clock.start(now, {});
    now = {now.mono + 1s, now.wall + 1s + 30s};
    EXPECT_EQ(clock.observe(now), now.wall);
    EXPECT_EQ(clock.behind(), 0s);
    now = {now.mono + 10s, now.wall + 10s + 1h};
    EXPECT_EQ(clock.observe(now), now.wall - 1h + 1s) << "a tenth of the time that passed";
    EXPECT_EQ(clock.behind(), 1h - 1s);
    now = {now.mono + 36000s, now.wall + 36000s};
    EXPECT_GT(clock.observe(now), now.wall - 61s);
    now = {now.mono + 1s, now.wall + 1s};
    EXPECT_EQ(clock.observe(now), now.wall);
    EXPECT_EQ(clock.behind(), 0s);
}

// Else what is appended and given out at one instant could be older than it is.
TEST(wall_clock, is_the_same_however_often_it_is_asked_at_one_instant) {
    wall_clock clock;
    const auto at = [](duration_us mono, duration_us wall) {
        return instant{mono_time{mono}, wall_time{wall}};
    };
    clock.start(at(0s, 1000s), {});
    const auto far = at(300s, 1300s + 85s);  // followed by 30 s, which leaves 55 s
    const wall_time first = clock.observe(far);
    EXPECT_EQ(first, wall_time{1330s});
    EXPECT_EQ(clock.observe(far), first);
    EXPECT_EQ(clock.observe(at(300s + 1us, 1385s + 1us)), wall_time{1385s + 1us});
}

TEST(wall_clock, due_times_run_on_monotonic_time_from_the_latest_time_known) {
    wall_clock clock;
    clock.start({mono_time{5s}, noon}, noon + 1h);  // the clock was set back while we were down
    EXPECT_EQ(clock.retry_time(mono_time{5s}), noon + 1h);
    (void)clock.observe({mono_time{6s}, noon + 24h});
    EXPECT_EQ(clock.retry_time(mono_time{6s}), noon + 1h + 1s);
    EXPECT_EQ(clock.mono_of_retry_time(noon + 1h + 10s), mono_time{15s});
}

TEST(rate_meter, averages_over_ten_seconds) {
    constexpr mono_time start{};
    rate_meter meter;
    mono_time now{100s};
    for (int i = 0; i < 20; ++i, now += 1s) {
        meter.add(now, 50);
    }
    EXPECT_EQ(meter.per_second(now, start), 50.0);
    meter.add(now, 25);
    EXPECT_EQ(meter.per_second(now + 500ms, start), 50.0);
    now += 5s;
    EXPECT_EQ(meter.per_second(now, start), 27.5);
    now += 1h;
    EXPECT_EQ(meter.per_second(now, start), 0.0);
}

TEST(rate_meter, a_flow_shows_at_once_after_a_start) {
    constexpr mono_time start{100'300ms};
    rate_meter meter;
    meter.add(start + 1ms, 30);
    EXPECT_EQ(meter.per_second(start + 2ms, start), 30.0) << "as if it went on for a second";
    EXPECT_EQ(meter.per_second(start + 3s, start), 10.0);
    EXPECT_EQ(meter.per_second(start + 10s, start), 3.0);
    EXPECT_EQ(meter.per_second(start + 12s, start), 0.0);
}

chunk_ptr chunk_at(topic_id topic, offset_t base, wall_time time = noon) {
    chunk_builder builder(topic, base);
    builder.append(make_batch({std::string(1000, 'x')}).view, 1);
    return builder.seal(time);
}

TEST(chunk_cache, drops_the_oldest_of_all_topics_beyond_its_budget) {
    chunk_tail a;
    chunk_tail b;
    chunk_cache cache(5 * chunk_at(topic_id{1}, 0)->memory_bytes() / 2);
    const auto find = [&](topic_id id) { return id == topic_id{1} ? &a : &b; };
    cache.add(a, chunk_at(topic_id{1}, 0), commit_number{1});
    cache.add(b, chunk_at(topic_id{2}, 0), commit_number{2});
    cache.add(a, chunk_at(topic_id{1}, 1), commit_number{3});
    cache.keep_budget(commit_number{0}, find);
    EXPECT_EQ(a.size() + b.size(), 3U) << "nothing is in the store yet";
    cache.keep_budget(commit_number{3}, find);
    EXPECT_EQ(a.size(), 1U);
    EXPECT_EQ(a.begin_offset(), 1U);
    EXPECT_EQ(b.size(), 1U);
    EXPECT_EQ(a.find(0), nullptr);
    ASSERT_NE(a.find(1), nullptr);
    EXPECT_EQ(a.find(1)->commit, commit_number{3});
    cache.drop_all(a);
    cache.drop_all(b);
    EXPECT_EQ(cache.bytes(), 0U);
}

TEST(chunk_cache, finds_offsets_and_times_in_a_tail) {
    chunk_tail tail;
    chunk_cache cache(1 << 20);
    for (offset_t i = 0; i < 10; ++i) {
        cache.add(tail, chunk_at(topic_id{1}, i, noon + std::chrono::seconds(i)), commit_number{1});
    }
    cache.drop_below(tail, 4);
    EXPECT_EQ(tail.begin_offset(), 4U);
    EXPECT_EQ(tail.first_since(noon + 6s), 6U);
    EXPECT_EQ(tail.first_since(noon), 4U);
    EXPECT_EQ(tail.first_since(noon + 60s), offset_end);
    EXPECT_EQ(tail.find(10), nullptr);
}

TEST(read_window, takes_in_what_continues_it_and_begins_anew_with_anything_else) {
    const std::size_t each = chunk_at(topic_id{1}, 0)->memory_bytes();
    std::size_t total = 100;  // of others
    {
        const interval_set none;
        read_window window(total);
        window.add({chunk_at(topic_id{1}, 0), chunk_at(topic_id{1}, 1)}, none);
        window.add({chunk_at(topic_id{1}, 2)}, none);
        EXPECT_EQ(window.front()->base_offset(), 0U);
        EXPECT_EQ(window.end(), 3U);
        EXPECT_NE(window.find(1), nullptr);
        EXPECT_EQ(window.find(3), nullptr);
        EXPECT_EQ(window.bytes(), 3 * each);
        EXPECT_EQ(total, 100 + 3 * each);
        window.drop_below(2);
        EXPECT_EQ(window.find(1), nullptr);
        EXPECT_NE(window.find(2), nullptr);
        EXPECT_EQ(total, 100 + each);
        window.add({chunk_at(topic_id{1}, 7), chunk_at(topic_id{1}, 8)}, none);
        EXPECT_EQ(window.front()->base_offset(), 7U);
        EXPECT_EQ(window.end(), 9U);
        EXPECT_EQ(window.bytes(), 2 * each);
        EXPECT_EQ(total, 100 + 2 * each);
    }
    EXPECT_EQ(total, 100U);
}

TEST(read_window, goes_on_behind_offsets_that_no_message_has) {
    std::size_t total = 0;
    interval_set skipped;
    skipped.insert({1, 9});
    skipped.insert({11, 9});
    read_window window(total);
    window.add({chunk_at(topic_id{1}, 0), chunk_at(topic_id{1}, 10)}, skipped);
    EXPECT_EQ(window.front()->base_offset(), 0U);
    EXPECT_EQ(window.find(5), nullptr);
    EXPECT_NE(window.find(10), nullptr);
    window.add({chunk_at(topic_id{1}, 20)}, skipped);
    EXPECT_EQ(window.front()->base_offset(), 0U);
    window.add({chunk_at(topic_id{1}, 30)}, skipped);
    EXPECT_EQ(window.front()->base_offset(), 30U) << "not what follows";
}

TEST(human, says_times_in_two_units_at_most) {
    EXPECT_EQ(human(4s), "4 s");
    EXPECT_EQ(human(4500ms), "4 s");
    EXPECT_EQ(human(300ms), "300 ms");
    EXPECT_EQ(human(125s), "2 min 5 s");
    EXPECT_EQ(human(2h), "2 h");
    EXPECT_EQ(human(25h + 30min), "1 d 1 h");
    EXPECT_EQ(human(-5s), "0 ms");
    EXPECT_EQ(human_count(1, "message"), "1 message");
    EXPECT_EQ(human_count(2, "message"), "2 messages");
}

TEST(shared_settings, equal_ones_are_one_as_long_as_they_are_remembered) {
    shared_settings all;
    const auto first = all.share({.attempts = 1});
    EXPECT_EQ(all.share({.attempts = 1}), first);
    for (std::uint32_t i = 2; i <= shared_settings::remembered_max + 1; ++i) {
        EXPECT_EQ(all.share({.attempts = i})->attempts, i);
    }
    EXPECT_NE(all.share({.attempts = 1}), first);
    EXPECT_EQ(first->attempts, 1U);
}

}  // namespace
}  // namespace brokerd::domain::test
