// Mutations to bytes and back.
#include "broker/domain/mutation.hpp"

#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "protocol/codec/record_batch.hpp"
#include "protocol/codec/wire.hpp"

namespace brokerd::domain {
namespace {

constexpr std::uint8_t batch_version = 1;
constexpr std::size_t envelope_bytes = 5;  // kind and length

// ---- varints ----

void put_varint(byte_buffer& out, std::uint64_t value) {
    while (value >= 0x80) {
        out.push_back(static_cast<std::byte>(value | 0x80));
        value >>= 7;
    }
    out.push_back(static_cast<std::byte>(value));
}

bool get_varint(codec::wire_reader& reader, std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        std::uint8_t byte = 0;
        if (!reader.number(byte)) {
            return false;
        }
        if (shift == 63 && byte > 1) {
            return reader.fail("a varint goes beyond 64 bits");
        }
        value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return reader.fail("a varint goes beyond 64 bits");
}

std::uint64_t zigzag(std::int64_t value) {
    return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
std::int64_t unzigzag(std::uint64_t value) {
    return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

template <typename Number>
void put_number(byte_buffer& out, Number value) {
    const std::size_t at = out.size();
    out.resize(at + sizeof value);
    store_le(out.data() + at, value);
}

bool get_ids(codec::wire_reader& reader, topic_id& topic, queue_id& queue) {
    std::uint64_t topic_number = 0;
    std::uint64_t queue_number = 0;
    if (!reader.number(topic_number) || !reader.number(queue_number)) {
        return false;
    }
    topic = topic_id{topic_number};
    queue = queue_id{queue_number};
    return true;
}

// ---- runs ----

void put_runs(byte_buffer& out, const std::vector<state_run>& runs) {
    put_varint(out, runs.size());
    offset_t end = 0;
    for (const state_run& run : runs) {
        out.push_back(static_cast<std::byte>(run.state));
        put_varint(out, zigzag(static_cast<std::int64_t>(run.first - end)));
        put_varint(out, run.count);
        end = run.first + run.count;
    }
}

bool get_runs(codec::wire_reader& reader, std::vector<state_run>& runs) {
    constexpr std::size_t run_bytes_min = 3;
    std::uint64_t count = 0;
    if (!get_varint(reader, count)) {
        return false;
    }
    if (count > reader.left() / run_bytes_min) {
        return reader.fail("more runs than bytes");
    }
    runs.reserve(count);
    offset_t end = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        state_run run;
        std::uint64_t distance = 0;
        if (!codec::wire<message_state>::get(reader, run.state) || !get_varint(reader, distance) ||
            !get_varint(reader, run.count)) {
            return false;
        }
        run.first = end + static_cast<std::uint64_t>(unzigzag(distance));
        end = run.first + run.count;
        if (end <= run.first) {
            return reader.fail("a run that is empty or goes beyond the largest offset");
        }
        runs.push_back(run);
    }
    return true;
}

// ---- bodies; described mutations field by field ----

template <codec::described T>
void put_body(byte_buffer& out, const T& m) {
    codec::append_struct(out, m);
}
template <codec::described T>
bool get_body(codec::wire_reader& reader, T& m) {
    return codec::read_struct(reader, m);
}

void put_body(byte_buffer& out, const appended& m) {
    const byte_view bytes = m.data->bytes();
    out.insert(out.end(), bytes.begin(), bytes.end());
}

void put_body(byte_buffer& out, const queue_delta& m) {
    put_number(out, m.topic.value());
    put_number(out, m.queue.value());
    put_varint(out, m.number);
    put_varint(out, m.floor);
    put_varint(out, m.done_total);
    put_runs(out, m.runs);
}
bool get_body(codec::wire_reader& reader, queue_delta& m) {
    return get_ids(reader, m.topic, m.queue) && get_varint(reader, m.number) &&
           get_varint(reader, m.floor) && get_varint(reader, m.done_total) &&
           get_runs(reader, m.runs);
}

void put_body(byte_buffer& out, const queue_snapshot& m) {
    put_number(out, m.topic.value());
    put_number(out, m.queue.value());
    put_varint(out, m.number);
    put_varint(out, m.replaces);
    put_varint(out, m.floor);
    put_varint(out, m.done_total);
    put_runs(out, m.runs);
}
bool get_body(codec::wire_reader& reader, queue_snapshot& m) {
    return get_ids(reader, m.topic, m.queue) && get_varint(reader, m.number) &&
           get_varint(reader, m.replaces) && get_varint(reader, m.floor) &&
           get_varint(reader, m.done_total) && get_runs(reader, m.runs);
}

void put_body(byte_buffer& out, const kept_put& m) {
    put_number(out, m.topic.value());
    put_number(out, m.queue.value());
    put_number(out, m.offset);
    put_number(out, to_us(m.append_time));
    const byte_view record = as_bytes(m.record);
    out.insert(out.end(), record.begin(), record.end());
}
bool get_body(codec::wire_reader& reader, kept_put& m) {
    if (!get_ids(reader, m.topic, m.queue) || !reader.number(m.offset) ||
        !codec::wire<wall_time>::get(reader, m.append_time)) {
        return false;
    }
    m.record = as_text(reader.rest());
    return true;
}

void put_body(byte_buffer& out, const producer_put& m) {
    put_number(out, m.topic.value());
    put_number(out, m.queue.value());
    put_number(out, m.producer.value());
    put_number(out, m.slot);
    put_number(out, to_us(m.last_used));
    put_varint(out, m.runs.size());
    for (const producer_run& run : m.runs) {
        put_varint(out, run.first_sequence);
        put_varint(out, run.count);
        put_varint(out, run.value);
    }
}
bool get_body(codec::wire_reader& reader, producer_put& m) {
    constexpr std::size_t run_bytes_min = 3;
    std::uint64_t producer = 0;
    std::uint64_t count = 0;
    if (!get_ids(reader, m.topic, m.queue) || !reader.number(producer) || !reader.number(m.slot) ||
        !codec::wire<wall_time>::get(reader, m.last_used) || !get_varint(reader, count)) {
        return false;
    }
    m.producer = producer_id{producer};
    if (count > reader.left() / run_bytes_min) {
        return reader.fail("more runs than bytes");
    }
    m.runs.resize(count);
    for (producer_run& run : m.runs) {
        if (!get_varint(reader, run.first_sequence) || !get_varint(reader, run.count) ||
            !get_varint(reader, run.value)) {
            return false;
        }
        if (run.first_sequence + run.count <= run.first_sequence) {
            return reader.fail("a run that is empty or goes beyond the largest sequence");
        }
    }
    return true;
}

void put_body(byte_buffer& out, const schedule_put& m) {
    put_number(out, m.topic.value());
    put_number(out, m.id);
    put_number(out, to_us(m.due));
    out.insert(out.end(), m.batch.view.begin(), m.batch.view.end());
}
bool get_body(codec::wire_reader& reader, schedule_put& m) {
    std::uint64_t topic = 0;
    if (!reader.number(topic) || !reader.number(m.id) ||
        !codec::wire<wall_time>::get(reader, m.due)) {
        return false;
    }
    m.topic = topic_id{topic};
    m.batch = copy_bytes(reader.rest());
    if (!codec::load_batch_header(m.batch.view)) {
        return reader.fail("not a record batch");
    }
    return true;
}

outcome<mutation> get_appended(byte_view body) {
    auto data = chunk::load(byte_buffer(body.begin(), body.end()), false);
    if (!data) {
        return std::unexpected(data.error());
    }
    return appended{std::move(*data)};
}

template <typename T>
outcome<mutation> get_mutation(byte_view body) {
    if constexpr (std::same_as<T, appended>) {
        return get_appended(body);
    } else {
        codec::wire_reader reader(body);
        T value;
        if (!get_body(reader, value)) {
            return refuse(error_code::malformed,
                          fmt::format("mutation {}: {} {}", static_cast<unsigned>(T::kind),
                                      reader.path(), reader.problem()));
        }
        if (!reader.empty()) {
            return refuse(error_code::malformed,
                          fmt::format("mutation {} has {} bytes behind its last field",
                                      static_cast<unsigned>(T::kind), reader.left()));
        }
        return value;
    }
}

// The alternative of `mutation` whose kind is asked for; nothing if there is none.
template <std::size_t Index = 0>
std::optional<outcome<mutation>> get_kind(mutation_kind kind, byte_view body) {
    if constexpr (Index < std::variant_size_v<mutation>) {
        using T = std::variant_alternative_t<Index, mutation>;
        return T::kind == kind ? get_mutation<T>(body) : get_kind<Index + 1>(kind, body);
    } else {
        return std::nullopt;
    }
}

// ---- sizes ----

struct payload_size {
    static constexpr std::size_t ids_bytes = 16;
    static constexpr std::size_t run_bytes = 10;
    static constexpr std::size_t other_bytes = 128;

    std::size_t operator()(const appended& m) const { return m.data->bytes().size(); }
    std::size_t operator()(const queue_delta& m) const {
        return ids_bytes + m.runs.size() * run_bytes;
    }
    std::size_t operator()(const queue_snapshot& m) const {
        return ids_bytes + m.runs.size() * run_bytes;
    }
    std::size_t operator()(const kept_put& m) const { return ids_bytes + m.record.size(); }
    std::size_t operator()(const schedule_put& m) const { return ids_bytes + m.batch.view.size(); }
    std::size_t operator()(const producer_put& m) const {
        return ids_bytes + m.runs.size() * run_bytes;
    }
    std::size_t operator()(const done_marks& m) const {
        return ids_bytes + m.marks.size() * sizeof(done_mark);
    }
    std::size_t operator()(const log_marked& m) const {
        return ids_bytes + m.marks.size() * sizeof(log_mark);
    }
    std::size_t operator()(const messages_dropped& m) const {
        return other_bytes + m.queues.size() * sizeof(queue_drops);
    }
    std::size_t operator()(const exception_put& m) const {
        std::size_t bytes = other_bytes;
        for (const attempt& each : m.value.history) {
            bytes += sizeof each.time + each.consumer.size() + each.reason.size();
        }
        return bytes;
    }
    std::size_t operator()(const queue_created& m) const {
        return other_bytes + m.settings.filter.size();
    }
    std::size_t operator()(const queue_changed& m) const {
        return other_bytes + m.settings.filter.size();
    }
    std::size_t operator()(const pattern_put& m) const {
        return other_bytes + m.settings.filter.size();
    }
    std::size_t operator()(const auto&) const { return other_bytes; }
};

}  // namespace

mutation_kind kind_of(const mutation& m) {
    return std::visit([](const auto& value) { return std::remove_cvref_t<decltype(value)>::kind; },
                      m);
}

void encode_body(byte_buffer& out, const mutation& m) {
    std::visit([&](const auto& value) { put_body(out, value); }, m);
}

outcome<mutation> decode_body(mutation_kind kind, byte_view body) {
    if (auto value = get_kind(kind, body)) {
        return std::move(*value);
    }
    return refuse(error_code::malformed,
                  fmt::format("unknown mutation kind {}", static_cast<unsigned>(kind)));
}

void encode_batch(byte_buffer& out, const std::vector<mutation>& batch) {
    out.push_back(std::byte{batch_version});
    for (const mutation& m : batch) {
        out.push_back(static_cast<std::byte>(kind_of(m)));
        const std::size_t length_at = out.size();
        put_number(out, std::uint32_t{0});
        encode_body(out, m);
        store_le(out.data() + length_at,
                 static_cast<std::uint32_t>(out.size() - length_at - sizeof(std::uint32_t)));
    }
}

outcome<std::vector<mutation>> decode_batch(byte_view bytes) {
    codec::wire_reader reader(bytes);
    std::uint8_t version = 0;
    if (!reader.number(version) || version != batch_version) {
        return refuse(error_code::malformed,
                      fmt::format("a batch of mutations has unknown version {}", version));
    }
    std::vector<mutation> batch;
    while (!reader.empty()) {
        std::uint8_t kind = 0;
        std::uint32_t length = 0;
        byte_view body;
        if (!reader.number(kind) || !reader.number(length) || !reader.bytes(length, body)) {
            return refuse(error_code::malformed, "a batch of mutations is truncated");
        }
        auto value = decode_body(static_cast<mutation_kind>(kind), body);
        if (!value) {
            return std::unexpected(value.error());
        }
        batch.push_back(std::move(*value));
    }
    return batch;
}

std::size_t payload_bytes(const mutation& m) {
    return envelope_bytes + std::visit(payload_size{}, m);
}

}  // namespace brokerd::domain
