// Bodies that carry runs of records.
#include "protocol/codec/delivery.hpp"

#include "protocol/codec/frame.hpp"
#include "protocol/codec/record.hpp"
#include "protocol/codec/wire.hpp"

namespace brokerd::codec {
namespace {

constexpr std::size_t deliver_head_bytes = sizeof(std::uint32_t);
constexpr std::size_t messages_head_bytes = 4 * sizeof(std::uint64_t);
constexpr std::size_t position_at = 3 * sizeof(std::uint64_t);

// Grows `out` and gives the place of the new bytes.
std::byte* grow(byte_buffer& out, std::size_t bytes) {
    out.resize(out.size() + bytes);
    return out.data() + out.size() - bytes;
}

std::byte* put_run_head(std::byte* to, const lease_run& leases, wall_time append_time,
                        std::uint32_t attempt, std::size_t records_bytes) {
    to = wire<lease_run>::put(to, leases);
    to = wire<wall_time>::put(to, append_time);
    to = wire<std::uint32_t>::put(to, attempt);
    return wire<std::uint32_t>::put(to, static_cast<std::uint32_t>(records_bytes));
}

std::byte* put_run_head(std::byte* to, offset_t first_offset, std::uint32_t count,
                        wall_time append_time, std::size_t records_bytes) {
    to = wire<offset_t>::put(to, first_offset);
    to = wire<std::uint32_t>::put(to, count);
    to = wire<wall_time>::put(to, append_time);
    return wire<std::uint32_t>::put(to, static_cast<std::uint32_t>(records_bytes));
}

void finish_frame(byte_buffer& out, std::size_t start, frame_type type, std::uint32_t request_id) {
    store_frame_header(out.data() + start, static_cast<std::uint8_t>(type), request_id,
                       static_cast<std::uint32_t>(out.size() - start - frame_header_bytes));
}

bool take_records(wire_reader& reader, std::uint32_t bytes, std::uint32_t count,
                  bytes_field& records) {
    if (!reader.bytes(bytes, records.view)) {
        return false;
    }
    if (count > records.view.size() / record_bytes_min) {
        return reader.fail("its records are shorter than its count allows");
    }
    return true;
}

// Queue and history stand between the length of the records and the records.
bool get_run(wire_reader& reader, delivery_run& run) {
    std::uint32_t records_bytes = 0;
    if (!wire<lease_run>::get(reader, run.leases) ||
        !wire<wall_time>::get(reader, run.append_time) || !reader.number(run.attempt) ||
        !reader.number(records_bytes)) {
        return false;
    }
    const std::uint32_t marks = run.attempt & (has_history | has_queue);
    run.attempt &= ~marks;
    if ((marks & has_queue) != 0) {
        if (!wire<queue_id>::get(reader, run.queue)) {
            reader.in_field("queue");
            return false;
        }
        if (run.queue == queue_id{}) {
            return reader.fail("queue 0");
        }
    }
    if ((marks & has_history) != 0) {
        if (!wire<std::vector<attempt>>::get(reader, run.history)) {
            reader.in_field("history");
            return false;
        }
        if (run.history.empty()) {
            return reader.fail("an empty history");
        }
    }
    return take_records(reader, records_bytes, run.leases.count, run.records);
}

bool get_run(wire_reader& reader, message_run& run) {
    if (!reader.number(run.first_offset) || !reader.number(run.count) ||
        !wire<wall_time>::get(reader, run.append_time)) {
        return false;
    }
    if (run.count == 0 || run.first_offset + run.count < run.first_offset) {
        return reader.fail("its count is 0 or goes beyond the largest offset");
    }
    std::uint32_t records_bytes = 0;
    return reader.number(records_bytes) &&
           take_records(reader, records_bytes, run.count, run.records);
}

template <typename Run>
bool get_runs(wire_reader& reader, std::vector<Run>& runs) {
    while (!reader.empty()) {
        if (!get_run(reader, runs.emplace_back())) {
            reader.in_field("runs");
            return false;
        }
    }
    return true;
}

bool get_head(wire_reader& reader, deliver& message) {
    if (!wire<consumer_id>::get(reader, message.consumer)) {
        reader.in_field("consumer");
        return false;
    }
    return true;
}

bool get_head(wire_reader& reader, messages& message) {
    if (!wire<topic_id>::get(reader, message.incarnation)) {
        reader.in_field("incarnation");
        return false;
    }
    if (!reader.number(message.first_offset) || !reader.number(message.next_offset) ||
        !reader.number(message.position)) {
        reader.in_field("position");
        return false;
    }
    return true;
}

std::byte* put_head(std::byte* to, const deliver& message) {
    return wire<consumer_id>::put(to, message.consumer);
}

std::byte* put_head(std::byte* to, const messages& message) {
    to = wire<topic_id>::put(to, message.incarnation);
    to = wire<offset_t>::put(to, message.first_offset);
    to = wire<offset_t>::put(to, message.next_offset);
    return wire<offset_t>::put(to, message.position);
}

std::byte* put_history(std::byte* to, const std::vector<attempt>& history) {
    return history.empty() ? to : wire<std::vector<attempt>>::put(to, history);
}

constexpr std::size_t queue_bytes(queue_id queue) {
    return queue == queue_id{} ? 0 : wire<queue_id>::bytes_min;
}

std::byte* put_queue(std::byte* to, queue_id queue) {
    return queue == queue_id{} ? to : wire<queue_id>::put(to, queue);
}

// The attempt's number as it lies in a run.
std::uint32_t marked(std::uint32_t attempt, queue_id queue,
                     const std::vector<brokerd::attempt>& history) {
    return attempt | (queue == queue_id{} ? 0 : has_queue) | (history.empty() ? 0 : has_history);
}

std::byte* put_run(std::byte* to, const delivery_run& run) {
    to = put_run_head(to, run.leases, run.append_time, marked(run.attempt, run.queue, run.history),
                      run.records.view.size());
    to = put_queue(to, run.queue);
    to = put_history(to, run.history);
    return detail::put_raw(to, run.records.view.data(), run.records.view.size());
}

std::byte* put_run(std::byte* to, const message_run& run) {
    to = put_run_head(to, run.first_offset, run.count, run.append_time, run.records.view.size());
    return detail::put_raw(to, run.records.view.data(), run.records.view.size());
}

constexpr std::size_t head_bytes(const deliver&) {
    return deliver_head_bytes;
}
constexpr std::size_t head_bytes(const messages&) {
    return messages_head_bytes;
}
std::size_t run_bytes(const delivery_run& run) {
    return delivery_run_bytes + queue_bytes(run.queue) + history_bytes(run.history);
}
constexpr std::size_t run_bytes(const message_run&) {
    return message_run_bytes;
}

}  // namespace

std::size_t history_bytes(const std::vector<attempt>& history) {
    return history.empty() ? 0 : wire<std::vector<attempt>>::size(history);
}

deliver_writer::deliver_writer(byte_buffer& out, consumer_id consumer)
    : out_(out), start_(out.size()) {
    std::byte* const header = grow(out_, frame_header_bytes + deliver_head_bytes);
    wire<consumer_id>::put(header + frame_header_bytes, consumer);
}

void deliver_writer::append_run(const lease_run& leases, wall_time append_time,
                                std::uint32_t attempt, byte_view records) {
    append_run(leases, append_time, attempt, std::span(&records, 1));
}

void deliver_writer::append_run(const lease_run& leases, wall_time append_time,
                                std::uint32_t attempt, std::span<const byte_view> records) {
    std::size_t bytes = 0;
    for (const byte_view piece : records) {
        bytes += piece.size();
    }
    put_run_head(grow(out_, delivery_run_bytes), leases, append_time, attempt, bytes);
    for (const byte_view piece : records) {
        out_.insert(out_.end(), piece.begin(), piece.end());
    }
}

void deliver_writer::append_run(const lease_run& leases, wall_time append_time,
                                std::uint32_t attempt, queue_id queue,
                                const std::vector<brokerd::attempt>& history, byte_view records) {
    put_run_head(grow(out_, delivery_run_bytes), leases, append_time,
                 marked(attempt, queue, history), records.size());
    put_queue(grow(out_, queue_bytes(queue)), queue);
    put_history(grow(out_, history_bytes(history)), history);
    out_.insert(out_.end(), records.begin(), records.end());
}

std::size_t deliver_writer::body_bytes() const {
    return out_.size() - start_ - frame_header_bytes;
}

void deliver_writer::finish() {
    finish_frame(out_, start_, frame_type::deliver, 0);
}

messages_writer::messages_writer(byte_buffer& out, std::uint32_t request_id, topic_id incarnation,
                                 offset_t first_offset, offset_t next_offset)
    : out_(out), start_(out.size()), request_id_(request_id) {
    std::byte* const header = grow(out_, frame_header_bytes + messages_head_bytes);
    put_head(header + frame_header_bytes, messages{.incarnation = incarnation,
                                                   .first_offset = first_offset,
                                                   .next_offset = next_offset,
                                                   .runs = {}});
}

void messages_writer::append_run(offset_t first_offset, std::uint32_t count, wall_time append_time,
                                 byte_view records) {
    put_run_head(grow(out_, message_run_bytes), first_offset, count, append_time, records.size());
    out_.insert(out_.end(), records.begin(), records.end());
}

std::size_t messages_writer::body_bytes() const {
    return out_.size() - start_ - frame_header_bytes;
}

void messages_writer::finish(offset_t position) {
    store_le(out_.data() + start_ + frame_header_bytes + position_at, position);
    finish_frame(out_, start_, frame_type::messages, request_id_);
}

template <typename Message>
std::size_t runs_codec<Message>::size(const Message& message) {
    std::size_t bytes = head_bytes(message);
    for (const auto& run : message.runs) {
        bytes += run_bytes(run) + run.records.view.size();
    }
    return bytes;
}

template <typename Message>
std::byte* runs_codec<Message>::put(std::byte* to, const Message& message) {
    to = put_head(to, message);
    for (const auto& run : message.runs) {
        to = put_run(to, run);
    }
    return to;
}

template <typename Message>
bool runs_codec<Message>::get(wire_reader& reader, Message& message) {
    return get_head(reader, message) && get_runs(reader, message.runs);
}

template struct runs_codec<deliver>;
template struct runs_codec<messages>;

}  // namespace brokerd::codec
