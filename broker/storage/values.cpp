// A writer and a reader of bytes, then encoder and decoder of each value side by side.
#include "broker/storage/values.hpp"

#include <algorithm>
#include <optional>
#include <type_traits>
#include <utility>

#include "protocol/codec/wire.hpp"
#include "protocol/types/crc32c.hpp"

namespace brokerd::storage {

namespace {

// Follows the version byte in each commit_value.
constexpr std::string_view commit_magic{"brokerdC", 8};

using domain::producer_run;
using domain::state_run;

class value_writer {
public:
    explicit value_writer(std::string& out) : out_(out) {
        out_.clear();
        out_.push_back(static_cast<char>(value_version));
    }

    template <std::integral T>
    value_writer& number(T value) {
        std::byte bytes[sizeof(T)];
        store_le(bytes, value);
        return raw(as_text(bytes));
    }
    value_writer& time(wall_time value) { return number(to_us(value)); }
    value_writer& raw(std::string_view bytes) {
        out_.append(bytes);
        return *this;
    }
    value_writer& varint(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7) {
            out_.push_back(static_cast<char>(value | 0x80));
        }
        out_.push_back(static_cast<char>(value));
        return *this;
    }
    // A number near `base`, in either direction.
    value_writer& distance(std::uint64_t value, std::uint64_t base) {
        const auto step = static_cast<std::int64_t>(value - base);
        const auto sign = static_cast<std::uint64_t>(step >> 63);
        return varint((static_cast<std::uint64_t>(step) << 1) ^ sign);
    }
    template <codec::described T>
    void fields(const T& value) {
        byte_buffer bytes;
        codec::append_struct(bytes, value);
        raw(as_text(bytes));
    }

private:
    std::string& out_;
};

// Reads from the front; the first problem fails everything behind it.
class value_reader {
public:
    explicit value_reader(std::string_view bytes) : left_(bytes) {
        std::uint8_t version = 0;
        number(version);
        if (whole_ && version != value_version) {
            fail("its version is not known");
        }
    }

    template <std::integral T>
    value_reader& number(T& value) {
        std::string_view bytes;
        raw(bytes, sizeof(T));
        if (whole_) {
            value = load_le<T>(as_bytes(bytes).data());
        }
        return *this;
    }
    value_reader& time(wall_time& value) {
        std::int64_t us = 0;
        number(us);
        value = wall_from_us(us);
        return *this;
    }
    value_reader& raw(std::string_view& bytes, std::size_t count) {
        if (left_.size() < count) {
            fail("it is too short");
        } else {
            bytes = left_.substr(0, count);
            left_.remove_prefix(count);
        }
        return *this;
    }
    value_reader& rest(std::string_view& bytes) { return raw(bytes, left_.size()); }
    value_reader& varint(std::uint64_t& value) {
        value = 0;
        for (unsigned shift = 0; shift < 64 && whole_; shift += 7) {
            std::uint8_t byte = 0;
            number(byte);
            if (shift == 63 && byte > 1) {
                break;
            }
            value |= std::uint64_t{byte & 0x7FU} << shift;
            if (byte < 0x80) {
                return *this;
            }
        }
        return fail("a number in it goes beyond 64 bits");
    }
    value_reader& distance(std::uint64_t& value, std::uint64_t base) {
        std::uint64_t packed = 0;
        varint(packed);
        value = base + ((packed >> 1) ^ (~(packed & 1) + 1));
        return *this;
    }
    // A count of items of at least `bytes_min` each.
    value_reader& count(std::uint64_t& value, std::size_t bytes_min) {
        varint(value);
        if (whole_ && value > left_.size() / bytes_min) {
            fail("a count in it is larger than what follows");
        }
        return *this;
    }
    value_reader& fail(std::string problem) {
        if (whole_) {
            whole_ = false;
            problem_ = std::move(problem);
        }
        left_ = {};
        return *this;
    }
    // All that is left: it may end where an older version did.
    template <codec::described T>
    outcome<void> fields(T& value) {
        codec::wire_reader reader(as_bytes(left_));
        if (whole_ && !codec::wire_fields<T>::get_whole(reader, value)) {
            fail(reader.path() + ": " + reader.problem());
        }
        return done();
    }
    [[nodiscard]] bool whole() const { return whole_; }
    // What a newer writer put behind the known fields is skipped.
    [[nodiscard]] outcome<void> done() const {
        if (!whole_) {
            return refuse(error_code::storage_failed, problem_);
        }
        return {};
    }

private:
    std::string_view left_;
    bool whole_ = true;
    std::string problem_;
};

// Runs ascend mostly, so each is written as its distance from the end of the one before.
void write_runs(value_writer& to, const std::vector<state_run>& runs, offset_t base) {
    to.varint(runs.size());
    for (const state_run& run : runs) {
        to.number(static_cast<std::uint8_t>(run.state));
        to.distance(run.first, base).varint(run.count);
        base = run.first + run.count;
    }
}

void read_runs(value_reader& from, std::vector<state_run>& runs, offset_t base) {
    std::uint64_t count = 0;
    from.count(count, 3);
    runs.clear();
    for (std::uint64_t i = 0; i < count && from.whole(); ++i) {
        state_run& run = runs.emplace_back();
        std::uint8_t state = 0;
        from.number(state).distance(run.first, base).varint(run.count);
        run.state = static_cast<message_state>(state);
        if (to_string(run.state) == "unknown") {
            from.fail("a state in it is not known");
        }
        base = run.first + run.count;
        if (base <= run.first) {
            from.fail("a run in it is empty or goes beyond the largest offset");
        }
    }
}

template <codec::described T>
void encode_fields(std::string& out, const T& value) {
    value_writer(out).fields(value);
}

template <codec::described T>
outcome<void> decode_fields(std::string_view bytes, T& value) {
    return value_reader(bytes).fields(value);
}

}  // namespace

outcome<void> decode_value(std::string_view bytes, chunk_place& value) {
    if (bytes.size() < domain::chunk_header_bytes ||
        static_cast<std::uint8_t>(bytes.front()) != domain::chunk_version) {
        return refuse(error_code::storage_failed, "it is no chunk this version knows");
    }
    const std::byte* const header = as_bytes(bytes).data();
    value.lane = load_le<std::uint8_t>(header + 1);
    value.count = load_le<std::uint32_t>(header + 4);
    value.topic = topic_id{load_le<std::uint64_t>(header + 8)};
    value.base_offset = load_le<std::uint64_t>(header + 16);
    value.append_time = wall_from_us(load_le<std::int64_t>(header + 24));
    if (value.base_offset + value.count <= value.base_offset) {
        return refuse(error_code::storage_failed,
                      "its offsets are none or go beyond the largest offset");
    }
    return {};
}

void encode_value(std::string& out, const identity_value& value) {
    value_writer to(out);
    to.number(static_cast<std::uint8_t>(value.database_id.size())).raw(value.database_id);
    to.number(value.features.incompatible);
    to.number(value.features.read_only_compatible);
    to.number(value.features.compatible);
}

outcome<void> decode_value(std::string_view bytes, identity_value& value) {
    value_reader from(bytes);
    std::uint8_t length = 0;
    std::string_view id;
    from.number(length).raw(id, length);
    value.database_id = id;
    from.number(value.features.incompatible);
    from.number(value.features.read_only_compatible);
    from.number(value.features.compatible);
    return from.done();
}

void encode_value(std::string& out, const commit_value& value) {
    value_writer to(out);
    to.raw(commit_magic).number(value.number.value()).number(value.synced.value());
    to.number(crc32c(0, as_bytes(out)));
}

outcome<void> decode_value(std::string_view bytes, commit_value& value) {
    value_reader from(bytes);
    std::string_view magic;
    std::uint64_t number = 0;
    std::uint64_t synced = 0;
    std::uint32_t crc = 0;
    from.raw(magic, commit_magic.size()).number(number).number(synced).number(crc);
    if (from.whole() && (magic != commit_magic ||
                         crc != crc32c(0, as_bytes(bytes).first(commit_value::bytes - 4)))) {
        from.fail("its checksum does not match");
    }
    value = {commit_number{number}, commit_number{synced}};
    return from.done();
}

void encode_value(std::string& out, const trim_value& value) {
    value_writer(out).number(value.first).time(value.last_append);
}

outcome<void> decode_value(std::string_view bytes, trim_value& value) {
    return value_reader(bytes).number(value.first).time(value.last_append).done();
}

void encode_value(std::string& out, const kept_value& value) {
    value_writer(out).time(value.append_time).raw(value.record);
}

outcome<void> decode_value(std::string_view bytes, kept_value& value) {
    return value_reader(bytes).time(value.append_time).rest(value.record).done();
}

void encode_value(std::string& out, const due_value& /*value*/) {
    const value_writer version_only(out);
}

void encode_value(std::string& out, const scheduled_value& value) {
    value_writer(out).raw(value.batch);
}

outcome<void> decode_value(std::string_view bytes, scheduled_value& value) {
    return value_reader(bytes).rest(value.batch).done();
}

void encode_value(std::string& out, const schedule_id_value& value) {
    value_writer(out).time(value.due).number(value.messages).number(value.bytes);
}

outcome<void> decode_value(std::string_view bytes, schedule_id_value& value) {
    return value_reader(bytes).time(value.due).number(value.messages).number(value.bytes).done();
}

void encode_value(std::string& out, const expiry_value& value) {
    value_writer(out).number(value.messages);
}

outcome<void> decode_value(std::string_view bytes, expiry_value& value) {
    return value_reader(bytes).number(value.messages).done();
}

void encode_value(std::string& out, std::uint64_t value) {
    value_writer(out).number(value);
}

outcome<void> decode_value(std::string_view bytes, std::uint64_t& value) {
    return value_reader(bytes).number(value).done();
}

void encode_value(std::string& out, const domain::topic_created& value) {
    encode_fields(out, value);
}
void encode_value(std::string& out, const domain::topic_changed& value) {
    encode_fields(out, value);
}
void encode_value(std::string& out, const domain::queue_created& value) {
    encode_fields(out, value);
}
void encode_value(std::string& out, const domain::queue_changed& value) {
    encode_fields(out, value);
}
void encode_value(std::string& out, const domain::exception_state& value) {
    encode_fields(out, value);
}
void encode_value(std::string& out, const domain::retry_clock& value) {
    encode_fields(out, value);
}
void encode_value(std::string& out, const domain::done_marks& value) {
    encode_fields(out, value);
}
void encode_value(std::string& out, const domain::schedule_totals& value) {
    encode_fields(out, value);
}
void encode_value(std::string& out, const domain::expiry_watched& value) {
    encode_fields(out, value);
}
void encode_value(std::string& out, const domain::message_id_entry& value) {
    encode_fields(out, value);
}
void encode_value(std::string& out, const domain::message_ids_forgotten& value) {
    encode_fields(out, value);
}
void encode_value(std::string& out, const domain::offsets_reserved& value) {
    encode_fields(out, value);
}
void encode_value(std::string& out, const domain::offsets_skipped& value) {
    encode_fields(out, value);
}
void encode_value(std::string& out, const domain::log_marked& value) {
    encode_fields(out, value);
}
void encode_value(std::string& out, const domain::messages_dropped& value) {
    encode_fields(out, value);
}
void encode_value(std::string& out, const domain::pattern_put& value) {
    encode_fields(out, value);
}

outcome<void> decode_value(std::string_view bytes, domain::topic_created& value) {
    return decode_fields(bytes, value);
}
outcome<void> decode_value(std::string_view bytes, domain::topic_changed& value) {
    return decode_fields(bytes, value);
}
outcome<void> decode_value(std::string_view bytes, domain::queue_created& value) {
    return decode_fields(bytes, value);
}
outcome<void> decode_value(std::string_view bytes, domain::queue_changed& value) {
    return decode_fields(bytes, value);
}
outcome<void> decode_value(std::string_view bytes, domain::exception_state& value) {
    return decode_fields(bytes, value);
}
outcome<void> decode_value(std::string_view bytes, domain::retry_clock& value) {
    return decode_fields(bytes, value);
}
outcome<void> decode_value(std::string_view bytes, domain::done_marks& value) {
    return decode_fields(bytes, value);
}
outcome<void> decode_value(std::string_view bytes, domain::schedule_totals& value) {
    return decode_fields(bytes, value);
}
outcome<void> decode_value(std::string_view bytes, domain::expiry_watched& value) {
    return decode_fields(bytes, value);
}
outcome<void> decode_value(std::string_view bytes, domain::message_id_entry& value) {
    return decode_fields(bytes, value);
}
outcome<void> decode_value(std::string_view bytes, domain::message_ids_forgotten& value) {
    return decode_fields(bytes, value);
}
outcome<void> decode_value(std::string_view bytes, domain::offsets_reserved& value) {
    return decode_fields(bytes, value);
}
outcome<void> decode_value(std::string_view bytes, domain::offsets_skipped& value) {
    return decode_fields(bytes, value);
}
outcome<void> decode_value(std::string_view bytes, domain::log_marked& value) {
    return decode_fields(bytes, value);
}
outcome<void> decode_value(std::string_view bytes, domain::messages_dropped& value) {
    return decode_fields(bytes, value);
}
outcome<void> decode_value(std::string_view bytes, domain::pattern_put& value) {
    return decode_fields(bytes, value);
}

void encode_value(std::string& out, const domain::queue_delta& value) {
    value_writer to(out);
    to.varint(value.floor).varint(value.done_total);
    write_runs(to, value.runs, value.floor);
}

outcome<void> decode_value(std::string_view bytes, domain::queue_delta& value) {
    value_reader from(bytes);
    from.varint(value.floor).varint(value.done_total);
    read_runs(from, value.runs, value.floor);
    return from.done();
}

void encode_value(std::string& out, const domain::queue_snapshot& value) {
    value_writer to(out);
    to.varint(value.number).varint(value.replaces).varint(value.floor).varint(value.done_total);
    write_runs(to, value.runs, value.floor);
}

outcome<void> decode_value(std::string_view bytes, domain::queue_snapshot& value) {
    value_reader from(bytes);
    from.varint(value.number).varint(value.replaces).varint(value.floor).varint(value.done_total);
    read_runs(from, value.runs, value.floor);
    return from.done();
}

void encode_value(std::string& out, const domain::producer_put& value) {
    value_writer to(out);
    to.time(value.last_used).varint(value.runs.size());
    std::uint64_t sequence = 0;
    std::uint64_t outcome_base = 0;
    for (const producer_run& run : value.runs) {
        to.distance(run.first_sequence, sequence).varint(run.count);
        to.distance(run.value, outcome_base);
        sequence = run.first_sequence + run.count;
        outcome_base = run.value + run.count;
    }
}

outcome<void> decode_value(std::string_view bytes, domain::producer_put& value) {
    value_reader from(bytes);
    std::uint64_t count = 0;
    from.time(value.last_used).count(count, 3);
    std::uint64_t sequence = 0;
    std::uint64_t outcome_base = 0;
    value.runs.clear();
    for (std::uint64_t i = 0; i < count && from.whole(); ++i) {
        producer_run& run = value.runs.emplace_back();
        from.distance(run.first_sequence, sequence).varint(run.count);
        from.distance(run.value, outcome_base);
        sequence = run.first_sequence + run.count;
        if (sequence <= run.first_sequence) {
            from.fail("a run in it is empty or goes beyond the largest sequence");
        }
        outcome_base = run.value + run.count;
    }
    return from.done();
}

}  // namespace brokerd::storage
