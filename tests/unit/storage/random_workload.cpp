// Picks one step after the other by dice; each knows what is valid where it stands.
#include "tests/unit/storage/random_workload.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>

#include <gtest/gtest.h>

#include "protocol/types/limits.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd::test {

namespace {

constexpr std::size_t topics_max = 6;
constexpr std::size_t queues_max = 3;
constexpr std::uint64_t deltas_per_snapshot = 10;

domain::state_run run_of(message_state state, offset_t first, std::uint64_t count) {
    return {state, first, count};
}

}  // namespace

std::vector<domain::mutation> random_workload::next() {
    std::vector<domain::mutation> batch;
    if (epoch_ == 0 || random_.chance(1, 200)) {
        batch.emplace_back(domain::epoch_started{broker_epoch{++epoch_}});
    }
    const auto steps = random_.between(1, 6);
    for (std::int64_t i = 0; i < steps; ++i) {
        add_one(batch);
    }
    return batch;
}

void random_workload::add_one(std::vector<domain::mutation>& batch) {
    clock_us_ += random_.between(0, 1000);
    if (topics_.empty() || (topics_.size() < topics_max && random_.chance(1, 40))) {
        create_topic(batch);
        return;
    }
    topic_facts& topic = topics_[random_.below(topics_.size())];
    if (topic.queues.empty() || (topic.queues.size() < queues_max && random_.chance(1, 40))) {
        create_queue(topic, batch);
        return;
    }
    queue_facts& queue = topic.queues[random_.below(topic.queues.size())];
    const auto dice = random_.below(100);
    if (dice < 45) {
        append(topic, batch);
    } else if (dice < 65) {
        settle(topic, queue, batch);
    } else if (dice < 75) {
        fail_some(topic, queue, batch);
    } else if (dice < 83) {
        end_exception(topic, queue, batch);
    } else if (dice < 91) {
        trim(topic, batch);
    } else if (dice < 94) {
        produce(topic, batch);
    } else if (dice < 98) {
        schedule(topic, batch);
    } else {
        remove(batch);
    }
}

void random_workload::create_topic(std::vector<domain::mutation>& batch) {
    topic_facts& topic = topics_.emplace_back();
    topic.id = topic_id{next_id_++};
    topic.lanes = static_cast<std::uint8_t>(1 + topic.id.value() % 3 * 2);  // no dice: 1, 3 or 5
    batch.emplace_back(
        new_topic(topic.id, "topic-" + std::to_string(topic.id.value()), topic.lanes));
}

void random_workload::create_queue(topic_facts& topic, std::vector<domain::mutation>& batch) {
    queue_facts& queue = topic.queues.emplace_back();
    queue.id = queue_id{next_id_++};
    queue.floor = topic.trim;
    auto created = new_queue(topic.id, queue.id, "queue-" + std::to_string(queue.id.value()));
    created.start = topic.trim;
    batch.emplace_back(std::move(created));
}

void random_workload::append(topic_facts& topic, std::vector<domain::mutation>& batch) {
    const auto count = static_cast<std::uint32_t>(random_.between(1, 20));
    const auto bytes = random_.below(payload_bytes_max_ + 1);
    const offset_t base = topic.next;
    own_ttls ttls(count);
    if (base % 3 == 0) {  // no dice: some have a time to live of their own
        ttls.front() = 1 + base * 7919 % 500;
    }
    const auto lane = static_cast<std::uint8_t>(base % 7 % topic.lanes);  // no dice
    batch.emplace_back(
        domain::appended{make_chunk_with_ttls(topic.id, base, {ttls}, at(clock_us_), bytes, lane)});
    if (base % 5 == 2) {
        topic.marks.push_back({base, topic.marks.size() * 1000, at(clock_us_)});
        std::erase_if(topic.marks, [&](const auto& mark) { return mark.offset < topic.trim; });
        batch.emplace_back(domain::log_marked{topic.id, topic.marks});
    }
    topic.next += count;
    if (ttls.front()) {
        topic.expiring[topic.next - 1] = {at(clock_us_) + std::chrono::milliseconds(*ttls.front()),
                                          count};
    }
    if (base % 4 == 1 && !topic.expiring.empty()) {
        look_at_expiring(topic, batch);
    }
}

// The first one that expires is to be looked at later, or never again.
void random_workload::look_at_expiring(topic_facts& topic, std::vector<domain::mutation>& batch) {
    const auto which = topic.expiring.begin();
    auto& [last, facts] = *which;
    const bool again = last % 2 == 0;
    domain::expiry_moved moved{topic.id, last, facts.messages, facts.at, wall_never};
    if (again) {
        moved.to = facts.at += std::chrono::milliseconds(100);
    }
    batch.emplace_back(moved);
    batch.emplace_back(domain::expiry_watched{topic.id, last});
    if (!again || last < topic.trim) {
        topic.expiring.erase(which);
    }
}

void random_workload::settle(topic_facts& topic, queue_facts& queue,
                             std::vector<domain::mutation>& batch) {
    queue.floor = std::min(topic.next, queue.floor + random_.below(30));
    std::vector<domain::state_run> runs;
    offset_t from = queue.floor + 1;
    for (std::uint64_t i = random_.below(4); i > 0; --i) {
        runs.push_back(run_of(message_state::done, from, 1 + random_.below(5)));
        from = runs.back().first + runs.back().count + 1;
    }
    const auto done = queue.floor;
    ++queue.number;
    if (queue.number - queue.snapshot > deltas_per_snapshot) {
        batch.emplace_back(domain::queue_snapshot{topic.id, queue.id, queue.number, queue.snapshot,
                                                  queue.floor, done, std::move(runs)});
        queue.snapshot = queue.number;
    } else {
        batch.emplace_back(domain::queue_delta{topic.id, queue.id, queue.number, queue.floor, done,
                                               std::move(runs)});
    }
}

void random_workload::fail_some(topic_facts& topic, queue_facts& queue,
                                std::vector<domain::mutation>& batch) {
    if (topic.trim == topic.next) {
        return;
    }
    const offset_t offset = topic.trim + random_.below(topic.next - topic.trim);
    const bool dies = random_.chance(1, 4);
    auto& facts = queue.exceptions[offset];
    domain::exception_put put;
    put.topic = topic.id;
    put.queue = queue.id;
    put.offset = offset;
    put.previous_due = facts.due;
    put.value.state = dies ? message_state::dead : message_state::retrying;
    put.value.due = at(clock_us_ + random_.between(0, 100'000));
    put.value.attempts = static_cast<std::uint32_t>(random_.between(1, 16));
    put.value.history.push_back(
        {at(clock_us_), attempt_outcome::nacked, "worker@host:1", "it did not work"});
    facts.due = dies ? wall_never : put.value.due;
    batch.emplace_back(std::move(put));
}

void random_workload::end_exception(topic_facts& topic, queue_facts& queue,
                                    std::vector<domain::mutation>& batch) {
    if (queue.exceptions.empty()) {
        return;
    }
    const auto which =
        std::next(queue.exceptions.begin(),
                  static_cast<std::ptrdiff_t>(random_.below(queue.exceptions.size())));
    const auto [offset, facts] = *which;
    batch.emplace_back(domain::exception_erased{topic.id, queue.id, offset, facts.due});
    if (facts.kept) {
        batch.emplace_back(domain::kept_erased{topic.id, queue.id, offset});
    }
    queue.exceptions.erase(which);
}

void random_workload::trim(topic_facts& topic, std::vector<domain::mutation>& batch) {
    if (topic.trim == topic.next) {
        return;
    }
    const offset_t first = topic.trim + 1 + random_.below(topic.next - topic.trim);
    for (queue_facts& queue : topic.queues) {
        for (auto& [offset, facts] : queue.exceptions) {
            if (offset < first && !facts.kept) {
                facts.kept = true;
                batch.emplace_back(domain::kept_put{topic.id, queue.id, offset, at(clock_us_),
                                                    payload_of(topic.id, offset, 30)});
            }
        }
    }
    topic.trim = first;
    batch.emplace_back(domain::trimmed{topic.id, first});
}

void random_workload::produce(topic_facts& topic, std::vector<domain::mutation>& batch) {
    const producer_id producer{1 + random_.below(5)};
    auto& slots = topic.producers[producer.value()];
    if (slots > 3 && random_.chance(1, 3)) {
        batch.emplace_back(domain::producer_erased{topic.id, {}, producer, slots});
        slots = 0;
        return;
    }
    domain::producer_put put;
    put.topic = topic.id;
    put.producer = producer;
    put.slot = slots++;
    put.last_used = at(clock_us_);
    put.runs = {{1 + random_.below(100), 1 + random_.below(10), topic.next}};
    batch.emplace_back(std::move(put));
    batch.emplace_back(
        domain::message_id_put{topic.id,
                               some_message_ids[random_.below(some_message_ids.size())],
                               {at(clock_us_), random_.below(100), random_.chance(1, 4)}});
    if (random_.chance(1, 4)) {
        batch.emplace_back(domain::message_ids_forgotten{
            topic.id, at(clock_us_ / 2), {{at(clock_us_), topic.next}}});
        batch.emplace_back(domain::offsets_reserved{topic.id, topic.next + 100});
        batch.emplace_back(domain::offsets_skipped{topic.id, {{topic.next, 10}}});
        batch.emplace_back(domain::messages_dropped{topic.id,
                                                    topic.next,
                                                    topic.next * 100,
                                                    at(clock_us_),
                                                    {{topic.queues.front().id, topic.next / 2}},
                                                    topic.next / 2});
    }
}

// One more is scheduled, or one that was is cancelled.
void random_workload::schedule(topic_facts& topic, std::vector<domain::mutation>& batch) {
    domain::schedule_totals& totals = topic.scheduled;
    totals.topic = topic.id;
    if (!topic.schedules.empty() && random_.chance(1, 3)) {
        const auto which =
            std::next(topic.schedules.begin(),
                      static_cast<std::ptrdiff_t>(random_.below(topic.schedules.size())));
        const auto [id, facts] = *which;
        topic.schedules.erase(which);
        totals.messages -= facts.messages;
        totals.bytes -= facts.bytes;
        batch.emplace_back(domain::schedule_erased{topic.id, id, facts.due});
    } else {
        const auto count = static_cast<std::uint32_t>(random_.between(1, 5));
        const auto due = at(clock_us_ + random_.between(0, 100'000));
        auto put = make_schedule(topic.id, totals.next_id++, due, count,
                                 random_.below(payload_bytes_max_ + 1));
        topic.schedules[put.id] = {due, count, put.batch.view.size()};
        totals.messages += count;
        totals.bytes += put.batch.view.size();
        batch.emplace_back(std::move(put));
    }
    totals.schedules = topic.schedules.size();
    batch.emplace_back(totals);
}

void random_workload::remove(std::vector<domain::mutation>& batch) {
    const auto which = random_.below(topics_.size());
    topic_facts& topic = topics_[which];
    if (!topic.queues.empty() && random_.chance(1, 2)) {
        batch.emplace_back(domain::queue_removed{topic.id, topic.queues.back().id});
        topic.queues.pop_back();
    } else {
        batch.emplace_back(domain::topic_removed{topic.id});
        topics_.erase(topics_.begin() + static_cast<std::ptrdiff_t>(which));
    }
}

namespace {

void expect_same_chunks(const std::vector<domain::chunk_ptr>& left,
                        const std::vector<domain::chunk_ptr>& right) {
    ASSERT_EQ(left.size(), right.size());
    for (std::size_t i = 0; i < left.size(); ++i) {
        ASSERT_EQ(as_text(left[i]->bytes()), as_text(right[i]->bytes()))
            << "topic " << left[i]->topic().value() << " chunk " << i;
    }
}

void expect_same_log(storage::store& left, storage::store& right, topic_id topic) {
    const auto left_chunks = read_log(left, topic, 0);
    const auto right_chunks = read_log(right, topic, 0);
    expect_same_chunks(left_chunks, right_chunks);
    for (std::uint8_t lane = 0; lane < limits::priorities_max; ++lane) {
        for (const offset_t from : {offset_t{0}, right_chunks.size() * 5}) {
            expect_same_chunks(read_lane(left, topic, lane, from),
                               read_lane(right, topic, lane, from));
        }
    }
    for (const auto& chunk : right_chunks) {
        const domain::fetch_body times = domain::fetch_times{{{topic, chunk->base_offset()}}};
        EXPECT_EQ(answer<domain::times_fetched>(left, times).times,
                  answer<domain::times_fetched>(right, times).times);
        const domain::fetch_body when = domain::fetch_offset{topic, chunk->append_time()};
        EXPECT_EQ(answer<domain::offset_fetched>(left, when).offset,
                  answer<domain::offset_fetched>(right, when).offset);
    }
}

void expect_same_queue(storage::store& left, storage::store& right, topic_id topic,
                       queue_id queue) {
    const domain::fetch_body due = domain::fetch_due{topic, queue, at(0), wall_never, 10'000};
    const auto left_due = answer<domain::due_fetched>(left, due).items;
    const auto right_due = answer<domain::due_fetched>(right, due).items;
    ASSERT_EQ(left_due.size(), right_due.size());
    for (std::size_t i = 0; i < left_due.size(); ++i) {
        EXPECT_EQ(left_due[i].due, right_due[i].due);
        EXPECT_EQ(left_due[i].offset, right_due[i].offset);
    }
    domain::fetch_exceptions all{topic, queue, {}, true};
    for (const auto state : {message_state::retrying, message_state::dead}) {
        const domain::fetch_body scan =
            domain::scan_exceptions{topic, queue, state, 0, offset_end, 10'000};
        const auto left_found = answer<domain::exceptions_fetched>(left, scan).entries;
        const auto right_found = answer<domain::exceptions_fetched>(right, scan).entries;
        ASSERT_EQ(left_found.size(), right_found.size());
        for (const auto& entry : right_found) {
            all.offsets.push_back(entry.offset);
        }
    }
    std::ranges::sort(all.offsets);
    const auto left_entries = answer<domain::exceptions_fetched>(left, all).entries;
    const auto right_entries = answer<domain::exceptions_fetched>(right, all).entries;
    ASSERT_EQ(left_entries.size(), right_entries.size());
    for (std::size_t i = 0; i < left_entries.size(); ++i) {
        EXPECT_EQ(left_entries[i].offset, right_entries[i].offset);
        EXPECT_EQ(left_entries[i].value, right_entries[i].value);
        EXPECT_EQ(left_entries[i].append_time, right_entries[i].append_time);
        EXPECT_FALSE(left_entries[i].record.view.empty());
        EXPECT_EQ(as_text(left_entries[i].record.view), as_text(right_entries[i].record.view));
    }
}

void expect_same_schedules(storage::store& left, storage::store& right, topic_id topic) {
    const domain::fetch_body all =
        domain::fetch_schedules{topic, {wall_time::min(), 0}, wall_never, 10'000, SIZE_MAX};
    const auto left_items = answer<domain::schedules_fetched>(left, all).items;
    const auto right_items = answer<domain::schedules_fetched>(right, all).items;
    ASSERT_EQ(left_items.size(), right_items.size()) << "topic " << topic.value();
    domain::find_schedules again{topic, {}};
    for (std::size_t i = 0; i < left_items.size(); ++i) {
        EXPECT_EQ(left_items[i].key, right_items[i].key);
        EXPECT_EQ(left_items[i].messages, right_items[i].messages);
        EXPECT_EQ(left_items[i].bytes, right_items[i].bytes);
        EXPECT_EQ(as_text(left_items[i].batch.view), as_text(right_items[i].batch.view));
        again.ids.push_back(left_items[i].key.id);
    }
    for (storage::store* const store : {&left, &right}) {
        const auto found = answer<domain::schedules_fetched>(*store, again).items;
        ASSERT_EQ(found.size(), left_items.size()) << "topic " << topic.value();
        for (std::size_t i = 0; i < found.size(); ++i) {
            EXPECT_EQ(found[i].key, left_items[i].key);
            EXPECT_EQ(found[i].messages, left_items[i].messages);
            EXPECT_EQ(found[i].bytes, left_items[i].bytes);
        }
    }
}

// But for what a store may have left out already.
void expect_same_expiry(storage::store& left, storage::store& right, topic_id topic,
                        offset_t trim) {
    const auto entries = [&](storage::store& of) {
        auto found =
            answer<domain::expiring_fetched>(of, domain::fetch_expiring{topic, wall_never, 10'000});
        EXPECT_EQ(found.next, wall_never);
        std::erase_if(found.items, [&](const auto& item) { return item.last < trim; });
        return found.items;
    };
    EXPECT_EQ(entries(left), entries(right)) << "topic " << topic.value();
}

}  // namespace

void expect_same_content(storage::store& left, storage::store& right) {
    const auto left_state = left.load();
    const auto right_state = right.load();
    ASSERT_TRUE(left_state) << left_state.error().text;
    ASSERT_TRUE(right_state) << right_state.error().text;
    expect_same_state(*left_state, *right_state);
    for (const auto& m : right_state->mutations) {
        if (const auto* topic = std::get_if<domain::topic_created>(&m)) {
            expect_same_log(left, right, topic->topic);
            expect_same_schedules(left, right, topic->topic);
            expect_same_expiry(left, right, topic->topic, trim_of(*right_state, topic->topic));
        } else if (const auto* queue = std::get_if<domain::queue_created>(&m)) {
            expect_same_queue(left, right, queue->topic, queue->queue);
        }
    }
}

}  // namespace brokerd::test
