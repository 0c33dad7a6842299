// The values behind the keys of keys.hpp: a version byte, then the fields. Chunks are stored as
// they are (domain/chunk.hpp) and begin with their own version. Pure; any thread.
//
// Described structs are encoded by codec/wire.hpp. Runs of offsets are what is written most, so
// they are packed: varints, each run as its distance from the one before.
//
// To change one: new version number, keep reading the old one, add a golden file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "broker/domain/mutation.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/error.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::storage {

inline constexpr std::uint8_t value_version = 1;

// Features a database uses. One that is not known here: in `incompatible` the database is refused,
// in `read_only_compatible` it may only be read, in `compatible` it does not matter.
struct feature_bits {
    std::uint64_t incompatible = 0;
    std::uint64_t read_only_compatible = 0;
    std::uint64_t compatible = 0;
    bool operator==(const feature_bits&) const = default;
};

// Bits of feature_bits::incompatible. Each is set by the first commit that uses the feature.
namespace incompatible_feature {
// There was a topic with more than one level of priority: the log has chunks in other lanes than 0,
// which a brokerd that does not know them would pass over.
inline constexpr std::uint64_t lanes = 0x1;
}  // namespace incompatible_feature

struct identity_value {
    std::string database_id;
    feature_bits features;
    bool operator==(const identity_value&) const = default;
};

// Written as the last value of every commit. Found again there in a damaged WAL, known by its magic
// and checksum: it tells what had been synced when it was written (wal_scan.hpp). Neither of them
// is secret, so only its place tells it from a message that looks the same.
struct commit_value {
    static constexpr std::size_t bytes = 1 + 8 + 8 + 8 + 4;

    commit_number number;
    commit_number synced;  // the last commit known to be synced before this one was written
    bool operator==(const commit_value&) const = default;
};

struct trim_value {
    offset_t first = 0;
    wall_time last_append{};  // of the topic when it was trimmed: times must not run backwards
    bool operator==(const trim_value&) const = default;
};

struct kept_value {
    wall_time append_time{};
    std::string_view record;
    bool operator==(const kept_value&) const = default;
};

// The due index says everything in its key.
struct due_value {};

// The batch of a schedule, as it will be appended.
struct scheduled_value {
    std::string_view batch;
    bool operator==(const scheduled_value&) const = default;
};

// What is asked of a schedule that is known by its id.
struct schedule_id_value {
    wall_time due{};  // with the id the key of its batch
    std::uint32_t messages = 0;
    std::uint64_t bytes = 0;  // of the whole batch
    bool operator==(const schedule_id_value&) const = default;
};

// Of an entry of the expiry index; its key says the rest.
struct expiry_value {
    std::uint32_t messages = 0;  // of the chunk
    bool operator==(const expiry_value&) const = default;
};

// Where the messages of a stored chunk lie, read from its header alone.
struct chunk_place {
    topic_id topic;
    offset_t base_offset = 0;
    std::uint32_t count = 0;
    wall_time append_time{};
    std::uint8_t lane = 0;
    bool operator==(const chunk_place&) const = default;
};

void encode_value(std::string& out, const identity_value& value);
void encode_value(std::string& out, const commit_value& value);
void encode_value(std::string& out, const trim_value& value);
void encode_value(std::string& out, const kept_value& value);
void encode_value(std::string& out, const due_value& value);
void encode_value(std::string& out, const scheduled_value& value);
void encode_value(std::string& out, const schedule_id_value& value);
void encode_value(std::string& out, const expiry_value& value);
void encode_value(std::string& out, std::uint64_t value);
void encode_value(std::string& out, const domain::topic_created& value);
void encode_value(std::string& out, const domain::topic_changed& value);
void encode_value(std::string& out, const domain::queue_created& value);
void encode_value(std::string& out, const domain::queue_changed& value);
void encode_value(std::string& out, const domain::exception_state& value);
// The ids and the number are those of the key and not repeated.
void encode_value(std::string& out, const domain::queue_delta& value);
void encode_value(std::string& out, const domain::queue_snapshot& value);
void encode_value(std::string& out, const domain::producer_put& value);
void encode_value(std::string& out, const domain::retry_clock& value);
void encode_value(std::string& out, const domain::done_marks& value);
void encode_value(std::string& out, const domain::schedule_totals& value);
void encode_value(std::string& out, const domain::expiry_watched& value);
void encode_value(std::string& out, const domain::message_id_entry& value);
void encode_value(std::string& out, const domain::message_ids_forgotten& value);
void encode_value(std::string& out, const domain::offsets_reserved& value);
void encode_value(std::string& out, const domain::offsets_skipped& value);
void encode_value(std::string& out, const domain::log_marked& value);
void encode_value(std::string& out, const domain::messages_dropped& value);
void encode_value(std::string& out, const domain::pattern_put& value);

// All decoders: storage_failed with what is wrong; what names the value is the caller's part.
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, chunk_place& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, identity_value& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, commit_value& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, trim_value& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, kept_value& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, scheduled_value& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, schedule_id_value& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, expiry_value& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, std::uint64_t& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::topic_created& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::topic_changed& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::queue_created& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::queue_changed& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::exception_state& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::queue_delta& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::queue_snapshot& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::producer_put& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::retry_clock& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::done_marks& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::schedule_totals& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::expiry_watched& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::message_id_entry& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes,
                                         domain::message_ids_forgotten& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::offsets_reserved& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::offsets_skipped& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::log_marked& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::messages_dropped& value);
[[nodiscard]] outcome<void> decode_value(std::string_view bytes, domain::pattern_put& value);

}  // namespace brokerd::storage
