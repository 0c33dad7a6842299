// A store in maps, written and read as the domain uses one.
#include "tests/unit/domain/fake_store.hpp"

#include <algorithm>
#include <memory>

#include <gtest/gtest.h>

#include "protocol/codec/record_batch.hpp"

namespace brokerd::domain::test {

namespace {

struct store_visitor {
    fake_store& s;
    void meta(const mutation& m) { s.history.push_back(m); }
    void operator()(const epoch_started& m) { s.epoch = m.epoch; }
    void operator()(const retry_clock& m) { s.retry_clock = m.reading; }
    void operator()(const topic_created& m) {
        s.next_id = std::max(s.next_id, m.topic.value() + 1);
        meta(m);
    }
    void operator()(const queue_created& m) {
        s.next_id = std::max(s.next_id, m.queue.value() + 1);
        meta(m);
    }
    void operator()(const pattern_put& m) {
        s.next_id = std::max(s.next_id, m.pattern.value() + 1);
        meta(m);
    }
    void operator()(const topic_removed& m) {
        s.log.erase(m.topic);
        s.schedules.erase(m.topic);
        s.totals.erase(m.topic);
        s.expiring.erase(m.topic);
        s.watched.erase(m.topic);
        s.message_ids.erase(m.topic);
        s.forgotten_ids.erase(m.topic);
        s.marks.erase(m.topic);
        s.dropped.erase(m.topic);
        meta(m);
    }
    void operator()(const queue_removed& m) {
        std::erase_if(s.exceptions, [&](auto& e) { return e.first.first == m.queue; });
        std::erase_if(s.kept, [&](auto& e) { return e.first.first == m.queue; });
        meta(m);
    }
    void operator()(const appended& m) {
        const topic_id topic = m.data->topic();
        EXPECT_EQ(m.data->base_offset(), s.next_offset[topic]) << "a gap in the log";
        auto loaded = chunk::load({m.data->bytes().begin(), m.data->bytes().end()}, true);
        ASSERT_TRUE(loaded) << loaded.error().text;
        s.next_offset[topic] = m.data->end_offset();
        s.log[topic].emplace(m.data->last_offset(), *loaded);
        EXPECT_EQ((*loaded)->first_expiry(), m.data->first_expiry());
        if (m.data->first_expiry() != wall_never) {
            s.expiring[topic][{m.data->first_expiry(), m.data->last_offset()}] = m.data->count();
        }
    }
    void operator()(const offsets_skipped& m) {
        for (const offset_run& run : m.runs) {
            auto& next = s.next_offset[m.topic];
            next = std::max(next, run.first + run.count);
        }
        meta(m);
    }
    void operator()(const log_marked& m) {
        ASSERT_FALSE(m.marks.empty());
        for (std::size_t i = 1; i < m.marks.size(); ++i) {
            EXPECT_LT(m.marks[i - 1].offset, m.marks[i].offset);
            EXPECT_LE(m.marks[i - 1].bytes, m.marks[i].bytes);
            EXPECT_LE(m.marks[i - 1].time, m.marks[i].time);
        }
        EXPECT_LE(m.marks.back().offset, s.next_offset[m.topic]);
        s.marks[m.topic] = m;
    }
    void operator()(const messages_dropped& m) {
        EXPECT_GE(m.messages, s.dropped[m.topic].messages);
        s.dropped[m.topic] = m;
    }
    void operator()(const expiry_moved& m) {
        if (m.from != wall_never) {
            EXPECT_EQ(s.expiring[m.topic].erase({m.from, m.last}), 1U) << "offset " << m.last;
        }
        if (m.to != wall_never) {
            s.expiring[m.topic][{m.to, m.last}] = m.count;
        }
    }
    void operator()(const expiry_watched& m) { s.watched[m.topic] = m; }
    void operator()(const message_id_put& m) {
        EXPECT_FALSE(m.id.empty());
        s.message_ids[m.topic][m.id] = m.entry;
    }
    void operator()(const message_ids_forgotten& m) {
        EXPECT_GE(m.before, s.forgotten_ids[m.topic].before);
        s.forgotten_ids[m.topic] = m;
        std::erase_if(s.message_ids[m.topic],
                      [&](const auto& each) { return each.second.time < m.before; });
    }
    void operator()(const trimmed& m) {
        EXPECT_GT(m.first, s.trim[m.topic]);
        s.trim[m.topic] = m.first;
        auto& chunks = s.log[m.topic];
        chunks.erase(chunks.begin(), chunks.lower_bound(m.first));
        meta(m);
    }
    void operator()(const exception_put& m) {
        const auto old = s.exceptions.find({m.queue, m.offset});
        const bool was_retrying =
            old != s.exceptions.end() && old->second.state == message_state::retrying;
        EXPECT_EQ(m.previous_due, was_retrying ? old->second.due : wall_never)
            << "offset " << m.offset;
        s.exceptions[{m.queue, m.offset}] = m.value;
    }
    void operator()(const exception_erased& m) {
        const auto old = s.exceptions.find({m.queue, m.offset});
        ASSERT_NE(old, s.exceptions.end()) << "offset " << m.offset;
        EXPECT_EQ(m.previous_due,
                  old->second.state == message_state::retrying ? old->second.due : wall_never);
        s.exceptions.erase(old);
    }
    void operator()(const kept_put& m) { s.kept[{m.queue, m.offset}] = {m.append_time, m.record}; }
    void operator()(const kept_erased& m) {
        EXPECT_EQ(s.kept.erase({m.queue, m.offset}), 1U) << "offset " << m.offset;
    }
    void operator()(const producer_put& m) {
        s.producers[{m.topic, m.queue, m.producer, m.slot}] = m;
    }
    void operator()(const producer_erased& m) {
        std::erase_if(s.producers, [&](auto& e) {
            const auto& [topic, queue, producer, slot] = e.first;
            return topic == m.topic && queue == m.queue && producer == m.producer && slot < m.slots;
        });
    }
    void operator()(const schedule_put& m) {
        const auto header = codec::load_batch_header(m.batch.view);
        ASSERT_TRUE(header) << header.error().text;
        const scheduled_batch made{
            {m.due, m.id}, header->count, m.batch.view.size(), copy_bytes(m.batch.view)};
        EXPECT_TRUE(s.schedules[m.topic].emplace(made.key, made).second) << "schedule " << m.id;
    }
    void operator()(const schedule_erased& m) {
        EXPECT_EQ(s.schedules[m.topic].erase({m.due, m.id}), 1U) << "schedule " << m.id;
    }
    void operator()(const schedule_totals& m) { s.totals[m.topic] = m; }
    void operator()(const auto& m) { meta(m); }
};

}  // namespace

void fake_store::apply(commit_number number, const std::vector<mutation>& batch) {
    ASSERT_EQ(number.value(), last_commit.value() + 1);
    last_commit = number;
    // As it would come back from a disk.
    byte_buffer bytes;
    encode_batch(bytes, batch);
    const auto decoded = decode_batch(bytes);
    ASSERT_TRUE(decoded) << decoded.error().text;
    EXPECT_EQ(*decoded, batch);
    store_visitor v{*this};
    for (const mutation& m : *decoded) {
        std::visit(v, m);
    }
    check_totals();
}

void fake_store::check_totals() const {
    for (const auto& [topic, all] : schedules) {
        const auto told = totals.find(topic);
        ASSERT_NE(told, totals.end()) << "schedules without totals";
        schedule_totals counted{.topic = topic, .next_id = told->second.next_id};
        for (const auto& [key, each] : all) {
            EXPECT_LT(key.id, counted.next_id);
            ++counted.schedules;
            counted.messages += each.messages;
            counted.bytes += each.bytes;
        }
        EXPECT_EQ(told->second, counted) << counted.schedules << " schedules";
    }
}

loaded_state fake_store::load() const {
    loaded_state loaded;
    loaded.epoch = epoch;
    loaded.last_commit = last_commit;
    loaded.next_id = next_id;
    loaded.retry_clock = retry_clock;
    loaded.mutations = history;
    for (const auto& [key, put] : producers) {
        loaded.mutations.emplace_back(put);
    }
    for (const auto& [topic, each] : totals) {
        loaded.mutations.emplace_back(each);
    }
    for (const auto& [topic, each] : watched) {
        loaded.mutations.emplace_back(each);
    }
    for (const auto& [topic, each] : forgotten_ids) {
        loaded.mutations.emplace_back(each);
    }
    for (const auto& [topic, each] : marks) {
        loaded.mutations.emplace_back(each);
    }
    for (const auto& [topic, each] : dropped) {
        loaded.mutations.emplace_back(each);
    }
    for (const auto& [topic, next] : next_offset) {
        topic_tail tail{.topic = topic, .next_offset = next};
        const auto chunks = log.find(topic);
        if (chunks != log.end()) {
            for (const auto& [last, data] : chunks->second) {
                tail.last_append = data->append_time();
            }
        }
        tail.unmarked_bytes = unmarked(topic);
        loaded.tails.push_back(tail);
    }
    return loaded;
}

std::uint64_t fake_store::unmarked(topic_id topic) const {
    const auto chunks = log.find(topic);
    const auto marked = marks.find(topic);
    const auto trimmed = trim.find(topic);
    offset_t from = marked == marks.end() ? 0 : marked->second.marks.back().offset;
    from = std::max(from, trimmed == trim.end() ? 0 : trimmed->second);
    std::uint64_t bytes = 0;
    if (chunks != log.end()) {
        for (auto at = chunks->second.lower_bound(from); at != chunks->second.end(); ++at) {
            bytes += at->second->bytes().size() - chunk_header_bytes;
        }
    }
    return bytes;
}

const chunk_ptr* fake_store::chunk_with(topic_id topic, offset_t offset) const {
    const auto chunks = log.find(topic);
    if (chunks == log.end()) {
        return nullptr;
    }
    const auto at = chunks->second.lower_bound(offset);
    return at != chunks->second.end() && at->second->contains(offset) ? &at->second : nullptr;
}

fetch_result fake_store::read_log(const fetch_log& what) const {
    log_fetched result;
    const auto chunks = log.find(what.topic);
    if (chunks == log.end()) {
        return result;
    }
    std::size_t bytes = 0;
    for (auto at = chunks->second.lower_bound(what.from); at != chunks->second.end(); ++at) {
        if (what.lane && at->second->lane() != *what.lane) {
            continue;
        }
        result.chunks.push_back(at->second);
        bytes += at->second->bytes().size();
        if (bytes >= what.bytes_max) {
            break;
        }
    }
    return result;
}

fetch_result fake_store::read_exceptions(const fetch_exceptions& what) const {
    EXPECT_TRUE(std::is_sorted(what.offsets.begin(), what.offsets.end()));
    exceptions_fetched result;
    std::size_t kept_bytes = 0;
    for (const offset_t offset : what.offsets) {
        if (what.bytes_max > 0 && kept_bytes >= what.bytes_max) {
            result.looked_below = offset;
            break;
        }
        const auto at = exceptions.find({what.queue, offset});
        exception_entry entry;
        entry.offset = offset;
        entry.stored = at != exceptions.end();
        if (entry.stored) {
            entry.value = at->second;
        }
        const auto record = kept.find({what.queue, offset});
        if (what.with_records && record != kept.end()) {
            auto copy = std::make_shared<std::string>(record->second.record);
            entry.record = {copy, as_bytes(*copy)};
            entry.append_time = record->second.append_time;
        } else if (what.with_records) {
            if (const chunk_ptr* data = chunk_with(what.topic, offset)) {
                entry.record = {*data, (*data)->record(offset)};
                entry.append_time = (*data)->append_time();
            }
        }
        kept_bytes += entry.record.view.size();
        if (entry.stored || entry.record.owner) {
            result.entries.push_back(std::move(entry));
        }
    }
    return result;
}

fetch_result fake_store::read_due(const fetch_due& what) const {
    due_fetched result;
    for (const auto& [where, value] : exceptions) {
        if (where.first == what.queue && value.state == message_state::retrying &&
            value.due >= what.from && value.due < what.until) {
            result.items.push_back({value.due, where.second});
        }
    }
    std::sort(result.items.begin(), result.items.end(), [](const due_item& a, const due_item& b) {
        return std::pair(a.due, a.offset) < std::pair(b.due, b.offset);
    });
    if (result.items.size() > what.limit) {
        result.items.resize(what.limit);
        result.more = true;
    }
    return result;
}

fetch_result fake_store::read_schedules(const fetch_schedules& what) const {
    schedules_fetched result;
    const auto all = schedules.find(what.topic);
    if (all == schedules.end()) {
        return result;
    }
    std::size_t bytes = 0;
    for (auto at = all->second.lower_bound(what.from);
         at != all->second.end() && at->first.due < what.until; ++at) {
        if (result.items.size() == what.limit || bytes >= what.bytes_max) {
            result.more = true;
            break;
        }
        result.items.push_back(at->second);
        bytes += at->second.bytes;
    }
    return result;
}

fetch_result fake_store::find(const find_schedules& what) const {
    schedules_fetched result;
    const auto all = schedules.find(what.topic);
    for (const std::uint64_t id : what.ids) {
        for (const auto& [key, each] :
             all == schedules.end() ? std::map<schedule_key, scheduled_batch>{} : all->second) {
            if (key.id == id) {
                result.items.push_back({key, each.messages, each.bytes, {}});
            }
        }
    }
    return result;
}

fetch_result fake_store::read_expiring(const fetch_expiring& what) const {
    expiring_fetched result;
    const auto of = expiring.find(what.topic);
    if (of == expiring.end()) {
        return result;
    }
    for (const auto& [key, count] : of->second) {
        if (key.first >= what.until || result.items.size() == what.limit) {
            result.next = key.first;
            break;
        }
        result.items.push_back({key.first, key.second, count});
    }
    return result;
}

fetch_result fake_store::read(const fetch_body& what) const {
    if (failing) {
        return failure{error_code::storage_failed, "the test says so"};
    }
    if (const auto* f = std::get_if<fetch_log>(&what)) {
        return log_lost ? fetch_result{log_fetched{}} : read_log(*f);
    }
    if (const auto* f = std::get_if<fetch_exceptions>(&what)) return read_exceptions(*f);
    if (const auto* f = std::get_if<fetch_due>(&what)) return read_due(*f);
    if (const auto* f = std::get_if<fetch_schedules>(&what)) return read_schedules(*f);
    if (const auto* f = std::get_if<find_schedules>(&what)) return find(*f);
    if (const auto* f = std::get_if<fetch_expiring>(&what)) return read_expiring(*f);
    if (const auto* f = std::get_if<fetch_message_ids>(&what)) {
        message_ids_fetched result;
        const auto of = message_ids.find(f->topic);
        for (const std::string& id : f->ids) {
            auto& entry = result.entries.emplace_back();
            if (of != message_ids.end() && of->second.contains(id)) entry = of->second.at(id);
        }
        return result;
    }
    if (const auto* f = std::get_if<fetch_times>(&what)) {
        times_fetched result;
        for (const auto& each : f->places) {
            const chunk_ptr* data = chunk_with(each.topic, each.offset);
            result.times.push_back(data == nullptr ? wall_never : (*data)->append_time());
        }
        return result;
    }
    if (const auto* f = std::get_if<fetch_offset>(&what)) {
        const auto chunks = log.find(f->topic);
        if (chunks != log.end()) {
            for (const auto& [last, data] : chunks->second) {
                if (data->append_time() >= f->time) return offset_fetched{data->base_offset()};
            }
        }
        const auto next = next_offset.find(f->topic);
        return offset_fetched{next == next_offset.end() ? 0 : next->second};
    }
    return failure{error_code::internal, "a fetch the domain does not use"};
}

}  // namespace brokerd::domain::test
