// The harness: a store in maps, messages taken apart, turns until nothing is left to do.
#include "tests/unit/domain/harness.hpp"

#include <algorithm>
#include <memory>

namespace brokerd::domain::test {

// ---- the store ----

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

// ---- messages ----

shared_bytes make_batch(const std::vector<std::string>& payloads, producer_id producer,
                        std::uint64_t sequence) {
    codec::batch_builder builder;
    for (const std::string& payload : payloads) {
        builder.add({.payload = as_bytes(payload)});
    }
    auto bytes = std::make_shared<byte_buffer>(builder.take(producer, sequence));
    return {bytes, *bytes};
}

shared_bytes make_keyed_batch(const std::vector<keyed_message>& messages) {
    codec::batch_builder builder;
    for (const keyed_message& each : messages) {
        codec::record_fields fields{
            .payload = as_bytes(each.payload), .ttl_ms = each.ttl_ms, .priority = each.priority};
        if (!each.key.empty()) {
            fields.key = each.key;
        }
        builder.add(fields);
    }
    auto bytes = std::make_shared<byte_buffer>(builder.take({}, 0));
    return {bytes, *bytes};
}

std::vector<received> messages_of(const std::vector<record_run>& runs, commit_number depends_on) {
    std::vector<received> messages;
    for (const record_run& run : runs) {
        byte_view left = run.records.view;
        for (std::uint32_t i = 0; i < run.leases.count; ++i) {
            const std::size_t size = codec::record_size_at(left);
            const auto record = codec::check_record(left.first(size));
            EXPECT_TRUE(record);
            messages.push_back({.offset = run.leases.first_offset + i,
                                .lease = {run.leases.epoch, run.leases.first_lease + i},
                                .attempt = run.attempt,
                                .key = std::string(codec::record_key(left.first(size))),
                                .payload = std::string(as_text(record->payload)),
                                .depends_on = depends_on,
                                .history = run.history,
                                .queue = run.queue});
            left = left.subspan(size);
        }
        EXPECT_TRUE(left.empty());
    }
    return messages;
}

lease_run run_of(const received& message) {
    return {message.offset, 1, message.lease.epoch, message.lease.counter};
}

std::vector<lease_run> runs_of(const std::vector<received>& messages) {
    std::vector<lease_run> runs;
    for (const received& each : messages) {
        runs.push_back(run_of(each));
    }
    return runs;
}

std::vector<offset_t> offsets_of(const std::vector<received>& messages) {
    std::vector<offset_t> offsets;
    for (const received& each : messages) {
        offsets.push_back(each.offset);
    }
    return offsets;
}

std::vector<std::string> payloads_of(const std::vector<received>& messages) {
    std::vector<std::string> payloads;
    for (const received& each : messages) {
        payloads.push_back(each.payload);
    }
    return payloads;
}

// ---- the harness ----

harness::harness(domain_options options) : state(options), options_(options) {
    restart();
    admin = connect("admin@host:9");
}

void harness::check() {
    const auto checked = state.check_invariants();
    ASSERT_TRUE(checked) << checked.error().text;
}

void harness::collect() {
    for (output& each : out.outputs) {
        outputs.push_back(std::move(each));
    }
    out.outputs.clear();
}

void harness::answer_fetches() {
    while (!out.fetches.empty()) {
        std::vector<fetch> fetches;
        fetches.swap(out.fetches);
        for (const fetch& each : fetches) {
            ++fetches_answered;
            state.apply(fetched{each.id, store.read(each.body)}, now, out);
            collect();
        }
        state.dispatch(now, out);
        collect();
    }
}

void harness::commit() {
    state.seal(now, out);
    collect();
    std::vector<mutation> batch;
    batch.swap(out.mutations);
    const bool synced = out.urgent || !out.prompt;
    out.urgent = false;
    out.prompt = false;
    not_applied_.push_back({gathering, std::move(batch), synced});
    gathering = commit_number{gathering.value() + 1};
    const std::size_t may_wait = late_store ? 1 : 0;
    while (not_applied_.size() > may_wait) {
        const commit_batch& next = not_applied_.front();
        if (!next.synced && !on_disk_) {
            on_disk_ = store;
        }
        store.apply(next.number, next.batch);
        if (next.synced) {
            on_disk_.reset();
            durable = next.number;
        }
        not_applied_.pop_front();
    }
    state.commit_cut(gathering);
    EXPECT_FALSE(state.dirty());
    check();
}

void harness::run() {
    if (state.next_deadline() <= now.mono) {
        state.tick(now, out);
    }
    for (int rounds = 0; rounds < 10000; ++rounds) {
        state.dispatch(now, out);
        collect();
        check();
        if (!hold_fetches && !out.fetches.empty()) {
            answer_fetches();
        } else if (state.dirty()) {
            commit();
        } else {
            return;
        }
    }
    FAIL() << "the domain does not come to rest";
}

void harness::apply(command what) {
    state.apply(std::move(what), now, out);
    collect();
    run();
}

void harness::pass(duration_us span) {
    const mono_time until = now.mono + span;
    while (now.mono < until) {
        const mono_time next =
            std::min(until, std::max(state.next_deadline(), now.mono + duration_us{1}));
        now.wall += next - now.mono;
        now.mono = next;
        run();
    }
}

void harness::restart() {
    out = {};
    outputs.clear();
    not_applied_.clear();
    gathering = commit_number{store.last_commit.value() + 1};
    state.restore(store.load(), gathering, now, out);
    hold_fetches = false;
    run();
    admin = connect("admin@host:9");
}

void harness::power_cut() {
    if (on_disk_) {
        store = *std::exchange(on_disk_, std::nullopt);
    }
    restart();
}

void harness::stop_and_start() {
    state.release_reservations(now, out);
    run();
    restart();
}

connection_id harness::connect(const std::string& name) {
    const connection_id id{next_connection_++};
    apply(connection_opened{id, name});
    return id;
}

void harness::close(connection_id connection, bool goodbye) {
    apply(connection_closed{connection, goodbye});
}

std::uint32_t harness::send(connection_id connection, request_body body) {
    const std::uint32_t id = next_request_++;
    apply(request{connection, id, std::move(body)});
    return id;
}

std::optional<output> harness::answer_to(connection_id connection, std::uint32_t request) {
    for (auto at = outputs.begin(); at != outputs.end(); ++at) {
        if (at->connection == connection && at->request == request) {
            output found = std::move(*at);
            outputs.erase(at);
            return found;
        }
    }
    return std::nullopt;
}

void harness::make_queue(const std::string& path, queue_settings settings, queue_mode mode) {
    const auto made = ask<codec::queue_created>(
        admin, codec::queue_create{
                   .queue = path, .mode = mode, .settings = settings, .create_topic = true});
    EXPECT_TRUE(made.created);
}

output harness::publish_as(const std::string& topic, const std::vector<std::string>& payloads,
                           producer_id producer, std::uint64_t sequence,
                           std::optional<schedule_time> later) {
    std::uint64_t largest = 0;
    for (const std::string& each : payloads) {
        largest = std::max<std::uint64_t>(largest, each.size() + codec::record_bytes_min);
    }
    const std::uint32_t id =
        send(admin, publish_request{.topic = topic,
                                    .batch = make_batch(payloads, producer, sequence),
                                    .count = static_cast<std::uint32_t>(payloads.size()),
                                    .producer = producer,
                                    .first_sequence = sequence,
                                    .largest_record = largest,
                                    .later = later});
    auto answer = answer_to(admin, id);
    EXPECT_TRUE(answer);
    return answer ? std::move(*answer) : output{};
}

offset_t harness::publish_keyed(const std::string& topic,
                                const std::vector<keyed_message>& messages) {
    const auto answer = ask<publish_accepted>(
        admin, publish_request{.topic = topic,
                               .batch = make_keyed_batch(messages),
                               .count = static_cast<std::uint32_t>(messages.size()),
                               .largest_record = 0});
    return answer.base_offset;
}

offset_t harness::publish(const std::string& topic, const std::vector<std::string>& payloads) {
    const output answer = publish_as(topic, payloads, {}, 0);
    const auto* accepted = std::get_if<publish_accepted>(&answer.body);
    EXPECT_NE(accepted, nullptr);
    return accepted == nullptr ? 0 : accepted->base_offset;
}

codec::attached harness::attach(connection_id connection, const std::string& queue,
                                std::uint32_t prefetch, std::vector<lease_run> held,
                                consumer_id id) {
    return ask<codec::attached>(connection, codec::attach{.queue = queue,
                                                          .consumer = id,
                                                          .prefetch_messages = prefetch,
                                                          .held = std::move(held)});
}

std::vector<received> harness::deliveries(connection_id connection) {
    std::vector<received> all;
    for (auto at = outputs.begin(); at != outputs.end();) {
        if (at->connection == connection && std::holds_alternative<delivery>(at->body)) {
            for (received& each : messages_of(std::get<delivery>(at->body).runs, at->depends_on)) {
                all.push_back(std::move(each));
            }
            at = outputs.erase(at);
        } else {
            ++at;
        }
    }
    return all;
}

codec::settled harness::settle(connection_id connection, queue_id queue, settle_action action,
                               std::vector<lease_run> runs, duration_us delay,
                               const std::string& reason) {
    return ask<codec::settled>(connection, codec::settle{.queue = queue,
                                                         .action = action,
                                                         .confirm = true,
                                                         .delay = delay,
                                                         .reason = reason,
                                                         .runs = std::move(runs)});
}

codec::queue_item harness::queue_info(const std::string& path) {
    auto page = ask<codec::queues>(admin, codec::queue_list{.queue = path});
    EXPECT_EQ(page.items.size(), 1U);
    return page.items.empty() ? codec::queue_item{} : page.items.front();
}

codec::topic_item harness::topic_info(const std::string& name) {
    auto page = ask<codec::topics>(admin, codec::topic_list{.topic = name});
    EXPECT_EQ(page.items.size(), 1U);
    return page.items.empty() ? codec::topic_item{} : page.items.front();
}

std::string harness::explain(const std::string& path, std::optional<offset_t> offset) {
    return ask<codec::explained>(admin, codec::queue_explain{.queue = path,
                                                             .has_offset = offset.has_value(),
                                                             .offset = offset.value_or(0)})
        .sentence;
}

codec::queue_state_item harness::state_of(const std::string& topic, offset_t offset) {
    auto shown =
        ask<show_result>(admin, codec::message_show{.topic = topic, .offset = offset}).message;
    EXPECT_EQ(shown.queues.size(), 1U);
    return shown.queues.empty() ? codec::queue_state_item{} : shown.queues.front();
}

}  // namespace brokerd::domain::test
