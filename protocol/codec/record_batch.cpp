// Record batches: header, verification in a single pass, builder.
#include "protocol/codec/record_batch.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "protocol/codec/record_parse.hpp"
#include "protocol/types/crc32c.hpp"

namespace brokerd::codec {
namespace {

constexpr std::size_t version_at = 0;
constexpr std::size_t codec_at = 1;
constexpr std::size_t flags_at = 2;
constexpr std::size_t reserved_at = 3;
constexpr std::size_t count_at = 4;
constexpr std::size_t records_bytes_at = 8;
constexpr std::size_t batch_crc_at = 12;
constexpr std::size_t producer_at = 16;
constexpr std::size_t first_sequence_at = 24;
constexpr std::size_t earliest_ttl_at = 32;
constexpr std::size_t latest_ttl_at = 40;
static_assert(latest_ttl_at + sizeof(std::uint64_t) == batch_header_bytes);

std::uint32_t header_checksum(byte_view header) {
    constexpr std::array<std::byte, sizeof(std::uint32_t)> zero{};
    std::uint32_t crc = crc32c(0, header.first(batch_crc_at));
    crc = crc32c(crc, zero);
    return crc32c(crc, header.subspan(batch_crc_at + zero.size(),
                                      batch_header_bytes - batch_crc_at - zero.size()));
}

// What the header says about all records together, gathered from the records.
struct record_summary {
    std::uint8_t flags = 0;
    std::uint64_t earliest_ttl_ms = no_ttl;
    std::uint64_t latest_ttl_ms = 0;
    std::uint64_t largest = 0;

    void add(const record_view& record) {
        largest = std::max<std::uint64_t>(largest, record.bytes.size());
        flags |= record.flags;
        earliest_ttl_ms = std::min(earliest_ttl_ms, record.ttl_ms.value_or(no_ttl));
        latest_ttl_ms = std::max(latest_ttl_ms, record.ttl_ms.value_or(no_ttl));
    }

    [[nodiscard]] bool agrees(const batch_header& header) const {
        return header.flags == flags && header.earliest_ttl_ms == earliest_ttl_ms &&
               header.latest_ttl_ms == latest_ttl_ms;
    }
};

outcome<void> check_against_limits(const batch_header& header, byte_view bytes,
                                   std::uint32_t records_max) {
    if (bytes.size() - batch_header_bytes != header.records_bytes) {
        return refuse(error_code::bad_batch,
                      fmt::format("the batch declares {} bytes of records and has {}",
                                  header.records_bytes, bytes.size() - batch_header_bytes));
    }
    if (header.count == 0) {
        return refuse(error_code::empty_batch, "the batch holds no message");
    }
    if (header.count > records_max) {
        return refuse(error_code::too_many_records,
                      fmt::format("the batch holds {} messages; at most {} are allowed",
                                  header.count, records_max));
    }
    if (std::uint64_t{header.count} * record_bytes_min > header.records_bytes) {
        return refuse(error_code::bad_batch, "the batch is too short for its count of records");
    }
    const bool idempotent = header.producer.value() != 0;
    if (idempotent != (header.first_sequence != 0) ||
        header.first_sequence + header.count < header.first_sequence) {
        return refuse(
            error_code::bad_batch,
            "the sequences of the batch are not valid: from 1 with a producer, 0 without");
    }
    return {};
}

}  // namespace

void store_batch_header(std::byte* to, const batch_header& header) {
    store_le(to + version_at, header.version);
    store_le(to + codec_at, header.codec);
    store_le(to + flags_at, header.flags);
    store_le(to + reserved_at, std::uint8_t{0});
    store_le(to + count_at, header.count);
    store_le(to + records_bytes_at, header.records_bytes);
    store_le(to + producer_at, header.producer.value());
    store_le(to + first_sequence_at, header.first_sequence);
    store_le(to + earliest_ttl_at, header.earliest_ttl_ms);
    store_le(to + latest_ttl_at, header.latest_ttl_ms);
    store_le(to + batch_crc_at, header_checksum(byte_view(to, batch_header_bytes)));
}

outcome<batch_header> load_batch_header(byte_view bytes) {
    if (bytes.size() < batch_header_bytes) {
        return refuse(error_code::bad_batch, "the header of the batch is truncated");
    }
    const std::byte* from = bytes.data();
    if (load_le<std::uint32_t>(from + batch_crc_at) != header_checksum(bytes)) {
        return refuse(error_code::bad_checksum,
                      "the header of the batch does not match its checksum");
    }
    batch_header header;
    header.version = load_le<std::uint8_t>(from + version_at);
    header.codec = load_le<std::uint8_t>(from + codec_at);
    if (header.version != batch_version) {
        return refuse(error_code::bad_batch,
                      fmt::format("batch version {} is not known", header.version));
    }
    if (header.codec != 0) {
        return refuse(error_code::bad_batch,
                      fmt::format("batch codec {} is not known", header.codec));
    }
    if (load_le<std::uint8_t>(from + reserved_at) != 0) {
        return refuse(error_code::bad_batch, "the reserved byte of the batch is not 0");
    }
    header.flags = load_le<std::uint8_t>(from + flags_at);
    header.count = load_le<std::uint32_t>(from + count_at);
    header.records_bytes = load_le<std::uint32_t>(from + records_bytes_at);
    header.producer = producer_id(load_le<std::uint64_t>(from + producer_at));
    header.first_sequence = load_le<std::uint64_t>(from + first_sequence_at);
    header.earliest_ttl_ms = load_le<std::uint64_t>(from + earliest_ttl_at);
    header.latest_ttl_ms = load_le<std::uint64_t>(from + latest_ttl_at);
    return header;
}

batch_summary summarize_batch(byte_view batch) {
    return {.bytes = batch_header_bytes + load_le<std::uint32_t>(batch.data() + records_bytes_at),
            .earliest_ttl_ms = load_le<std::uint64_t>(batch.data() + earliest_ttl_at)};
}

outcome<checked_batch> check_batch(byte_view bytes, std::uint32_t records_max) {
    auto header = load_batch_header(bytes);
    if (!header) {
        return std::unexpected(std::move(header.error()));
    }
    if (auto fits = check_against_limits(*header, bytes, records_max); !fits) {
        return std::unexpected(std::move(fits.error()));
    }
    record_summary summary;
    byte_view left = bytes.subspan(batch_header_bytes);
    for (std::uint32_t i = 0; i < header->count; ++i) {
        record_view record;
        if (const auto fault = parse_record_at(left, true, record); fault != record_fault::none) {
            failure described = describe_fault(fault);
            described.text += fmt::format(" (record {} of {})", i, header->count);
            return std::unexpected(std::move(described));
        }
        summary.add(record);
        left = left.subspan(record.bytes.size());
    }
    if (!left.empty()) {
        return refuse(error_code::bad_batch, "there are bytes behind the last record");
    }
    if (!summary.agrees(*header)) {
        return refuse(error_code::bad_batch,
                      "the header of the batch does not agree with its records (flags, ttl)");
    }
    return checked_batch{bytes, *header, summary.largest};
}

void batch_builder::add(const record_fields& fields) {
    if (buffer_.empty()) {
        buffer_.resize(batch_header_bytes);
    }
    encode_record(buffer_, fields);
    header_.flags |= flags_of(fields);
    const std::uint64_t ttl_ms = fields.ttl_ms.value_or(no_ttl);
    header_.earliest_ttl_ms = std::min(header_.earliest_ttl_ms, ttl_ms);
    header_.latest_ttl_ms = header_.count == 0 ? ttl_ms : std::max(header_.latest_ttl_ms, ttl_ms);
    ++header_.count;
}

byte_buffer batch_builder::take(producer_id producer, std::uint64_t first_sequence) {
    if (buffer_.empty()) {
        buffer_.resize(batch_header_bytes);
    }
    header_.records_bytes = static_cast<std::uint32_t>(buffer_.size() - batch_header_bytes);
    header_.producer = producer;
    header_.first_sequence = first_sequence;
    store_batch_header(buffer_.data(), header_);
    header_ = batch_header{};
    return std::exchange(buffer_, byte_buffer());
}

}  // namespace brokerd::codec
