// Reads meta, cursors and dedup in key order, and the last chunk of each lane of each topic.
#include "broker/storage/catalog.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "broker/storage/keys.hpp"
#include "broker/storage/log_cursor.hpp"
#include "broker/storage/rocks_options.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::storage {

namespace {

using iterator_ptr = std::unique_ptr<rocksdb::Iterator>;

iterator_ptr iterate(const rocks_database& database, family where) {
    iterator_ptr it(database.db().NewIterator(make_read_options(), database.handle(where)));
    it->SeekToFirst();
    return it;
}

std::unexpected<failure> damaged(family where, std::string_view what, const std::string& why) {
    return refuse(error_code::storage_failed,
                  fmt::format("the {} stored in column family {} is damaged: {}; restore the data "
                              "directory from a copy",
                              what, family_names[static_cast<std::size_t>(where)], why));
}

outcome<void> check(const rocksdb::Status& status) {
    if (!status.ok() && !status.IsNotFound()) {
        return refuse(error_code::storage_failed,
                      fmt::format("cannot read the database: {}", status.ToString()));
    }
    return {};
}

// Reads one value of the shard; leaves `value` alone if there is none.
template <typename Value>
outcome<void> read_shard_value(const rocks_database& database, meta_kind kind, Value& value) {
    std::string bytes;
    const auto status =
        database.db().Get(make_read_options(), database.handle(family::meta),
                          to_slice(meta_key::of_shard(kind).encode().view()), &bytes);
    if (status.IsNotFound()) {
        return {};
    }
    if (auto read = check(status); !read) {
        return read;
    }
    if (auto decoded = decode_value(bytes, value); !decoded) {
        return damaged(family::meta, fmt::format("entry {}", static_cast<unsigned>(kind)),
                       decoded.error().text);
    }
    return {};
}

// Decodes a mutation and adds it.
template <typename Mutation>
outcome<void> add(std::vector<domain::mutation>& to, family where, std::string_view bytes,
                  Mutation mutation) {
    if (auto decoded = decode_value(bytes, mutation); !decoded) {
        return damaged(where, "state", decoded.error().text);
    }
    to.emplace_back(std::move(mutation));
    return {};
}

outcome<void> read_meta(const rocks_database& database, const topic_table& topics,
                        std::vector<domain::mutation>& to) {
    const auto it = iterate(database, family::meta);
    for (; it->Valid(); it->Next()) {
        const auto key = meta_key::parse(to_view(it->key()));
        const auto bytes = to_view(it->value());
        outcome<void> added;
        if (!key) {
            return damaged(family::meta, "key", "it has another form");
        }
        switch (key->kind) {
            case meta_kind::topic:
                added = add(to, family::meta, bytes, domain::topic_created{});
                break;
            case meta_kind::topic_settings:
                added = add(to, family::meta, bytes, domain::topic_changed{});
                break;
            case meta_kind::trim: {
                const offset_t first = topics.facts(key->topic).trim;
                if (first != offset_end) {  // else the topic was removed
                    to.emplace_back(domain::trimmed{key->topic, first});
                }
                break;
            }
            case meta_kind::done_marks:
                added = add(to, family::meta, bytes, domain::done_marks{});
                break;
            case meta_kind::schedule_totals:
                added = add(to, family::meta, bytes, domain::schedule_totals{});
                break;
            case meta_kind::expiry_watched:
                added = add(to, family::meta, bytes, domain::expiry_watched{});
                break;
            case meta_kind::forgotten_ids:
                added = add(to, family::meta, bytes, domain::message_ids_forgotten{});
                break;
            case meta_kind::reserved:
                added = add(to, family::meta, bytes, domain::offsets_reserved{});
                break;
            case meta_kind::skipped:
                added = add(to, family::meta, bytes, domain::offsets_skipped{});
                break;
            case meta_kind::log_marks:
                added = add(to, family::meta, bytes, domain::log_marked{});
                break;
            case meta_kind::drops:
                added = add(to, family::meta, bytes, domain::messages_dropped{});
                break;
            case meta_kind::queue:
                added = add(to, family::meta, bytes, domain::queue_created{});
                break;
            case meta_kind::queue_settings:
                added = add(to, family::meta, bytes, domain::queue_changed{});
                break;
            case meta_kind::pattern:
                added = add(to, family::meta, bytes, domain::pattern_put{});
                break;
            case meta_kind::identity:
            case meta_kind::commit:
            case meta_kind::epoch:
            case meta_kind::next_id:
            case meta_kind::retry_clock: break;
        }
        if (!added) {
            return added;
        }
    }
    return check(it->status());
}

outcome<void> read_cursors(const rocks_database& database, std::vector<domain::mutation>& to) {
    const auto it = iterate(database, family::cursors);
    queue_id snapshot_of;
    std::uint64_t snapshot_number = 0;
    for (; it->Valid(); it->Next()) {
        const auto key = cursor_key::parse(to_view(it->key()));
        if (!key) {
            return damaged(family::cursors, "key", "it has another form");
        }
        outcome<void> added;
        if (key->kind == cursor_kind::snapshot) {
            domain::queue_snapshot snapshot;
            snapshot.topic = key->topic;
            snapshot.queue = key->queue;
            added = add(to, family::cursors, to_view(it->value()), std::move(snapshot));
            if (added) {
                snapshot_of = key->queue;
                snapshot_number = std::get<domain::queue_snapshot>(to.back()).number;
            }
        } else if (key->queue != snapshot_of || key->number > snapshot_number) {
            domain::queue_delta delta;
            delta.topic = key->topic;
            delta.queue = key->queue;
            delta.number = key->number;
            added = add(to, family::cursors, to_view(it->value()), std::move(delta));
        }
        if (!added) {
            return added;
        }
    }
    return check(it->status());
}

outcome<void> read_dedup(const rocks_database& database, std::vector<domain::mutation>& to) {
    const auto it = iterate(database, family::dedup);
    for (; it->Valid(); it->Next()) {
        const auto key = dedup_key::parse(to_view(it->key()));
        if (!key) {
            return damaged(family::dedup, "key", "it has another form");
        }
        domain::producer_put put;
        put.topic = key->topic;
        put.queue = key->queue;
        put.producer = key->producer;
        put.slot = key->slot;
        if (auto added = add(to, family::dedup, to_view(it->value()), std::move(put)); !added) {
            return added;
        }
    }
    return check(it->status());
}

// Where a topic ends: behind the last of the last chunks of its lanes.
outcome<void> read_tail(rocksdb::Iterator& log, topic_id topic, std::uint8_t lanes,
                        topic_table& topics) {
    while (lanes > 0) {
        // The last chunk of the highest of these lanes that has any.
        const auto highest = static_cast<std::uint8_t>(lanes - 1);
        log.SeekForPrev(to_slice(log_key{topic, offset_end, highest}.encode().view()));
        if (!log.Valid()) {
            return check(log.status());
        }
        const auto key = log_key::parse(to_view(log.key()));
        if (!key || key->topic != topic) {
            return {};
        }
        const auto place = place_of(to_view(log.key()), to_view(log.value()));
        if (!place) {
            return damaged(family::log, "chunk of " + topics.place(topic, key->last_offset),
                           place.error().text);
        }
        topics.append(topic, key->last_offset + 1, place->append_time);
        lanes = key->lane;
    }
    return {};
}

// ---- what lies behind the last mark of a topic ----

// What RocksDB estimates is right for large ranges only: one that lies within a block of a table
// may be nothing or all of it, and the topic would keep that error. So small ones are read, as far
// as a start has the time for it.
class tail_measure {
public:
    explicit tail_measure(const rocks_database& database) : database_(database) {
        auto options = make_read_options();
        options.total_order_seek = true;
        log_.reset(database.db().NewIterator(options, database.handle(family::log)));
    }

    // Bytes of the batches in the chunks from `first` on; estimated if they cannot be read, as
    // whoever needs the messages is told of that.
    [[nodiscard]] std::uint64_t bytes_from(topic_id topic, offset_t first, std::uint8_t lanes) {
        const std::uint64_t estimate = estimated_bytes(topic, first, lanes);
        if (estimate >= read_max || left_ == 0) {
            return estimate;
        }
        std::uint64_t bytes = 0;
        for (std::uint8_t lane = 0; lane < lanes; ++lane) {
            if (!read_lane({topic, first, lane}, bytes)) {
                return std::max(bytes, estimate);
            }
        }
        return bytes;
    }

private:
    static constexpr std::uint64_t read_max = limits::mib;  // of a topic

    [[nodiscard]] std::uint64_t estimated_bytes(topic_id topic, offset_t first,
                                                std::uint8_t lanes) const {
        std::vector<std::pair<key_bytes, key_bytes>> keys(lanes);
        std::vector<rocksdb::Range> ranges;
        for (std::uint8_t lane = 0; lane < lanes; ++lane) {
            // Up to a whole key of the next lane: its mere prefix may lie in the last block of
            // this.
            const auto next = static_cast<std::uint8_t>(lane + 1);
            keys[lane] = {log_key{topic, first, lane}.encode(), log_key{topic, 0, next}.encode()};
            ranges.emplace_back(to_slice(keys[lane].first.view()),
                                to_slice(keys[lane].second.view()));
        }
        return log_bytes(database_, ranges, true);
    }

    // Adds those of a lane. False: not all of them, as there are too many or one cannot be read.
    bool read_lane(const log_key& first, std::uint64_t& bytes) {
        for (log_->Seek(to_slice(first.encode().view())); log_->Valid(); log_->Next()) {
            const auto key = log_key::parse(to_view(log_->key()));
            if (!key || key->topic != first.topic || key->lane != first.lane) {
                return true;
            }
            const std::uint64_t size = log_->value().size();
            bytes += size - std::min<std::uint64_t>(size, domain::chunk_header_bytes);
            left_ -= std::min(left_, size);
            if (bytes >= read_max || left_ == 0) {
                return false;
            }
        }
        return log_->status().ok();
    }

    const rocks_database& database_;
    iterator_ptr log_;
    std::uint64_t left_ = 16 * limits::mib;  // to be read, of all topics
};

}  // namespace

outcome<shard_facts> read_shard_facts(const rocks_database& database) {
    shard_facts facts;
    std::uint64_t epoch = 0;
    auto read = read_shard_value(database, meta_kind::identity, facts.identity);
    if (read) read = read_shard_value(database, meta_kind::commit, facts.commit);
    if (read) read = read_shard_value(database, meta_kind::epoch, epoch);
    if (read) read = read_shard_value(database, meta_kind::next_id, facts.next_id);
    if (read) read = read_shard_value(database, meta_kind::retry_clock, facts.retry_clock);
    if (!read) {
        return std::unexpected(read.error());
    }
    facts.epoch = broker_epoch{static_cast<std::uint32_t>(epoch)};
    return facts;
}

outcome<std::vector<topic_id>> read_topics(const rocks_database& database, topic_table& topics) {
    std::vector<topic_id> removed;
    topics.clear();
    const auto it = iterate(database, family::meta);
    for (; it->Valid(); it->Next()) {
        const auto key = meta_key::parse(to_view(it->key()));
        outcome<void> decoded;
        if (key && key->kind == meta_kind::topic) {
            domain::topic_created created;
            decoded = decode_value(to_view(it->value()), created);
            topics.create(key->topic, created.name, lanes_of(created.settings));
        } else if (key && key->kind == meta_kind::trim) {
            trim_value trim;
            decoded = decode_value(to_view(it->value()), trim);
            if (trim.first == offset_end) {
                removed.push_back(key->topic);
            } else {
                topics.append(key->topic, 0, trim.last_append);
                topics.trim(key->topic, trim.first);
            }
        } else if (key && key->kind == meta_kind::forgotten_ids) {
            domain::message_ids_forgotten forgotten;
            decoded = decode_value(to_view(it->value()), forgotten);
            topics.forget_ids(key->topic, forgotten.before);
        }
        if (!decoded) {
            return damaged(family::meta, "topic", decoded.error().text);
        }
    }
    if (auto read = check(it->status()); !read) {
        return std::unexpected(read.error());
    }
    auto options = make_read_options();
    options.total_order_seek = true;
    const iterator_ptr log(database.db().NewIterator(options, database.handle(family::log)));
    for (const auto& [topic, facts] : topics.all()) {
        if (auto read = read_tail(*log, topic, facts.lanes, topics); !read) {
            return std::unexpected(read.error());
        }
    }
    return removed;
}

outcome<domain::loaded_state> read_state(const rocks_database& database,
                                         const topic_table& topics) {
    const auto shard = read_shard_facts(database);
    if (!shard) {
        return std::unexpected(shard.error());
    }
    domain::loaded_state state;
    state.epoch = shard->epoch;
    state.last_commit = shard->commit.number;
    state.next_id = shard->next_id;
    state.retry_clock = shard->retry_clock.reading;
    auto read = read_meta(database, topics, state.mutations);
    if (read) read = read_cursors(database, state.mutations);
    if (read) read = read_dedup(database, state.mutations);
    if (!read) {
        return std::unexpected(read.error());
    }
    std::map<topic_id, offset_t> last_marks;
    for (const domain::mutation& m : state.mutations) {
        const auto* const log = std::get_if<domain::log_marked>(&m);
        if (log != nullptr && !log->marks.empty()) {
            last_marks[log->topic] = log->marks.back().offset;
        }
    }
    tail_measure measure(database);
    for (const auto& [topic, facts] : topics.all()) {
        const offset_t from = std::max(facts.trim, last_marks[topic]);
        domain::topic_tail& tail = state.tails.emplace_back();
        tail.topic = topic;
        tail.next_offset = facts.next_offset;
        tail.last_append = facts.last_append;
        if (from < facts.next_offset) {
            tail.unmarked_bytes = measure.bytes_from(topic, from, facts.lanes);
        }
    }
    return state;
}

std::uint64_t log_bytes(const rocks_database& database, std::span<const rocksdb::Range> ranges,
                        bool memtables) {
    rocksdb::SizeApproximationOptions options;
    options.include_files = true;
    options.include_memtables = memtables;
    std::vector<std::uint64_t> bytes(ranges.size());
    const auto status =
        database.db().GetApproximateSizes(options, database.handle(family::log), ranges.data(),
                                          static_cast<int>(ranges.size()), bytes.data());
    return status.ok() ? std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{0}) : 0;
}

}  // namespace brokerd::storage
