// Field by field, both ways.
#include "client/src/convert.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::client_core {
namespace {

std::unexpected<error> refuse_message(std::string text) {
    return std::unexpected(make_error(client_errc::invalid_argument, text));
}

}  // namespace

topic_settings to_wire(const topic_options& options) {
    topic_settings out;
    out.keep_done = options.keep_done;
    out.max_message_bytes = options.max_message_bytes;
    out.ttl = options.ttl;
    out.durability = static_cast<durability>(options.durability);
    out.message_id_window = options.message_id_window;
    out.keep_done_bytes = options.keep_done_bytes;
    out.max_bytes = options.max_bytes;
    out.max_messages = options.max_messages;
    out.when_full = static_cast<full_policy>(options.when_full);
    out.max_age = options.max_age;
    out.priorities = options.priorities;
    return out;
}

queue_settings to_wire(const queue_options& options) {
    queue_settings out;
    out.lease = options.lease;
    out.attempts = options.attempts;
    out.backoff = options.backoff;
    out.backoff_max = options.backoff_max;
    out.max_retrying = options.max_retrying;
    out.max_runs = options.max_runs;
    out.jitter_percent = options.jitter_percent;
    out.after_failure = static_cast<after_failure>(options.after_failure);
    out.expires = options.expires;
    out.on_expiry = static_cast<expiry_action>(options.on_expiry);
    out.filter = options.filter;
    out.until = options.until;
    return out;
}

position to_wire(const log_position& where) {
    position out;
    switch (where.which()) {
        case log_position::kind::earliest: out.kind = position_kind::earliest; break;
        case log_position::kind::latest: out.kind = position_kind::latest; break;
        case log_position::kind::offset: out.kind = position_kind::offset; break;
        case log_position::kind::time: out.kind = position_kind::time; break;
    }
    out.offset = where.offset();
    out.time = where.time();
    return out;
}

result<codec::record_fields> to_wire(const outgoing_message& message) {
    codec::record_fields out;
    if (message.key) {
        if (message.key->size() > limits::key_bytes_max) {
            return refuse_message(fmt::format("a key of {} bytes is larger than {} bytes",
                                              message.key->size(), limits::key_bytes_max));
        }
        out.key = *message.key;
    }
    if (message.headers.size() > limits::headers_max) {
        return refuse_message(fmt::format("{} headers are more than {}", message.headers.size(),
                                          limits::headers_max));
    }
    std::size_t bytes = 0;
    for (const auto& [name, value] : message.headers) {
        bytes += name.size() + value.size();
        for (const std::string_view text : {std::string_view(name), std::string_view(value)}) {
            if (const auto fine = check_text(text, limits::headers_bytes_max, "header"); !fine) {
                return refuse_message(fine.error().text);
            }
        }
        out.headers.emplace_back(name, value);
    }
    if (bytes > limits::headers_bytes_max) {
        return refuse_message(fmt::format("headers of {} bytes are larger than {} bytes", bytes,
                                          limits::headers_bytes_max));
    }
    if (message.id.size() > limits::message_id_bytes_max) {
        return refuse_message(fmt::format("a message id of {} bytes is larger than {} bytes",
                                          message.id.size(), limits::message_id_bytes_max));
    }
    if (!message.id.empty()) {
        out.id = message.id;
    }
    if (message.ttl) {
        if (*message.ttl <= duration_us{0}) {
            return refuse_message(
                "a time to live must be longer than 0; without one the message has that of its "
                "topic");
        }
        // Rounded up, so that no message goes earlier than was asked for.
        out.ttl_ms = static_cast<std::uint64_t>(
            std::chrono::ceil<std::chrono::milliseconds>(*message.ttl).count());
    }
    if (message.priority >= limits::priorities_max) {
        return refuse_message(fmt::format("a priority of {} is more than {}, the highest",
                                          message.priority, limits::priorities_max - 1));
    }
    if (message.priority > 0) {
        out.priority = message.priority;
    }
    out.payload = as_bytes(message.payload);
    if (codec::record_size(out) > limits::message_bytes_max) {
        return refuse_message(
            fmt::format("a message of {} bytes is larger than the {} bytes a topic can accept at "
                        "most; split it",
                        codec::record_size(out), limits::message_bytes_max));
    }
    return out;
}

topic_options to_public(const topic_settings& settings) {
    return {.keep_done = settings.keep_done,
            .max_message_bytes = settings.max_message_bytes,
            .ttl = settings.ttl,
            .durability = static_cast<durability_level>(settings.durability),
            .message_id_window = settings.message_id_window,
            .keep_done_bytes = settings.keep_done_bytes,
            .max_bytes = settings.max_bytes,
            .max_messages = settings.max_messages,
            .when_full = static_cast<overflow_policy>(settings.when_full),
            .max_age = settings.max_age,
            .priorities = settings.priorities};
}

queue_options to_public(const queue_settings& settings) {
    return {.lease = settings.lease,
            .attempts = settings.attempts,
            .backoff = settings.backoff,
            .backoff_max = settings.backoff_max,
            .max_retrying = settings.max_retrying,
            .max_runs = settings.max_runs,
            .jitter_percent = settings.jitter_percent,
            .after_failure = static_cast<failure_policy>(settings.after_failure),
            .expires = settings.expires,
            .on_expiry = static_cast<expiry_policy>(settings.on_expiry),
            .filter = settings.filter,
            .until = settings.until};
}

ensured_topic to_public(const codec::topic_created& reply) {
    return {.created = reply.created,
            .settings = to_public(reply.settings),
            .differing = reply.differing};
}

ensured_queue to_public(const codec::queue_created& reply) {
    return {.created = reply.created,
            .topic_created = reply.topic_created,
            .settings = to_public(reply.settings),
            .differing = reply.differing,
            .queues = 0};
}

topic_info to_public(const codec::topic_item& item) {
    return {.topic = item.name,
            .id = item.topic.value(),
            .settings = to_public(item.settings),
            .created = item.created,
            .first_offset = item.first_offset,
            .next_offset = item.next_offset,
            .messages = item.messages,
            .bytes = item.bytes,
            .queues = item.queues,
            .in_per_second = item.in_per_second,
            .scheduled = item.scheduled,
            .scheduled_bytes = item.scheduled_bytes,
            .pending = item.pending,
            .pending_bytes = item.pending_bytes,
            .dropped = item.dropped,
            .dropped_bytes = item.dropped_bytes,
            .last_dropped = item.last_dropped};
}

queue_info to_public(const codec::queue_item& item) {
    return {.topic = item.topic,
            .queue = item.queue,
            .id = item.id.value(),
            .mode = static_cast<delivery_mode>(item.mode),
            .settings = to_public(item.settings),
            .created = item.created,
            .ready = item.ready,
            .leased = item.leased,
            .retrying = item.retrying,
            .dead = item.dead,
            .done = item.done,
            .oldest = item.oldest,
            .in_per_second = item.in_per_second,
            .out_per_second = item.out_per_second,
            .consumers = item.consumers,
            .paused = item.paused,
            .floor = item.floor,
            .state = item.state,
            .dropped = item.dropped};
}

failed_attempt to_public(const attempt& item) {
    return {.time = item.time,
            .outcome = static_cast<attempt_end>(item.outcome),
            .consumer = item.consumer,
            .reason = item.reason};
}

message_in_queue to_public(const codec::queue_state_item& item) {
    return {.queue = item.queue,
            .state = static_cast<delivery_state>(item.state),
            .attempts = item.attempts,
            .attempts_max = item.attempts_max,
            .due = item.due,
            .lease_until = item.lease_until,
            .consumer = item.consumer,
            .lease = {item.lease.epoch.value(), item.lease.counter},
            .history = to_public_list(item.history),
            .next = item.next};
}

dead_page to_public(const codec::dead& reply) {
    dead_page out;
    out.next = reply.next;
    out.more = reply.more;
    for (const codec::dead_item& item : reply.items) {
        out.messages.push_back(
            {item.offset, item.since, item.attempts, item.reason, item.consumer});
    }
    return out;
}

schedule_info to_public(const codec::schedule_item& item) {
    return {.id = item.id,
            .due = item.due,
            .messages = item.messages,
            .bytes = item.bytes,
            .key = item.key};
}

schedule_page to_page(const schedule_position& from, const codec::schedules& reply) {
    schedule_page out;
    out.next = from;
    out.more = reply.more;
    out.schedules = to_public_list(reply.items);
    if (!out.schedules.empty()) {
        out.next = {out.schedules.back().due, out.schedules.back().id};
    }
    return out;
}

level_slice to_public(const codec::queue_levels_counted& reply) {
    level_slice out{.ready = {}, .due = reply.due, .next = reply.next, .more = reply.more};
    for (const codec::level_count& each : reply.levels) {
        if (each.level < limits::priorities_max) {
            out.ready.resize(std::max<std::size_t>(out.ready.size(), each.level + std::size_t{1}));
            out.ready[each.level] = each.ready;
        }
    }
    return out;
}

void add(level_counts& to, const level_slice& what) {
    to.ready.resize(std::max(to.ready.size(), what.ready.size()));
    for (std::size_t level = 0; level < what.ready.size(); ++level) {
        to.ready[level] += what.ready[level];
    }
    to.due = what.due;
}

slice to_public(const codec::counted& reply) {
    return {.messages = reply.messages, .next = reply.position, .more = reply.more};
}

consumer_info to_public(const codec::consumer_item& item) {
    return {.topic = item.topic,
            .queue = item.queue,
            .name = item.name,
            .connection = item.connection.value(),
            .consumer = item.consumer.value(),
            .prefetch_messages = item.prefetch_messages,
            .prefetch_bytes = item.prefetch_bytes,
            .leased = item.leased,
            .leased_bytes = item.leased_bytes,
            .delivered = item.delivered,
            .attached = item.attached,
            .standby = item.standby};
}

connection_info to_public(const codec::connection_item& item) {
    return {.connection = item.connection.value(),
            .name = item.name,
            .address = item.address,
            .connected = item.connected,
            .consumers = item.consumers,
            .bytes_in = item.bytes_in,
            .bytes_out = item.bytes_out,
            .outbox_bytes = item.outbox_bytes,
            .credit_messages = item.credit_messages,
            .credit_bytes = item.credit_bytes};
}

health_info to_public(const codec::health_report& reply) {
    return {.writable = reply.writable, .warnings = reply.warnings};
}

stat to_public(const codec::stat_item& item) {
    return {.name = item.name, .value = item.value, .help = item.help};
}

broker_info to_public(const codec::hello_ok& terms) {
    return {.version = terms.broker_version,
            .database_id = terms.database_id,
            .epoch = terms.epoch.value(),
            .connection = terms.connection.value()};
}

std::optional<std::chrono::milliseconds> to_ttl(std::optional<std::uint64_t> of_record) noexcept {
    constexpr std::uint64_t most = duration_us::max() / std::chrono::milliseconds{1};
    return of_record ? std::optional(std::chrono::milliseconds(std::min(*of_record, most)))
                     : std::nullopt;
}

stored_message to_stored(std::string_view topic, offset_t offset, wall_time time,
                         const codec::record_view& record) {
    stored_message out;
    out.topic = topic;
    out.offset = offset;
    out.time = time;
    if (record.key) {
        out.key = std::string(*record.key);
    }
    for (const auto& [name, value] : record.headers()) {
        out.headers.emplace_back(name, value);
    }
    out.payload = as_text(record.payload);
    out.ttl = to_ttl(record.ttl_ms);
    out.id = record.id.value_or(std::string_view());
    out.priority = record.priority.value_or(0);
    return out;
}

service_info to_public(const codec::service_item& item) {
    return {.service = item.service,
            .responders = item.responders,
            .in_progress = item.in_progress,
            .waiting = item.waiting,
            .answered = item.answered,
            .failed = item.failed};
}

service_reply to_reply(std::string_view responder, const codec::record_view& record) {
    stored_message parts = to_stored({}, 0, {}, record);
    return {.responder = std::string(responder),
            .key = std::move(parts.key),
            .headers = std::move(parts.headers),
            .payload = std::move(parts.payload)};
}

result<read_page> to_page(std::string_view topic, const codec::messages& reply) {
    read_page out;
    out.first_offset = reply.first_offset;
    out.next_offset = reply.next_offset;
    out.position = reply.position;
    for (const codec::message_run& run : reply.runs) {
        byte_view left = run.records.view;
        for (std::uint32_t i = 0; i < run.count; ++i) {
            const outcome<codec::record_view> record = codec::check_record(left);
            if (!record) {
                return std::unexpected(
                    make_error(client_errc::protocol_error,
                               fmt::format("message {}@{} arrived damaged: {}", topic,
                                           run.first_offset + i, record.error().text)));
            }
            out.messages.push_back(
                to_stored(topic, run.first_offset + i, run.append_time, *record));
            left = left.subspan(record->bytes.size());
        }
    }
    return out;
}

result<shown_message> to_shown(std::string_view topic, offset_t offset, const codec::shown& reply) {
    shown_message out;
    out.readable = reply.readable;
    out.queues = to_public_list(reply.queues);
    if (!reply.record.view.empty()) {
        const outcome<codec::record_view> record = codec::check_record(reply.record.view);
        if (!record) {
            return std::unexpected(make_error(
                client_errc::protocol_error, fmt::format("message {}@{} arrived damaged: {}", topic,
                                                         offset, record.error().text)));
        }
        out.message = to_stored(topic, offset, reply.append_time, *record);
    }
    return out;
}

}  // namespace brokerd::client_core
