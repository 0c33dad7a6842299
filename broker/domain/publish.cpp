// Publishing: batches are copied into the open chunk of their topic as they are; the chunk is
// closed when the commit is cut or when it is full. A producer's resend gets the first answer, and
// so does what comes again with its id. What is to be appended later goes to the schedule.
//
// A topic of durability os asks for no sync: the answer leaves when the commit is applied, that is
// when the operating system has it. So may what is delivered and read of it.
#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/operations.hpp"
#include "protocol/codec/record.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {
namespace {

failure sequence_too_old(const topic& of, const publish_request& what,
                         const producer_window& window) {
    return {error_code::sequence_too_old,
            fmt::format("sequence {} of producer {:016x} on topic {} is older than the {} that are "
                        "remembered (from {}); whether it was stored is not known any more",
                        what.first_sequence, what.producer.value(), of.name,
                        limits::producer_window, window.lowest())};
}

failure sequence_mismatch(const topic& of, const publish_request& what) {
    return {error_code::sequence_mismatch,
            fmt::format("sequences {} to {} of producer {:016x} on topic {} were used in part by "
                        "other batches; a resend must repeat the same batch",
                        what.first_sequence, what.first_sequence + what.count - 1,
                        what.producer.value(), of.name)};
}

void refuse_publish(core& c, turn& t, asker who, failure why) {
    ++c.counters.refused_publishes;
    c.answer(t, who, {}, publish_refused{std::move(why)});
}

// A schedule is synced, whatever its topic.
bool is_early(const core& c, const topic& of, const publish_request& what) {
    return is_os(c, of) && !what.later;
}

durability level_of(const core& c, const topic& of, const publish_request& what) {
    return is_early(c, of, what) ? durability::os : c.options.level;
}

// True if the batch is new; else it has been answered.
bool check_sequence(core& c, turn& t, asker who, const topic& of, const publish_request& what) {
    if (what.first_sequence == 0) {
        refuse_publish(c, t, who,
                       {error_code::invalid_argument,
                        "a batch with a producer needs a first sequence from 1 on"});
        return false;
    }
    producer_entry* entry = c.producers.find({of.id, queue_id{}, what.producer});
    if (entry == nullptr) {
        return true;
    }
    const auto known = entry->window.check(what.first_sequence, what.count);
    switch (known.what) {
        case producer_window::verdict::fresh: return true;
        case producer_window::verdict::duplicate:
            ++c.counters.duplicates;
            c.answer(t, who, entry->last_commit,
                     publish_accepted{.base_offset = known.value,
                                      .count = what.count,
                                      .duplicate = true,
                                      .level = level_of(c, of, what)},
                     is_early(c, of, what));
            return false;
        case producer_window::verdict::too_old:
            refuse_publish(c, t, who, sequence_too_old(of, what, entry->window));
            return false;
        case producer_window::verdict::mismatch:
            refuse_publish(c, t, who, sequence_mismatch(of, what));
            return false;
    }
    return false;
}

// What became of sequences that are new.
void remember_sequences(core& c, turn& t, const topic& of, const publish_request& what,
                        std::uint64_t value) {
    if (auto erased = c.producers.record({of.id, queue_id{}, what.producer}, what.first_sequence,
                                         what.count, value, t.wall, c.gathering)) {
        c.emit(t, std::move(*erased), false);  // with the publish, as soon as that wants
    }
}

// All that has to be known about its id is.
void take(core& c, turn& t, asker who, topic& of, const publish_request& what) {
    if (auto fits = check_size(c, of, what.largest_record); !fits) {
        refuse_publish(c, t, who, std::move(fits.error()));
        return;
    }
    if (auto level = check_level(of, what.batch.view); !level) {
        refuse_publish(c, t, who, std::move(level.error()));
        return;
    }
    outcome<wall_time> due = what.later ? due_of(t, *what.later) : outcome<wall_time>{};
    if (!due) {
        refuse_publish(c, t, who, std::move(due.error()));
        return;
    }
    const bool idempotent =
        what.producer != producer_id{} && !base::seeded_fault(base::fault::skip_deduplication);
    if (idempotent && !check_sequence(c, t, who, of, what)) {
        return;
    }
    const bool has_id = looks_at_id(of, what);
    if (const auto known = has_id ? find_id(c, t, of, what.id) : std::nullopt) {
        if (auto fits = check_id_kind(of, what, *known); !fits) {
            refuse_publish(c, t, who, std::move(fits.error()));
            return;
        }
        ++c.counters.duplicates;
        if (idempotent) {
            remember_sequences(c, t, of, what, known->entry.value);
            c.dirty = true;
        }
        c.answer(t, who, known->commit,
                 publish_accepted{.base_offset = known->entry.value,
                                  .count = what.count,
                                  .duplicate = true,
                                  .level = level_of(c, of, what)},
                 is_early(c, of, what));
        return;
    }
    // Only what is new: a resend of what is stored is told so.
    if (auto room = check_room(c); !room) {
        refuse_publish(c, t, who, std::move(room.error()));
        return;
    }
    const std::uint64_t bytes = what.batch.view.size();
    if (auto room = what.later ? check_alone(of, what.count, bytes)
                               : check_limits(c, t, of, what.count, bytes);
        !room) {
        refuse_publish(c, t, who, std::move(room.error()));
        return;
    }
    const std::uint64_t first = what.later ? add_schedule(c, t, of, what, *due)
                                           : append_batch(c, t, of, what.batch.view, what.count);
    if (idempotent) {
        remember_sequences(c, t, of, what, first);
    }
    if (has_id) {
        remember_id(c, t, of, what, first);
    }
    c.answer(
        t, who, c.gathering,
        publish_accepted{.base_offset = first, .count = what.count, .level = level_of(c, of, what)},
        is_early(c, of, what));
}

}  // namespace

outcome<void> check_room(const core& c) {
    return c.no_room.empty() ? outcome<void>() : refuse(error_code::resource_disk, c.no_room);
}

outcome<void> check_level(const topic& of, byte_view batch) {
    if (of.settings.priorities == 1) {
        return {};
    }
    std::optional<std::uint8_t> level;
    for (byte_view rest = batch.subspan(codec::batch_header_bytes); !rest.empty();
         rest = rest.subspan(codec::record_size_at(rest))) {
        const std::uint8_t each = of.level_of(codec::record_priority(rest));
        if (level.value_or(each) != each) {
            return refuse(error_code::invalid_argument,
                          fmt::format("a batch for topic {} has messages of levels {} and {} of "
                                      "its {} levels of priority; publish each level in a batch of "
                                      "its own",
                                      of.name, *level, each, of.settings.priorities));
        }
        level = each;
    }
    return {};
}

outcome<void> check_size(const core& c, const topic& of, std::uint64_t bytes) {
    const std::uint64_t of_topic = of.settings.max_message_bytes;
    const std::uint64_t of_broker = c.options.message_bytes_max;
    if (bytes <= std::min(of_topic, of_broker)) {
        return {};
    }
    std::string text = fmt::format("a message of {} bytes is larger than the {} bytes that ", bytes,
                                   std::min(of_topic, of_broker));
    text += of_topic <= of_broker
                ? fmt::format("topic {} accepts", of.name)
                : fmt::format("this broker accepts in any topic, so in topic {} too", of.name);
    text += "; split the message";
    if (bytes <= limits::message_bytes_max) {
        if (bytes > of_broker) {
            text += fmt::format(", or start brokerd with --max-message-bytes {}", bytes);
        }
        if (bytes > of_topic) {
            text += fmt::format(
                "{} raise the topic's limit: brokerctl topic set {} "
                "--max-message-bytes {}",
                bytes > of_broker ? " and" : ", or", of.name, bytes);
        }
    }
    return refuse(error_code::message_too_large, std::move(text));
}

void publish(core& c, turn& t, asker who, const publish_request& what) {
    const auto found = c.find_topic(what.topic);
    if (!found) {
        refuse_publish(c, t, who, found.error());
        return;
    }
    topic& of = **found;
    if (!looks_at_id(of, what) && !something_waits_for_ids(of)) {
        take(c, t, who, of, what);
        return;
    }
    const bool asked = looks_at_id(of, what);
    when_ids_are_known(c, t, of, asked ? std::vector{what.id} : std::vector<std::string>(),
                       [who, what, asked](core& now, turn& later, topic& to, outcome<void> known) {
                           if (!known) {
                               refuse_publish(now, later, who, std::move(known.error()));
                           } else if (!asked && looks_at_id(to, what)) {
                               publish(now, later, who, what);  // the topic remembers ids since
                           } else {
                               take(now, later, who, to, what);
                           }
                       });
}

offset_t append_batch(core& c, turn& t, topic& of, byte_view batch, std::uint32_t count) {
    const std::uint8_t lane =
        of.level_of(codec::record_priority(batch.subspan(codec::batch_header_bytes)));
    if (of.open &&
        (of.open->lane() != lane || of.open->bytes() + batch.size() > limits::chunk_bytes_max)) {
        seal_chunk(c, t, of);
    }
    if (!of.open) {
        of.open.emplace(of.id, of.end, lane);
        if (!of.open_noted) {
            of.open_noted = true;
            c.open_topics.push_back(&of);
        }
    }
    of.in_rate.add(t.now.mono, count);
    c.counters.published_messages += count;
    c.counters.published_bytes += batch.size();
    c.dirty = true;
    const offset_t first = of.open->append(batch, count);
    if (is_os(c, of)) {
        t.out.prompt = true;
        reserve_offsets(c, t, of);
    } else {
        t.out.urgent = true;
    }
    return first;
}

void seal_chunk(core& c, turn& t, topic& of) {
    of.last_append = std::max(of.last_append, t.wall);
    chunk_ptr data = of.open->seal(of.last_append);
    of.open.reset();
    of.end = data->end_offset();
    of.appended = c.gathering;
    c.cache.add(of.tail, data, c.gathering);
    c.emit(t, appended{data}, false);  // append_batch has said how soon
    if (of.marks.append(data->base_offset(), data->count(),
                        data->bytes().size() - chunk_header_bytes, of.last_append, of.settings)) {
        c.emit(t, log_marked{of.id, of.marks.marks()}, false);
    }
    note_expiring(c, t, of, *data);
    sift_appended(c, t, of, *data);
    for (const auto& [name, q] : of.queues) {
        if (q->levels) {
            q->levels->pass(*data);
        }
        c.wake(*q);
    }
}

}  // namespace brokerd::domain
