// One read_one per kind of fetch; whatever is read is checked against its key before it is used.
#include "broker/storage/rocks_reads.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "broker/storage/keys.hpp"
#include "broker/storage/rocks_options.hpp"
#include "broker/storage/values.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::storage {

namespace {

using std::chrono::steady_clock;

constexpr auto cursor_age_max = std::chrono::seconds(3);
constexpr std::size_t iterators_kept_max = 64;

// An iterator over the keys in [first, end) of a family.
class bounded_iterator {
public:
    bounded_iterator(const rocks_database& database, family where, const key_bytes& first,
                     const key_bytes& end)
        : end_(end), upper_(to_slice(end_.view())) {
        auto options = make_read_options();
        options.iterate_upper_bound = &upper_;
        it_.reset(database.db().NewIterator(options, database.handle(where)));
        it_->Seek(to_slice(first.view()));
    }
    bounded_iterator(const bounded_iterator&) = delete;
    bounded_iterator& operator=(const bounded_iterator&) = delete;

    rocksdb::Iterator* operator->() const { return it_.get(); }
    rocksdb::Iterator& operator*() const { return *it_; }

private:
    key_bytes end_;
    rocksdb::Slice upper_;
    std::unique_ptr<rocksdb::Iterator> it_;
};

failure read_failure(const std::string& place, const rocksdb::Status& status) {
    if (status.IsCorruption()) {
        return {error_code::bad_checksum,
                fmt::format("the data stored around {} is damaged: {}; restore the data directory "
                            "from a copy",
                            place, status.ToString())};
    }
    return {error_code::storage_failed,
            fmt::format("cannot read around {}: {}", place, status.ToString())};
}

failure value_failure(const std::string& place, std::string_view what, const failure& why) {
    return {error_code::bad_checksum,
            fmt::format("the {} stored for {} is damaged: {}; restore the data directory from a "
                        "copy",
                        what, place, why.text)};
}

}  // namespace

domain::fetch_result rocks_reads::read(const domain::fetch_body& what) {
    return std::visit(
        [this](const auto& one) -> domain::fetch_result {
            auto result = read_one(one);
            if (!result) {
                return std::move(result.error());
            }
            return std::move(*result);
        },
        what);
}

void rocks_reads::drop_old_cursors() {
    std::vector<cursor_ptr> dropped;  // destroyed without the lock
    const std::lock_guard lock(mutex_);
    const auto now = steady_clock::now();
    for (auto each = kept_.begin(); each != kept_.end();) {
        if (now - each->second.opened > cursor_age_max) {
            iterators_kept_ -= each->second.cursor->iterators();
            dropped.push_back(std::move(each->second.cursor));
            each = kept_.erase(each);
        } else {
            ++each;
        }
    }
}

rocks_reads::cursor_ptr rocks_reads::open_log(topic_id topic) const {
    return std::make_unique<log_cursor>(database_, topic, lane_range{0, topics_.lanes(topic)},
                                        cursor_use::lookups);
}

rocks_reads::kept_cursor rocks_reads::take_cursor(const keeper& who, topic_id topic) {
    const std::lock_guard lock(mutex_);
    const auto found = who.first != 0 ? kept_.find(who) : kept_.end();
    if (found == kept_.end()) {
        return {};
    }
    kept_cursor taken = std::move(found->second);
    iterators_kept_ -= taken.cursor->iterators();
    kept_.erase(found);
    const bool usable =
        taken.cursor->topic() == topic && steady_clock::now() - taken.opened <= cursor_age_max;
    return usable ? std::move(taken) : kept_cursor{};
}

void rocks_reads::keep_cursor(const keeper& who, kept_cursor cursor) {
    if (who.first == 0) {
        return;
    }
    std::vector<cursor_ptr> dropped;  // destroyed without the lock
    const std::lock_guard lock(mutex_);
    const auto drop = [&](auto which) {
        iterators_kept_ -= which->second.cursor->iterators();
        dropped.push_back(std::move(which->second.cursor));
        kept_.erase(which);
    };
    if (const auto other = kept_.find(who); other != kept_.end()) {
        drop(other);
    }
    iterators_kept_ += cursor.cursor->iterators();
    while (iterators_kept_ > iterators_kept_max && !kept_.empty()) {
        drop(std::ranges::min_element(kept_, {},
                                      [](const auto& each) { return each.second.opened; }));
    }
    kept_.emplace(who, std::move(cursor));
}

outcome<void> rocks_reads::check(const rocksdb::Status& status, topic_id topic,
                                 offset_t offset) const {
    if (!status.ok()) {
        return std::unexpected(read_failure(topics_.place(topic, offset), status));
    }
    return {};
}

outcome<domain::chunk_ptr> rocks_reads::chunk_at(const log_cursor& log) const {
    const auto place = log.place();
    if (!place) {
        const auto key = log_key::parse(log.key());
        return std::unexpected(value_failure(topics_.place(log.topic(), key ? key->last_offset : 0),
                                             "chunk", place.error()));
    }
    const byte_view bytes = as_bytes(log.value());
    auto chunk = domain::chunk::load(byte_buffer(bytes.begin(), bytes.end()), true);
    if (!chunk) {
        return std::unexpected(
            value_failure(topics_.place(log.topic(), place->base_offset), "chunk", chunk.error()));
    }
    return chunk;
}

outcome<domain::log_fetched> rocks_reads::read_one(const domain::fetch_log& what) {
    domain::log_fetched result;
    const topic_facts facts = topics_.facts(what.topic);
    const offset_t from = std::max(what.from, facts.trim);
    if (from >= facts.next_offset || (what.lane && *what.lane >= facts.lanes)) {
        return result;
    }
    lane_range lanes{0, facts.lanes};
    if (what.lane) {
        lanes = {*what.lane, static_cast<std::uint8_t>(*what.lane + 1)};
    }
    const keeper who{what.reader, what.lane};
    kept_cursor log = take_cursor(who, what.topic);
    if (log.cursor && (log.next != from || !log.cursor->valid())) {
        log.cursor->seek(from);
    }
    if (!log.cursor || !log.cursor->valid()) {
        // One that was kept does not see what was appended since it was opened.
        log.cursor = std::make_unique<log_cursor>(
            database_, what.topic, lanes,
            what.reader != 0 ? cursor_use::backlog : cursor_use::lookups);
        log.opened = steady_clock::now();
        log.cursor->seek(from);
    }
    log.next = from;
    for (std::size_t bytes = 0; log.cursor->valid(); log.cursor->next()) {
        if (!result.chunks.empty() && bytes >= what.bytes_max) {
            break;
        }
        auto chunk = chunk_at(*log.cursor);
        if (!chunk) {
            return std::unexpected(chunk.error());
        }
        bytes += (*chunk)->bytes().size();
        log.next = (*chunk)->end_offset();
        result.chunks.push_back(std::move(*chunk));
    }
    if (auto checked = check(log.cursor->status(), what.topic, from); !checked) {
        return std::unexpected(checked.error());
    }
    keep_cursor(who, std::move(log));
    return result;
}

outcome<void> rocks_reads::add_record(topic_id topic, queue_id queue,
                                      domain::exception_entry& entry, log_cursor& log,
                                      domain::chunk_ptr& recent) const {
    const offset_t offset = entry.offset;
    if ((!recent || !recent->contains(offset)) && offset >= topics_.facts(topic).trim) {
        log.seek(offset);
        if (auto checked = check(log.status(), topic, offset); !checked) {
            return checked;
        }
        if (log.valid()) {
            auto chunk = chunk_at(log);
            if (!chunk) {
                return std::unexpected(chunk.error());
            }
            recent = std::move(*chunk);
        }
    }
    if (recent && recent->contains(offset)) {
        entry.append_time = recent->append_time();
        entry.record = {recent, recent->record(offset)};
        return {};
    }
    auto owner = std::make_shared<std::string>();
    const auto status =
        database_.db().Get(make_read_options(), database_.handle(family::kept),
                           to_slice(kept_key{topic, queue, offset}.encode().view()), owner.get());
    if (status.IsNotFound()) {
        return {};
    }
    if (!status.ok()) {
        return std::unexpected(read_failure(topics_.place(topic, offset), status));
    }
    kept_value value;
    if (auto decoded = decode_value(*owner, value); !decoded) {
        return std::unexpected(
            value_failure(topics_.place(topic, offset), "kept record", decoded.error()));
    }
    entry.append_time = value.append_time;
    entry.record = {owner, as_bytes(value.record)};
    return {};
}

outcome<domain::exceptions_fetched> rocks_reads::read_one(const domain::fetch_exceptions& what) {
    domain::exceptions_fetched result;
    cursor_ptr log;
    domain::chunk_ptr recent;
    rocksdb::PinnableSlice bytes;
    std::size_t kept_bytes = 0;
    for (const offset_t offset : what.offsets) {
        if (what.bytes_max > 0 && kept_bytes >= what.bytes_max) {
            result.looked_below = offset;
            break;
        }
        bytes.Reset();
        const auto key = exception_key{what.topic, what.queue, offset}.encode();
        const auto status =
            database_.db().Get(make_read_options(), database_.handle(family::exceptions),
                               to_slice(key.view()), &bytes);
        if (status.IsNotFound() && !what.with_records) {
            continue;
        }
        if (!status.ok() && !status.IsNotFound()) {
            return std::unexpected(read_failure(topics_.place(what.topic, offset), status));
        }
        domain::exception_entry entry;
        entry.offset = offset;
        entry.stored = status.ok();
        if (auto decoded =
                entry.stored ? decode_value(to_view(bytes), entry.value) : outcome<void>{};
            !decoded) {
            return std::unexpected(
                value_failure(topics_.place(what.topic, offset), "attempts", decoded.error()));
        }
        if (what.with_records) {
            if (!log) {
                log = open_log(what.topic);
            }
            const domain::chunk_ptr before = recent;
            if (auto added = add_record(what.topic, what.queue, entry, *log, recent); !added) {
                return std::unexpected(added.error());
            }
            if (entry.record.owner != recent) {
                kept_bytes += entry.record.view.size();
            } else if (recent != before) {
                kept_bytes += recent->memory_bytes();
            }
            if (!entry.stored && !entry.record.owner) {
                continue;
            }
        }
        result.entries.push_back(std::move(entry));
    }
    return result;
}

outcome<domain::exceptions_fetched> rocks_reads::read_one(const domain::scan_exceptions& what) {
    domain::exceptions_fetched result;
    const bounded_iterator it(database_, family::exceptions,
                              exception_key{what.topic, what.queue, what.from}.encode(),
                              exception_key{what.topic, what.queue, what.until}.encode());
    for (; it->Valid(); it->Next()) {
        domain::exception_entry entry;
        const auto key = exception_key::parse(to_view(it->key()));
        const auto decoded = decode_value(to_view(it->value()), entry.value);
        entry.offset = key ? key->offset : 0;
        if (!decoded) {
            return std::unexpected(value_failure(topics_.place(what.topic, entry.offset),
                                                 "attempts", decoded.error()));
        }
        if (entry.value.state != what.state) {
            continue;
        }
        if (result.entries.size() >= what.limit) {
            result.more = true;
            return result;
        }
        result.entries.push_back(std::move(entry));
    }
    if (auto checked = check(it->status(), what.topic, what.from); !checked) {
        return std::unexpected(checked.error());
    }
    return result;
}

outcome<domain::due_fetched> rocks_reads::read_one(const domain::fetch_due& what) {
    domain::due_fetched result;
    const bounded_iterator it(database_, family::exceptions,
                              due_key{what.topic, what.queue, what.from, 0}.encode(),
                              due_key{what.topic, what.queue, what.until, 0}.encode());
    for (; it->Valid(); it->Next()) {
        if (result.items.size() >= what.limit) {
            result.more = true;
            return result;
        }
        if (const auto key = due_key::parse(to_view(it->key()))) {
            result.items.push_back({key->due, key->offset});
        }
    }
    if (auto checked = check(it->status(), what.topic, 0); !checked) {
        return std::unexpected(checked.error());
    }
    return result;
}

outcome<domain::times_fetched> rocks_reads::read_one(const domain::fetch_times& what) {
    domain::times_fetched result;
    cursor_ptr log;
    for (const auto& [topic, offset] : what.places) {
        wall_time& time = result.times.emplace_back(wall_never);
        if (offset < topics_.facts(topic).trim) {
            continue;
        }
        if (!log || log->topic() != topic) {
            log = open_log(topic);
        }
        log->seek(offset);
        if (auto checked = check(log->status(), topic, offset); !checked) {
            return std::unexpected(checked.error());
        }
        if (!log->valid()) {
            continue;
        }
        const auto place = log->place();
        if (!place) {
            return std::unexpected(
                value_failure(topics_.place(topic, offset), "chunk", place.error()));
        }
        if (place->base_offset <= offset) {
            time = place->append_time;
        }
    }
    return result;
}

outcome<domain::offset_fetched> rocks_reads::read_one(const domain::fetch_offset& what) {
    // Append times never run backwards within a topic: search for the first late enough chunk.
    const topic_facts facts = topics_.facts(what.topic);
    offset_t low = facts.trim;          // everything below is too early
    offset_t high = facts.next_offset;  // everything from here on is late enough
    offset_t found = high;              // of the first chunk that is: there may be a hole before it
    const cursor_ptr log = open_log(what.topic);
    while (low < high) {
        const offset_t middle = low + (high - low) / 2;
        log->seek(middle);
        if (auto checked = check(log->status(), what.topic, middle); !checked) {
            return std::unexpected(checked.error());
        }
        if (!log->valid()) {
            high = middle;
            continue;
        }
        const auto place = log->place();
        if (!place) {
            return std::unexpected(
                value_failure(topics_.place(what.topic, middle), "chunk", place.error()));
        }
        if (place->append_time >= what.time) {
            found = std::max(place->base_offset, low);
            high = std::min(middle, found);
        } else {
            low = place->base_offset + place->count;
        }
    }
    return domain::offset_fetched{found};
}

outcome<domain::scheduled_batch> rocks_reads::schedule_at(const rocksdb::Iterator& it,
                                                          topic_id topic) const {
    const auto key = schedule_due_key::parse(to_view(it.key()));
    scheduled_value value;
    auto decoded = decode_value(to_view(it.value()), value);
    if (!key) {
        decoded = refuse(error_code::bad_checksum, "its key has another form");
    }
    const byte_view batch = as_bytes(value.batch);
    const auto checked = decoded ? codec::check_batch(batch, limits::batch_records_max)
                                 : std::unexpected(decoded.error());
    if (!checked) {
        return std::unexpected(value_failure(topics_.schedule_place(topic, key ? key->id : 0),
                                             "batch", checked.error()));
    }
    return domain::scheduled_batch{
        {key->due, key->id}, checked->header.count, batch.size(), copy_bytes(batch)};
}

outcome<domain::schedules_fetched> rocks_reads::read_one(const domain::fetch_schedules& what) {
    domain::schedules_fetched result;
    const bounded_iterator it(database_, family::schedule,
                              schedule_due_key{what.topic, what.from.due, what.from.id}.encode(),
                              schedule_due_key{what.topic, what.until, 0}.encode());
    for (std::size_t bytes = 0; it->Valid(); it->Next()) {
        const bool full = !result.items.empty() && bytes >= what.bytes_max;
        if (full || result.items.size() >= what.limit) {
            result.more = true;
            return result;
        }
        auto item = schedule_at(*it, what.topic);
        if (!item) {
            if (result.items.empty()) {
                return std::unexpected(item.error());
            }
            result.more = true;  // those before it are not held up
            return result;
        }
        bytes += item->batch.view.size();
        result.items.push_back(std::move(*item));
    }
    if (const auto status = it->status(); !status.ok()) {
        const auto near = result.items.empty() ? what.from.id : result.items.back().key.id;
        return std::unexpected(read_failure(topics_.schedule_place(what.topic, near), status));
    }
    return result;
}

outcome<domain::schedules_fetched> rocks_reads::read_one(const domain::find_schedules& what) {
    domain::schedules_fetched result;
    rocksdb::PinnableSlice bytes;
    for (const std::uint64_t id : what.ids) {
        bytes.Reset();
        const auto status =
            database_.db().Get(make_read_options(), database_.handle(family::schedule),
                               to_slice(schedule_id_key{what.topic, id}.encode().view()), &bytes);
        if (status.IsNotFound()) {
            continue;
        }
        if (!status.ok()) {
            return std::unexpected(read_failure(topics_.schedule_place(what.topic, id), status));
        }
        schedule_id_value value;
        if (auto decoded = decode_value(to_view(bytes), value); !decoded) {
            return std::unexpected(
                value_failure(topics_.schedule_place(what.topic, id), "entry", decoded.error()));
        }
        result.items.push_back({{value.due, id}, value.messages, value.bytes, {}});
    }
    return result;
}

outcome<domain::expiring_fetched> rocks_reads::read_one(const domain::fetch_expiring& what) {
    domain::expiring_fetched result;
    const auto first = topic_prefix(what.topic);
    const bounded_iterator it(database_, family::expiry, first, behind(first));
    for (; it->Valid(); it->Next()) {
        const auto key = expiry_key::parse(to_view(it->key()));
        if (key && (key->at >= what.until || result.items.size() >= what.limit)) {
            result.next = key->at;
            return result;
        }
        expiry_value value;
        auto decoded = decode_value(to_view(it->value()), value);
        if (!key) {
            decoded = refuse(error_code::bad_checksum, "its key has another form");
        }
        if (!decoded) {
            return std::unexpected(value_failure(
                topics_.place(what.topic, key ? key->last_offset : 0), "expiry", decoded.error()));
        }
        result.items.push_back({key->at, key->last_offset, value.messages});
    }
    const offset_t near = result.items.empty() ? 0 : result.items.back().last;
    if (auto checked = check(it->status(), what.topic, near); !checked) {
        return std::unexpected(checked.error());
    }
    return result;
}

outcome<domain::message_ids_fetched> rocks_reads::read_one(const domain::fetch_message_ids& what) {
    domain::message_ids_fetched result;
    std::vector<std::string> keys;
    std::vector<rocksdb::Slice> slices;
    for (const std::string& id : what.ids) {
        keys.push_back(message_id_key{what.topic, id}.encode());
    }
    for (const std::string& key : keys) {
        slices.push_back(to_slice(key));
    }
    std::vector<rocksdb::PinnableSlice> values(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    database_.db().MultiGet(make_read_options(), database_.handle(family::message_ids), keys.size(),
                            slices.data(), values.data(), statuses.data());
    for (std::size_t i = 0; i < keys.size(); ++i) {
        auto& entry = result.entries.emplace_back();
        if (statuses[i].IsNotFound()) {
            continue;
        }
        const std::string where = topics_.message_ids_place(what.topic);
        if (!statuses[i].ok()) {
            return std::unexpected(read_failure(where, statuses[i]));
        }
        if (auto decoded = decode_value(to_view(values[i]), entry.emplace()); !decoded) {
            return std::unexpected(value_failure(where, "entry", decoded.error()));
        }
    }
    return result;
}

}  // namespace brokerd::storage
