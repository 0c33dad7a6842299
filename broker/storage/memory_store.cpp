// The image, first how mutations change it, then how fetches read it; the store around it.
#include "broker/storage/memory_store.hpp"

#include <algorithm>
#include <variant>

#include "broker/base/assert.hpp"
#include "broker/base/seeded_fault.hpp"
#include "broker/storage/delta_fault.hpp"
#include "broker/storage/needs_space.hpp"
#include "broker/storage/topic_table.hpp"
#include "protocol/codec/record_batch.hpp"

namespace brokerd::storage {

namespace {

constexpr const char* injected_failure = "the store was told to fail";

// Of a schedule, without its batch.
domain::scheduled_batch describe(const domain::schedule_key& key, const shared_bytes& batch) {
    const auto header = codec::load_batch_header(batch.view);
    BROKERD_ASSERT(header, "schedule {} holds no batch", key.id);
    return {key, header->count, batch.view.size(), {}};
}

}  // namespace

// ---- memory_image: writing ----

void memory_image::apply(commit_number number, std::span<const domain::mutation> batch) {
    BROKERD_ASSERT(number.value() == last_commit_.value() + 1, "commit {} after {}", number.value(),
                   last_commit_.value());
    last_commit_ = number;
    for (const domain::mutation& m : batch) {
        std::visit(*this, m);
    }
}

memory_image::topic_image& memory_image::topic(topic_id id) {
    const auto found = topics_.find(id);
    BROKERD_ASSERT(found != topics_.end(), "no topic {}", id.value());
    return found->second;
}

memory_image::queue_image& memory_image::queue(topic_id id, queue_id queue) {
    auto& queues = topic(id).queues;
    const auto found = queues.find(queue);
    BROKERD_ASSERT(found != queues.end(), "no queue {} of topic {}", queue.value(), id.value());
    return found->second;
}

void memory_image::operator()(const domain::epoch_started& m) {
    epoch_ = m.epoch;
}

void memory_image::operator()(const domain::topic_created& m) {
    use_id(m.topic.value());
    topics_[m.topic].created = m;
}

void memory_image::operator()(const domain::topic_changed& m) {
    topic(m.topic).changed = m;
}

void memory_image::operator()(const domain::topic_removed& m) {
    topics_.erase(m.topic);
    std::erase_if(producers_,
                  [&](const auto& slot) { return std::get<topic_id>(slot.first) == m.topic; });
}

void memory_image::operator()(const domain::queue_created& m) {
    use_id(m.queue.value());
    topic(m.topic).queues[m.queue].created = m;
}

void memory_image::operator()(const domain::queue_changed& m) {
    queue(m.topic, m.queue).changed = m;
}

void memory_image::operator()(const domain::queue_removed& m) {
    topic(m.topic).queues.erase(m.queue);
    std::erase_if(producers_, [&](const auto& slot) {
        return std::get<topic_id>(slot.first) == m.topic &&
               std::get<queue_id>(slot.first) == m.queue;
    });
}

void memory_image::operator()(const domain::appended& m) {
    topic_image& to = topic(m.data->topic());
    BROKERD_ASSERT(m.data->lane() < lanes_of(to.created.settings), "topic {} has no lane {}",
                   m.data->topic().value(), m.data->lane());
    to.log[m.data->last_offset()] = m.data;
    to.next_offset = std::max(to.next_offset, m.data->end_offset());
    to.last_append = std::max(to.last_append, m.data->append_time());
    if (m.data->first_expiry() != wall_never) {
        to.expiry[{m.data->first_expiry(), m.data->last_offset()}] = m.data->count();
    }
}

void memory_image::operator()(const domain::trimmed& m) {
    topic_image& of = topic(m.topic);
    if (!of.trim || m.first > of.trim->first) {
        of.trim = m;
    }
    of.next_offset = std::max(of.next_offset, m.first);
    of.log.erase(of.log.begin(), of.log.lower_bound(m.first));
}

void memory_image::operator()(const domain::queue_delta& m) {
    queue(m.topic, m.queue).deltas[m.number] = loses_runs(m) ? without_runs(m) : m;
}

void memory_image::operator()(const domain::queue_snapshot& m) {
    queue_image& of = queue(m.topic, m.queue);
    of.snapshot = m;
    of.deltas.erase(of.deltas.upper_bound(m.replaces), of.deltas.upper_bound(m.number));
}

void memory_image::operator()(const domain::exception_put& m) {
    queue_image& of = queue(m.topic, m.queue);
    of.exceptions[m.offset] = m.value;
    of.due.erase({m.previous_due, m.offset});
    if (m.value.state == message_state::retrying) {
        of.due.emplace(m.value.due, m.offset);
    }
}

void memory_image::operator()(const domain::exception_erased& m) {
    queue_image& of = queue(m.topic, m.queue);
    of.exceptions.erase(m.offset);
    of.due.erase({m.previous_due, m.offset});
}

void memory_image::operator()(const domain::kept_put& m) {
    queue(m.topic, m.queue).kept[m.offset] = m;
}

void memory_image::operator()(const domain::kept_erased& m) {
    queue(m.topic, m.queue).kept.erase(m.offset);
}

void memory_image::operator()(const domain::producer_put& m) {
    BROKERD_ASSERT(m.topic == topic_id{} || topics_.contains(m.topic), "no topic {}",
                   m.topic.value());
    producers_[{m.topic, m.queue, m.producer, m.slot}] = m;
}

void memory_image::operator()(const domain::producer_erased& m) {
    for (std::uint32_t slot = 0; slot < m.slots; ++slot) {
        producers_.erase({m.topic, m.queue, m.producer, slot});
    }
}

void memory_image::operator()(const domain::retry_clock& m) {
    retry_clock_ = m.reading;
}

void memory_image::operator()(const domain::done_marks& m) {
    topic(m.topic).done = m;
}

void memory_image::operator()(const domain::schedule_put& m) {
    topic_image& of = topic(m.topic);
    of.schedules[{m.due, m.id}] = m.batch;
    of.schedule_dues[m.id] = m.due;
}

void memory_image::operator()(const domain::schedule_erased& m) {
    topic_image& of = topic(m.topic);
    of.schedules.erase({m.due, m.id});
    of.schedule_dues.erase(m.id);
}

void memory_image::operator()(const domain::schedule_totals& m) {
    topic(m.topic).scheduled = m;
}

void memory_image::operator()(const domain::expiry_moved& m) {
    topic_image& of = topic(m.topic);
    if (m.from != wall_never) {
        of.expiry.erase({m.from, m.last});
    }
    if (m.to != wall_never) {
        of.expiry[{m.to, m.last}] = m.count;
    }
}

void memory_image::operator()(const domain::expiry_watched& m) {
    topic(m.topic).watched = m;
}

void memory_image::operator()(const domain::message_id_put& m) {
    topic(m.topic).message_ids[m.id] = m.entry;
}

void memory_image::operator()(const domain::message_ids_forgotten& m) {
    topic(m.topic).forgotten_ids = m;
}

void memory_image::operator()(const domain::offsets_reserved& m) {
    topic(m.topic).reserved = m;
}

void memory_image::operator()(const domain::offsets_skipped& m) {
    topic(m.topic).skipped = m;
}

void memory_image::operator()(const domain::log_marked& m) {
    topic(m.topic).marks = m;
}

void memory_image::operator()(const domain::messages_dropped& m) {
    topic(m.topic).drops = m;
}

void memory_image::operator()(const domain::pattern_put& m) {
    use_id(m.pattern.value());
    patterns_[m.pattern] = m;
}

void memory_image::operator()(const domain::pattern_erased& m) {
    patterns_.erase(m.pattern);
}

// ---- memory_image: reading ----

domain::loaded_state memory_image::load() const {
    domain::loaded_state state;
    state.epoch = epoch_;
    state.last_commit = last_commit_;
    state.next_id = next_id_;
    state.retry_clock = retry_clock_;
    auto& to = state.mutations;
    for (const auto& [id, pattern] : patterns_) {
        to.emplace_back(pattern);
    }
    for (const auto& [id, topic] : topics_) {
        to.emplace_back(topic.created);
        if (topic.changed) to.emplace_back(*topic.changed);
        if (topic.trim) to.emplace_back(*topic.trim);
        if (topic.done) to.emplace_back(*topic.done);
        if (topic.scheduled) to.emplace_back(*topic.scheduled);
        if (topic.watched) to.emplace_back(*topic.watched);
        if (topic.forgotten_ids) to.emplace_back(*topic.forgotten_ids);
        if (topic.reserved) to.emplace_back(*topic.reserved);
        if (topic.skipped) to.emplace_back(*topic.skipped);
        if (topic.marks) to.emplace_back(*topic.marks);
        if (topic.drops) to.emplace_back(*topic.drops);
        for (const auto& [queue_number, queue] : topic.queues) {
            to.emplace_back(queue.created);
        }
        for (const auto& [queue_number, queue] : topic.queues) {
            if (queue.changed) to.emplace_back(*queue.changed);
        }
        state.tails.push_back({id, topic.next_offset, topic.last_append, topic.unmarked_bytes()});
    }
    for (const auto& [id, topic] : topics_) {
        for (const auto& [queue_number, queue] : topic.queues) {
            if (queue.snapshot) to.emplace_back(*queue.snapshot);
            for (const auto& [number, delta] : queue.deltas) {
                to.emplace_back(delta);
            }
        }
    }
    for (const auto& [slot, put] : producers_) {
        to.emplace_back(put);
    }
    return state;
}

std::uint64_t memory_image::stored_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& [id, topic] : topics_) {
        for (const auto& [last_offset, chunk] : topic.log) {
            bytes += chunk->bytes().size();
        }
    }
    return bytes;
}

std::uint64_t memory_image::topic_image::unmarked_bytes() const {
    std::uint64_t bytes = 0;
    const offset_t marked = marks && !marks->marks.empty() ? marks->marks.back().offset : 0;
    for (auto each = log.lower_bound(std::max(first(), marked)); each != log.end(); ++each) {
        bytes += each->second->bytes().size() - domain::chunk_header_bytes;
    }
    return bytes;
}

domain::chunk_ptr memory_image::topic_image::chunk_with(offset_t offset) const {
    const auto found = log.lower_bound(offset);
    const bool readable =
        found != log.end() && offset >= first() && found->second->contains(offset);
    return readable ? found->second : nullptr;
}

const memory_image::topic_image* memory_image::find(topic_id id) const {
    const auto found = topics_.find(id);
    return found != topics_.end() ? &found->second : nullptr;
}

const memory_image::queue_image* memory_image::find(topic_id id, queue_id queue) const {
    const topic_image* const topic = find(id);
    if (topic == nullptr) {
        return nullptr;
    }
    const auto found = topic->queues.find(queue);
    return found != topic->queues.end() ? &found->second : nullptr;
}

domain::fetch_result memory_image::read(const domain::fetch_body& what) const {
    return std::visit([this](const auto& one) -> domain::fetch_result { return read_one(one); },
                      what);
}

domain::log_fetched memory_image::read_one(const domain::fetch_log& what) const {
    domain::log_fetched result;
    const topic_image* const topic = find(what.topic);
    if (topic == nullptr) {
        return result;
    }
    std::size_t bytes = 0;
    for (auto each = topic->log.lower_bound(std::max(what.from, topic->first()));
         each != topic->log.end(); ++each) {
        if (what.lane && each->second->lane() != *what.lane) {
            continue;
        }
        if (!result.chunks.empty() && bytes >= what.bytes_max) {
            break;
        }
        bytes += each->second->bytes().size();
        result.chunks.push_back(each->second);
    }
    return result;
}

// Of a queue that is not stored yet, too, the log has the records.
domain::exceptions_fetched memory_image::read_one(const domain::fetch_exceptions& what) const {
    domain::exceptions_fetched result;
    const topic_image* const topic = find(what.topic);
    if (topic == nullptr) {
        return result;
    }
    static const queue_image nothing;
    const queue_image* const stored = find(what.topic, what.queue);
    const queue_image& queue = stored != nullptr ? *stored : nothing;
    std::size_t kept_bytes = 0;
    for (const offset_t offset : what.offsets) {
        if (what.bytes_max > 0 && kept_bytes >= what.bytes_max) {
            result.looked_below = offset;
            break;
        }
        const auto found = queue.exceptions.find(offset);
        domain::exception_entry entry;
        entry.offset = offset;
        entry.stored = found != queue.exceptions.end();
        if (entry.stored) {
            entry.value = found->second;
        }
        if (!what.with_records) {
            if (entry.stored) {
                result.entries.push_back(std::move(entry));
            }
            continue;
        }
        const auto kept = queue.kept.find(offset);
        if (const auto chunk = topic->chunk_with(offset)) {
            entry.append_time = chunk->append_time();
            entry.record = {chunk, chunk->record(offset)};
        } else if (kept != queue.kept.end()) {
            const auto copy = std::make_shared<const std::string>(kept->second.record);
            entry.append_time = kept->second.append_time;
            entry.record = {copy, as_bytes(*copy)};
        }
        kept_bytes += entry.record.view.size();
        if (entry.stored || entry.record.owner) {
            result.entries.push_back(std::move(entry));
        }
    }
    return result;
}

domain::exceptions_fetched memory_image::read_one(const domain::scan_exceptions& what) const {
    domain::exceptions_fetched result;
    const queue_image* const queue = find(what.topic, what.queue);
    if (queue == nullptr) {
        return result;
    }
    for (auto each = queue->exceptions.lower_bound(what.from);
         each != queue->exceptions.end() && each->first < what.until; ++each) {
        if (each->second.state != what.state) {
            continue;
        }
        if (result.entries.size() >= what.limit) {
            result.more = true;
            break;
        }
        domain::exception_entry& entry = result.entries.emplace_back();
        entry.offset = each->first;
        entry.value = each->second;
    }
    return result;
}

domain::due_fetched memory_image::read_one(const domain::fetch_due& what) const {
    domain::due_fetched result;
    const queue_image* const queue = find(what.topic, what.queue);
    if (queue == nullptr) {
        return result;
    }
    for (auto each = queue->due.lower_bound({what.from, 0});
         each != queue->due.end() && each->first < what.until; ++each) {
        if (result.items.size() >= what.limit) {
            result.more = true;
            break;
        }
        result.items.push_back({each->first, each->second});
    }
    return result;
}

domain::times_fetched memory_image::read_one(const domain::fetch_times& what) const {
    domain::times_fetched result;
    for (const auto& [id, offset] : what.places) {
        const topic_image* const topic = find(id);
        const auto chunk = topic != nullptr ? topic->chunk_with(offset) : nullptr;
        result.times.push_back(chunk ? chunk->append_time() : wall_never);
    }
    return result;
}

domain::offset_fetched memory_image::read_one(const domain::fetch_offset& what) const {
    const topic_image* const topic = find(what.topic);
    if (topic == nullptr) {
        return {offset_end};
    }
    const auto late = std::ranges::find_if(
        topic->log, [&](const auto& each) { return each.second->append_time() >= what.time; });
    return {late != topic->log.end() ? std::max(late->second->base_offset(), topic->first())
                                     : topic->next_offset};
}

domain::schedules_fetched memory_image::read_one(const domain::fetch_schedules& what) const {
    domain::schedules_fetched result;
    const topic_image* const topic = find(what.topic);
    if (topic == nullptr) {
        return result;
    }
    std::size_t bytes = 0;
    for (auto each = topic->schedules.lower_bound(what.from);
         each != topic->schedules.end() && each->first.due < what.until; ++each) {
        const bool full = !result.items.empty() && bytes >= what.bytes_max;
        if (full || result.items.size() >= what.limit) {
            result.more = true;
            break;
        }
        auto item = describe(each->first, each->second);
        item.batch = copy_bytes(each->second.view);
        bytes += item.batch.view.size();
        result.items.push_back(std::move(item));
    }
    return result;
}

domain::schedules_fetched memory_image::read_one(const domain::find_schedules& what) const {
    domain::schedules_fetched result;
    const topic_image* const topic = find(what.topic);
    if (topic == nullptr) {
        return result;
    }
    for (const std::uint64_t id : what.ids) {
        const auto found = topic->schedule_dues.find(id);
        if (found != topic->schedule_dues.end()) {
            const domain::schedule_key key{found->second, id};
            result.items.push_back(describe(key, topic->schedules.at(key)));
        }
    }
    return result;
}

domain::expiring_fetched memory_image::read_one(const domain::fetch_expiring& what) const {
    domain::expiring_fetched result;
    const topic_image* const topic = find(what.topic);
    if (topic == nullptr) {
        return result;
    }
    for (const auto& [key, messages] : topic->expiry) {
        const auto& [at, last] = key;
        if (at >= what.until || result.items.size() >= what.limit) {
            result.next = at;
            break;
        }
        result.items.push_back({at, last, messages});
    }
    return result;
}

domain::message_ids_fetched memory_image::read_one(const domain::fetch_message_ids& what) const {
    domain::message_ids_fetched result;
    result.entries.resize(what.ids.size());
    const topic_image* const topic = find(what.topic);
    for (std::size_t i = 0; topic != nullptr && i < what.ids.size(); ++i) {
        const auto found = topic->message_ids.find(what.ids[i]);
        if (found != topic->message_ids.end()) {
            result.entries[i] = found->second;
        }
    }
    return result;
}

// ---- memory_store ----

outcome<domain::loaded_state> memory_store::load() {
    const std::lock_guard lock(mutex_);
    return live_.load();
}

append_result memory_store::apply(commit_number number, std::span<const domain::mutation> batch,
                                  bool sync) {
    const std::lock_guard lock(mutex_);
    if (failed_) {
        return {append_status::unknown, injected_failure};
    }
    if (disk_ == disk_level::full && needs_space(batch)) {
        return {append_status::no_space, "the store is full"};
    }
    failed_ = std::exchange(fail_next_, false);
    if (!failed_ || fail_applied_) {
        live_.apply(number, batch);
        unsynced_.push_back({number, {batch.begin(), batch.end()}});
    }
    if (failed_) {
        return {append_status::unknown, injected_failure};
    }
    if (sync && !base::seeded_fault(base::fault::ack_before_sync)) {
        for (const auto& each : unsynced_) {
            durable_.apply(each.number, each.mutations);
        }
        unsynced_.clear();
    }
    return {};
}

domain::fetch_result memory_store::read(const domain::fetch_body& what) {
    const std::lock_guard lock(mutex_);
    return live_.read(what);
}

store_statistics memory_store::statistics() const {
    const std::lock_guard lock(mutex_);
    store_statistics result;
    result.disk_bytes = live_.stored_bytes();
    result.room.below_reserve = disk_ != disk_level::roomy;
    result.failure = failed_ ? injected_failure : "";
    return result;
}

disk_room memory_store::room() const {
    const std::lock_guard lock(mutex_);
    return {.below_reserve = disk_ != disk_level::roomy};
}

std::string memory_store::database_id() const {
    return std::string(32, '0');
}

void memory_store::crash(std::size_t unsynced_kept) {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < std::min(unsynced_kept, unsynced_.size()); ++i) {
        durable_.apply(unsynced_[i].number, unsynced_[i].mutations);
    }
    live_ = durable_;
    unsynced_.clear();
    fail_next_ = false;
    failed_ = false;
}

std::size_t memory_store::unsynced_commits() const {
    const std::lock_guard lock(mutex_);
    return unsynced_.size();
}

void memory_store::set_disk(disk_level level) {
    const std::lock_guard lock(mutex_);
    disk_ = level;
}

void memory_store::fail_next(bool applied) {
    const std::lock_guard lock(mutex_);
    fail_next_ = true;
    fail_applied_ = applied;
}

}  // namespace brokerd::storage
