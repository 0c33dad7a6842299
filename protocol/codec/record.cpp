// Records: encoder, and the one parser that both check and parse use.
#include "protocol/codec/record.hpp"

#include <cstring>

#include <fmt/format.h>

#include "protocol/codec/record_parse.hpp"
#include "protocol/types/crc32c.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::codec {
namespace {

std::byte* put_bytes(std::byte* to, std::string_view text) {
    if (!text.empty()) {
        std::memcpy(to, text.data(), text.size());
    }
    return to + text.size();
}

std::byte* put_text(std::byte* to, std::string_view text) {
    store_le(to, static_cast<std::uint16_t>(text.size()));
    return put_bytes(to + sizeof(std::uint16_t), text);
}

// Takes the fields of a record apart, from the front; every step checks what is left.
class record_fields_reader {
public:
    explicit record_fields_reader(byte_view left) : left_(left) {}

    template <typename T>
    bool number(T& value) {
        if (left_.size() < sizeof(T)) {
            return false;
        }
        value = load_le<T>(left_.data());
        left_ = left_.subspan(sizeof(T));
        return true;
    }

    template <typename Length>
    bool text(std::string_view& value) {
        Length length = 0;
        if (!number(length) || left_.size() < length) {
            return false;
        }
        value = as_text(left_.first(length));
        left_ = left_.subspan(length);
        return true;
    }

    [[nodiscard]] byte_view left() const { return left_; }

private:
    byte_view left_;
};

record_fault parse_headers(record_fields_reader& reader, record_view& record) {
    if (!reader.number(record.headers_count)) {
        return record_fault::truncated;
    }
    if (record.headers_count > limits::headers_max) {
        return record_fault::too_many_headers;
    }
    const byte_view begin = reader.left();
    std::size_t bytes = 0;
    for (std::uint16_t i = 0; i < record.headers_count; ++i) {
        std::string_view name;
        std::string_view value;
        if (!reader.text<std::uint16_t>(name) || !reader.text<std::uint16_t>(value)) {
            return record_fault::truncated;
        }
        bytes += name.size() + value.size();
    }
    if (bytes > limits::headers_bytes_max) {
        return record_fault::too_many_headers;
    }
    record.headers_bytes = begin.first(begin.size() - reader.left().size());
    return record_fault::none;
}

record_fault parse_key(record_fields_reader& reader, record_view& record) {
    if (!reader.text<std::uint16_t>(record.key.emplace())) {
        return record_fault::truncated;
    }
    return record.key->size() > limits::key_bytes_max ? record_fault::key_too_large
                                                      : record_fault::none;
}

outcome<record_view> parse(byte_view bytes, bool verify) {
    record_view record;
    const record_fault fault = parse_record_at(bytes, verify, record);
    if (fault != record_fault::none) {
        return std::unexpected(describe_fault(fault));
    }
    return record;
}

}  // namespace

std::string_view record_key(byte_view record) {
    const auto flags = load_le<std::uint8_t>(record.data() + record_prefix_bytes);
    if ((flags & record_has_key) == 0) {
        return {};
    }
    record_fields_reader reader(record.subspan(record_bytes_min));
    std::uint64_t ttl = 0;
    std::uint8_t priority = 0;
    std::string_view text;
    const bool whole = ((flags & record_has_ttl) == 0 || reader.number(ttl)) &&
                       ((flags & record_has_priority) == 0 || reader.number(priority)) &&
                       ((flags & record_has_id) == 0 || reader.text<std::uint8_t>(text)) &&
                       reader.text<std::uint16_t>(text);
    return whole ? text : std::string_view{};
}

std::string_view record_id(byte_view record) {
    const auto flags = load_le<std::uint8_t>(record.data() + record_prefix_bytes);
    if ((flags & record_has_id) == 0) {
        return {};
    }
    record_fields_reader reader(record.subspan(record_bytes_min));
    std::uint64_t ttl = 0;
    std::uint8_t priority = 0;
    std::string_view id;
    const bool whole = ((flags & record_has_ttl) == 0 || reader.number(ttl)) &&
                       ((flags & record_has_priority) == 0 || reader.number(priority)) &&
                       reader.text<std::uint8_t>(id);
    return whole ? id : std::string_view{};
}

std::uint8_t record_priority(byte_view record) {
    const auto flags = load_le<std::uint8_t>(record.data() + record_prefix_bytes);
    if ((flags & record_has_priority) == 0) {
        return 0;
    }
    const std::size_t behind = (flags & record_has_ttl) == 0 ? 0 : sizeof(std::uint64_t);
    return load_le<std::uint8_t>(record.data() + record_bytes_min + behind);
}

std::optional<std::uint64_t> record_ttl_ms(byte_view record) {
    const auto flags = load_le<std::uint8_t>(record.data() + record_prefix_bytes);
    if ((flags & record_has_ttl) == 0) {
        return std::nullopt;
    }
    return load_le<std::uint64_t>(record.data() + record_bytes_min);
}

std::uint8_t flags_of(const record_fields& fields) {
    return static_cast<std::uint8_t>(
        (fields.key ? record_has_key : 0) | (fields.headers.empty() ? 0 : record_has_headers) |
        (fields.ttl_ms ? record_has_ttl : 0) | (fields.priority ? record_has_priority : 0) |
        (fields.id ? record_has_id : 0));
}

std::size_t record_size(const record_fields& fields) {
    std::size_t size = record_bytes_min + fields.payload.size();
    if (fields.ttl_ms) {
        size += sizeof(std::uint64_t);
    }
    if (fields.priority) {
        size += sizeof(std::uint8_t);
    }
    if (fields.id) {
        size += sizeof(std::uint8_t) + fields.id->size();
    }
    if (fields.key) {
        size += sizeof(std::uint16_t) + fields.key->size();
    }
    if (!fields.headers.empty()) {
        size += sizeof(std::uint16_t);
        for (const auto& [name, value] : fields.headers) {
            size += 2 * sizeof(std::uint16_t) + name.size() + value.size();
        }
    }
    return size;
}

void encode_record(byte_buffer& out, const record_fields& fields) {
    const std::size_t size = record_size(fields);
    const std::size_t start = out.size();
    out.resize(start + size);
    std::byte* const begin = out.data() + start;
    store_le(begin, static_cast<std::uint32_t>(size - sizeof(std::uint32_t)));
    std::byte* at = begin + record_prefix_bytes;
    store_le(at++, flags_of(fields));
    if (fields.ttl_ms) {
        store_le(at, *fields.ttl_ms);
        at += sizeof(std::uint64_t);
    }
    if (fields.priority) {
        store_le(at++, *fields.priority);
    }
    if (fields.id) {
        store_le(at++, static_cast<std::uint8_t>(fields.id->size()));
        at = put_bytes(at, *fields.id);
    }
    if (fields.key) {
        at = put_text(at, *fields.key);
    }
    if (!fields.headers.empty()) {
        store_le(at, static_cast<std::uint16_t>(fields.headers.size()));
        at += sizeof(std::uint16_t);
        for (const auto& [name, value] : fields.headers) {
            at = put_text(put_text(at, name), value);
        }
    }
    put_bytes(at, as_text(fields.payload));
    store_le(begin + sizeof(std::uint32_t), record_checksum(byte_view(begin, size)));
}

std::uint32_t record_checksum(byte_view record) {
    return crc32c(crc32c(0, record.first(sizeof(std::uint32_t))),
                  record.subspan(record_prefix_bytes));
}

std::size_t record_size_at(byte_view bytes) {
    if (bytes.size() < record_bytes_min) {
        return 0;
    }
    const std::uint64_t size = load_le<std::uint32_t>(bytes.data()) + sizeof(std::uint32_t);
    return size < record_bytes_min || size > bytes.size() ? 0 : static_cast<std::size_t>(size);
}

record_fault parse_record_at(byte_view bytes, bool verify, record_view& record) {
    const std::size_t size = record_size_at(bytes);
    if (size == 0) {
        return record_fault::truncated;
    }
    record.bytes = bytes.first(size);
    if (verify && load_le<std::uint32_t>(bytes.data() + sizeof(std::uint32_t)) !=
                      record_checksum(record.bytes)) {
        return record_fault::checksum;
    }
    record_fields_reader reader(record.bytes.subspan(record_prefix_bytes));
    if (!reader.number(record.flags)) {
        return record_fault::truncated;
    }
    if ((record.flags & ~record_flags_known) != 0) {
        return record_fault::unknown_flags;
    }
    if ((record.flags & record_has_ttl) != 0 && !reader.number(record.ttl_ms.emplace())) {
        return record_fault::truncated;
    }
    if ((record.flags & record_has_priority) != 0 && !reader.number(record.priority.emplace())) {
        return record_fault::truncated;
    }
    if ((record.flags & record_has_id) != 0 && !reader.text<std::uint8_t>(record.id.emplace())) {
        return record_fault::truncated;
    }
    if ((record.flags & record_has_key) != 0) {
        if (const auto fault = parse_key(reader, record); fault != record_fault::none) {
            return fault;
        }
    }
    if ((record.flags & record_has_headers) != 0) {
        if (const auto fault = parse_headers(reader, record); fault != record_fault::none) {
            return fault;
        }
    }
    record.payload = reader.left();
    return record_fault::none;
}

failure describe_fault(record_fault fault) {
    switch (fault) {
        case record_fault::none: break;
        case record_fault::truncated:
            return {error_code::bad_batch, "a record is truncated or its lengths do not fit"};
        case record_fault::unknown_flags:
            return {error_code::bad_batch, "a record has flags that are not known"};
        case record_fault::checksum:
            return {error_code::bad_checksum, "a record does not match its checksum"};
        case record_fault::key_too_large:
            return {error_code::key_too_large,
                    fmt::format("a key has more than {} bytes", limits::key_bytes_max)};
        case record_fault::too_many_headers:
            return {error_code::too_many_headers,
                    fmt::format("a message has more than {} headers or {} bytes of them",
                                limits::headers_max, limits::headers_bytes_max)};
    }
    return {error_code::internal, "no fault"};
}

outcome<record_view> check_record(byte_view bytes) {
    return parse(bytes, true);
}

outcome<record_view> parse_record(byte_view bytes) {
    return parse(bytes, false);
}

std::vector<header_view> record_view::headers() const {
    std::vector<header_view> found;
    found.reserve(headers_count);
    record_fields_reader reader(headers_bytes);
    header_view header;
    while (found.size() < headers_count && reader.text<std::uint16_t>(header.first) &&
           reader.text<std::uint16_t>(header.second)) {
        found.push_back(header);
    }
    return found;
}

std::optional<std::string_view> record_view::header(std::string_view name) const {
    record_fields_reader reader(headers_bytes);
    header_view header;
    for (std::uint16_t i = 0; i < headers_count && reader.text<std::uint16_t>(header.first) &&
                              reader.text<std::uint16_t>(header.second);
         ++i) {
        if (header.first == name) {
            return header.second;
        }
    }
    return std::nullopt;
}

}  // namespace brokerd::codec
