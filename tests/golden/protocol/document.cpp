// Generates the tables of PROTOCOL.md from the descriptions.
#include "tests/golden/protocol/document.hpp"

#include <chrono>
#include <cstdint>
#include <type_traits>
#include <vector>

#include <fmt/format.h>

#include "protocol/codec/encode.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/codec/registry.hpp"
#include "protocol/codec/wire.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/time.hpp"
#include "tests/golden/protocol/hex.hpp"

namespace brokerd::codec::document {
namespace {

template <typename T>
struct type_name {
    static std::string get() {
        if constexpr (std::is_same_v<T, bool>) {
            return "bool";
        } else if constexpr (std::is_enum_v<T>) {
            return fmt::format("u{}", 8 * sizeof(T));
        } else if constexpr (described<T>) {
            return fmt::format("struct {}", message_name<T>);
        } else {
            return fmt::format("{}{}", std::is_signed_v<T> ? "i" : "u", 8 * sizeof(T));
        }
    }
};
template <typename Tag, typename Rep>
struct type_name<strong_id<Tag, Rep>> : type_name<Rep> {};
template <typename Item>
struct type_name<std::vector<Item>> {
    static std::string get() {
        if constexpr (described<Item>) {
            return fmt::format("list of {}", message_name<Item>);
        } else {
            return "list of " + type_name<Item>::get();
        }
    }
};
#define BROKERD_TYPE_NAME(type, text) \
    template <>                       \
    struct type_name<type> {          \
        static std::string get() {    \
            return text;              \
        }                             \
    };
BROKERD_TYPE_NAME(std::string, "string")
BROKERD_TYPE_NAME(double, "f64")
BROKERD_TYPE_NAME(duration_us, "duration")
BROKERD_TYPE_NAME(wall_time, "time")
BROKERD_TYPE_NAME(bytes_field, "bytes")
BROKERD_TYPE_NAME(rest_bytes, "rest")
BROKERD_TYPE_NAME(lease_id, "lease id")
BROKERD_TYPE_NAME(lease_run, "lease run")
#undef BROKERD_TYPE_NAME

template <typename T>
void append_fields(std::string& out) {
    constexpr auto fields = T::fields();
    if constexpr (std::tuple_size_v<std::remove_cvref_t<decltype(fields)>> == 0) {
        out += "No fields.\n\n";
    } else {
        out += "| field | type | meaning |\n|---|---|---|\n";
        const auto row = [&](const auto& each) {
            using member = std::remove_cvref_t<decltype(std::declval<T>().*each.member)>;
            fmt::format_to(std::back_inserter(out), "| {} | {} | {} |\n", each.name,
                           type_name<member>::get(), each.doc);
        };
        std::apply([&](const auto&... each) { (row(each), ...); }, fields);
        out += '\n';
    }
}

// The messages whose frame type is in a range, in order of the registry.
struct append_messages {
    std::string& out;
    int first;
    int last;

    template <typename Message>
    void operator()() const {
        const int number = static_cast<int>(Message::type);
        if (number < first || number > last) {
            return;
        }
        fmt::format_to(std::back_inserter(out), "#### {} ({})\n\n{}\n\n", message_name<Message>,
                       number, Message::doc);
        if constexpr (described<Message>) {
            append_fields<Message>(out);
        }
    }
};

struct append_part {
    std::string& out;

    template <typename Part>
    void operator()() const {
        fmt::format_to(std::back_inserter(out), "#### {}\n\n", message_name<Part>);
        append_fields<Part>(out);
    }
};

std::string messages_between(int first, int last) {
    std::string out;
    all_messages::for_each(append_messages{out, first, last});
    return out;
}

std::string parts() {
    std::string out;
    all_parts::for_each(append_part{out});
    return out;
}

std::string errors() {
    std::string out =
        "| number | name | text | a retry can help | closes the connection |\n"
        "|---|---|---|---|---|\n";
    for (const error_info& row : error_table()) {
        fmt::format_to(std::back_inserter(out), "| {} | {} | {} | {} | {} |\n",
                       static_cast<int>(row.code), row.name, row.text, row.retryable ? "yes" : "no",
                       row.closes_connection ? "yes" : "no");
    }
    return out;
}

std::string size_text(std::uint64_t bytes) {
    if (bytes >= limits::mib && bytes % limits::mib == 0) {
        return fmt::format("{} MiB", bytes / limits::mib);
    }
    if (bytes >= limits::kib && bytes % limits::kib == 0) {
        return fmt::format("{} KiB", bytes / limits::kib);
    }
    return fmt::format("{} bytes", bytes);
}

std::string time_text(std::chrono::milliseconds time) {
    using namespace std::chrono_literals;
    if (time > 24h && time % 24h == 0ms) {
        return fmt::format("{} days", time / 24h);
    }
    if (time >= 1h && time % 1h == 0ms) {
        return fmt::format("{} h", time / 1h);
    }
    if (time >= 1min && time % 1min == 0ms) {
        return fmt::format("{} min", time / 1min);
    }
    return time % 1s == 0ms ? fmt::format("{} s", time / 1s) : fmt::format("{} ms", time.count());
}

// Of services: each is as large as it may be.
void service_rows(std::string& out) {
    using namespace limits;
    const auto fixed = [&](std::string_view what, const std::string& value) {
        fmt::format_to(std::back_inserter(out), "| {} | {} | {} |\n", what, value, value);
    };
    fixed("time for the reply to a request of a service",
          fmt::format("{} to {}", time_text(request_timeout_min), time_text(request_timeout_max)));
    fixed("responders of a connection", fmt::format("{}", responders_per_connection_max));
    fixed("requests in progress with all responders of a connection",
          fmt::format("{}", service_prefetch_per_connection_max));
    fixed("requests in progress with a responder",
          fmt::format("{} and {}, but one", service_prefetch_max, size_text(responder_bytes_max)));
    fixed("requests of a connection without a reply",
          fmt::format("{}", requests_per_connection_max));
    fixed("requests that wait for the responders of a service",
          fmt::format("{} and {}", service_waiting_max, size_text(service_waiting_bytes_max)));
    fixed("requests that wait for the responders of all services",
          size_text(services_waiting_bytes_max));
    fixed("requests that wait for a responder to read them", size_text(pushes_waiting_bytes_max));
    fixed("replies that wait for a requester to read them",
          fmt::format("{}, but one", size_text(replies_waiting_bytes_max)));
}

std::string limit_table() {
    using namespace limits;
    std::string out = "| what | default | hard maximum |\n|---|---|---|\n";
    const auto row = [&](std::string_view what, const std::string& standard,
                         const std::string& most) {
        fmt::format_to(std::back_inserter(out), "| {} | {} | {} |\n", what, standard, most);
    };
    const auto count = [](std::uint64_t number) { return fmt::format("{}", number); };
    const auto fixed = [&](std::string_view what, const std::string& value) {
        row(what, value, value);
    };
    fixed("name of a topic or queue, bytes", count(topic_name_bytes_max));
    fixed("words in a name", count(topic_name_words_max));
    fixed("client name", size_text(client_name_bytes_max));
    fixed("reason of a nack or reject", size_text(reason_bytes_max));
    row("record (one message with all its parts); per topic", size_text(message_bytes_default),
        size_text(message_bytes_max));
    fixed("key", size_text(key_bytes_max));
    fixed("headers of a message", count(headers_max));
    fixed("names and values of all headers of a message", size_text(headers_bytes_max));
    fixed("body of hello", size_text(hello_bytes_max));
    row("body of any other frame", size_text(frame_bytes_default), size_text(frame_bytes_max));
    row("records in a batch", count(batch_records_default), count(batch_records_max));
    fixed("publishes in a transaction; settles in one", count(transaction_parts_max));
    fixed("lease runs in a settle, in a transaction or in held", count(settle_runs_max));
    fixed("leases that these name together", count(settle_leases_max));
    fixed("items in the answer to a listing", count(list_items_max));
    row("handshake", time_text(handshake_default), time_text(handshake_max));
    fixed("a frame, from its first byte to its last",
          fmt::format("{} and its size at {}/s", time_text(frame_base_deadline),
                      size_text(frame_bytes_per_second_min)));
    row("heartbeat: send something at least this often", time_text(heartbeat_default),
        time_text(heartbeat_max));
    row("silence, or nothing taken of what waits, after which the connection is closed",
        time_text(dead_after_default), "");
    fixed("bytes waiting for a peer that does not read", size_text(outbox_bytes_max));
    row("publish credit, messages", count(publish_credit_messages_default),
        count(publish_credit_messages_max));
    row("publish credit, bytes", size_text(publish_credit_bytes_default),
        size_text(publish_credit_bytes_max));
    row("prefetch, messages", count(prefetch_messages_default), count(prefetch_messages_max));
    row("prefetch, bytes", size_text(prefetch_bytes_default), size_text(prefetch_bytes_max));
    row("consumers of a connection", count(consumers_per_connection_default),
        count(consumers_per_connection_max));
    row("queues of a topic", count(queues_per_topic_default), count(queues_per_topic_max));
    fixed("levels of priority of a topic; so messages have 0 to 9", count(priorities_max));
    fixed("pattern queues; and never more than a topic may have queues", count(pattern_queues_max));
    fixed("queues that one request about a pattern queue makes, changes or removes",
          count(pattern_topics_max));
    fixed("queues that a consumer of a pattern queue is attached to", count(pattern_topics_max));
    fixed("queues that all such consumers of a connection are attached to",
          count(pattern_members_per_connection_max));
    fixed("retrying and dead messages that a clone of a queue copies", count(clone_exceptions_max));
    fixed("of these, bytes of those that the topic does not hold any more",
          size_text(clone_bytes_max));
    row("connections", count(connections_default), "what the system allows");
    row("connections from one address", count(connections_per_ip_default), "");
    row("lease", fmt::format("{} (at least {})", time_text(lease_default), time_text(lease_min)),
        time_text(lease_max));
    row("attempts before a message is dead", count(attempts_default), count(attempts_max));
    fixed("attempts kept in a message's history", count(attempts_history_max));
    fixed("delay of a nack", time_text(nack_delay_max));
    fixed("how far ahead of time a message may be scheduled", time_text(schedule_ahead_max));
    fixed("time to live of a topic; that of a message beyond it counts as never",
          time_text(ttl_max));
    fixed("schedules that one request cancels", count(schedules_cancel_max));
    fixed("batches remembered per producer and topic, in sequences", count(producer_window));
    fixed("sequences of transactions remembered per producer", count(producer_window));
    fixed(
        "producers remembered, each topic and each queue they use counted, and their transactions",
        count(producers_max));
    fixed("message id", size_text(message_id_bytes_max));
    fixed("messages behind one whose id is remembered", count(message_id_distance_max));
    fixed("a plain ack is on disk at latest after", time_text(plain_ack_sync_max));
    row("what a topic of durability os has acknowledged is on disk at latest after",
        time_text(std::chrono::duration_cast<std::chrono::milliseconds>(os_sync_default)),
        time_text(os_sync_max));
    fixed("an answer to read", fmt::format("{} messages and {}, but one message", batch_records_max,
                                           size_text(read_bytes_max)));
    fixed("wait of a read", time_text(read_wait_max));
    fixed("reads of a connection that wait", count(waiting_reads_max));
    service_rows(out);
    return out;
}

std::string setting_table() {
    using namespace limits;
    std::string out = "| setting | default | least | most |\n|---|---|---|---|\n";
    const auto row = [&](std::string_view what, const std::string& standard,
                         const std::string& least, const std::string& most) {
        fmt::format_to(std::back_inserter(out), "| `{}` | {} | {} | {} |\n", what, standard, least,
                       most);
    };
    const auto time = [](duration_us value) {
        return time_text(std::chrono::duration_cast<std::chrono::milliseconds>(value));
    };
    const topic_settings of_topic;
    const queue_settings of_queue;
    row("keep_done", time(of_topic.keep_done), "0", time_text(keep_done_max));
    row("max_message_bytes", size_text(of_topic.max_message_bytes), "1 byte",
        size_text(message_bytes_max));
    row("ttl", "0: for ever", "0", time_text(ttl_max));
    row("durability", "1 disk", "1 disk", "3 os");
    row("message_id_window", time(of_topic.message_id_window), "0: ids are not looked at",
        time_text(message_id_window_max));
    row("keep_done_bytes", "0: no bound", "0", "");
    row("max_bytes", "0: no bound", size_text(topic_bytes_min), "");
    row("max_messages", "0: no bound", "1", "");
    row("when_full", "1 refuse", "1 refuse", "2 drop-oldest");
    row("max_age", "0: never", time_text(max_age_min), time_text(max_age_max));
    row("lease", time(of_queue.lease), time_text(lease_min), time_text(lease_max));
    row("attempts", fmt::format("{}", of_queue.attempts), "1", fmt::format("{}", attempts_max));
    row("backoff", time(of_queue.backoff), "0", time_text(nack_delay_max));
    row("backoff_max", time(of_queue.backoff_max), "`backoff`", time_text(nack_delay_max));
    row("max_retrying", fmt::format("{}", of_queue.max_retrying), "1",
        fmt::format("{}", retrying_max));
    row("max_runs", fmt::format("{}", of_queue.max_runs), "1", fmt::format("{}", runs_max));
    row("expires", "0: never", time_text(expires_min), time_text(expires_max));
    row("jitter_percent", fmt::format("{}", of_queue.jitter_percent), "0", "100");
    return out;
}

template <typename Message>
std::string example(std::string_view what, std::uint32_t request_id, const Message& message) {
    byte_buffer frame;
    encode_frame(frame, request_id, message);
    const byte_view bytes(frame);
    return fmt::format("{}\n\n```\n{}{}```\n\n", what,
                       golden::to_hex(bytes.first(frame_header_bytes)),
                       golden::to_hex(bytes.subspan(frame_header_bytes)));
}

std::string examples() {
    batch_builder builder;
    builder.add({.key = "42", .headers = {{"a", "b"}}, .payload = as_bytes("hello")});
    const byte_buffer batch = builder.take(producer_id(7), 1);
    std::string out;
    out += example("`hello` of a client named `me`, request id 1 (header, then body):", 1,
                   hello{.client_name = "me"});
    out += example(
        "`publish` to `t`, request id 2: one record with key `42`, header `a: b` and "
        "payload `hello`, producer 7, first sequence 1:",
        2, publish{.topic = "t", .batch = {batch}});
    out += example(
        "its answer: stored at offset 0 on disk, one message and all its bytes of "
        "credit back:",
        0,
        published{.credit_messages = 1,
                  .credit_bytes = batch.size(),
                  .items = {{.request = 2, .base_offset = 0}}});
    out += example(
        "`settle` without confirmation, request id 3: ack of offsets 0 to 4 of queue 5, "
        "leases 1 to 5 of epoch 1:",
        3, settle{.queue = queue_id(5), .runs = {{0, 5, broker_epoch(1), 1}}});
    builder.add({.key = {}, .headers = {}, .payload = as_bytes("hello")});
    const byte_buffer without_producer = builder.take({}, 0);
    out += example(
        "`transact`, request id 4: of producer 7, first sequence 1, a publish of `hello` to `t` "
        "and the ack of offset 0 of queue 5, lease 1 of epoch 1:",
        4,
        transact{.producer = producer_id(7),
                 .first_sequence = 1,
                 .publishes = {{.topic = "t", .batch = {without_producer}}},
                 .settles = {{.queue = queue_id(5), .runs = {{0, 1, broker_epoch(1), 1}}}}});
    out += example("its answer: the message has offset 1:", 4,
                   transacted{.publishes = {{.base_offset = 1}}});
    return out;
}

}  // namespace

std::map<std::string, std::string> blocks() {
    return {{"connection messages", messages_between(1, 9)},
            {"publish messages", messages_between(16, 19)},
            {"consume messages", messages_between(24, 31)},
            {"topic messages", messages_between(40, 45)},
            {"queue messages", messages_between(48, 59)},
            {"clone messages", messages_between(107, 107)},
            {"pattern messages", messages_between(108, 114)},
            {"level messages", messages_between(115, 116)},
            {"transaction messages", messages_between(60, 61)},
            {"reading messages", messages_between(64, 67)},
            {"dead messages", messages_between(72, 75)},
            {"inspection messages", messages_between(80, 91)},
            {"schedule messages", messages_between(96, 98)},
            {"service messages", messages_between(99, 106)},
            {"structs", parts()},
            {"errors", errors()},
            {"limits", limit_table()},
            {"settings", setting_table()},
            {"examples", examples()}};
}

std::string replace_blocks(std::string text, const std::map<std::string, std::string>& blocks,
                           std::string& missing) {
    for (const auto& [name, content] : blocks) {
        const std::string begin = fmt::format("<!-- generated: {} -->\n", name);
        const std::string end = fmt::format("<!-- end of {} -->", name);
        const std::size_t from = text.find(begin);
        const std::size_t until = text.find(end, from == std::string::npos ? 0 : from);
        if (from == std::string::npos || until == std::string::npos) {
            missing += name + "; ";
            continue;
        }
        text.replace(from + begin.size(), until - from - begin.size(), "\n" + content + "\n");
    }
    return text;
}

}  // namespace brokerd::codec::document
