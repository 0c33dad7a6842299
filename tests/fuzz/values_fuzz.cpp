// What brokerd stores, kind by kind: keys and values of the database, headers of chunks, the
// marker, the format file, the log files. A key that is accepted encodes to the same bytes; a value
// encodes to at most as many, and those decode to an equal value and encode to themselves.
//
// Input: what it is (one byte: the row of `targets`), its bytes. With the upper bit set the
// checksums in them are made right first.
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/storage/format_text.hpp"
#include "broker/storage/keys.hpp"
#include "broker/storage/marker_slot.hpp"
#include "broker/storage/values.hpp"
#include "broker/storage/wal_commits.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/crc32c.hpp"
#include "protocol/types/limits.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/fuzz/check_chunk.hpp"
#include "tests/fuzz/mend.hpp"

namespace {

using namespace brokerd;
using namespace brokerd::storage;

std::span<std::byte> bytes_of(std::string& text) {
    return std::as_writable_bytes(std::span(text));
}

// ---- keys ----

template <typename Key>
void check_key(std::string bytes, bool /*mend*/) {
    const auto key = Key::parse(bytes);
    if (!key) {
        return;
    }
    FUZZ_CHECK(key->encode().view() == bytes);
    const key_bytes topic = topic_prefix(key->topic);
    FUZZ_CHECK(bytes.starts_with(topic.view()));
    FUZZ_CHECK(bytes < behind(topic).view());
}

void check_log_key(std::string bytes, bool mend) {
    check_key<log_key>(bytes, mend);
    if (const auto key = log_key::parse(bytes)) {
        FUZZ_CHECK(key->lane < limits::priorities_max);
        const key_bytes lane = lane_prefix(key->topic, key->lane);
        FUZZ_CHECK(bytes.starts_with(lane.view()) && bytes < behind(lane).view());
    }
}

// ---- values ----

void check_runs(const std::vector<domain::state_run>& runs) {
    for (const domain::state_run& run : runs) {
        FUZZ_CHECK(run.first + run.count > run.first);
    }
}

// What their users rely on besides equality.
void check_content(const auto& /*value*/) {}
void check_content(const domain::queue_delta& value) {
    check_runs(value.runs);
}
void check_content(const domain::queue_snapshot& value) {
    check_runs(value.runs);
}
void check_content(const domain::producer_put& value) {
    for (const domain::producer_run& run : value.runs) {
        FUZZ_CHECK(run.first_sequence + run.count > run.first_sequence);
    }
}

template <typename Value>
void check_value(std::string bytes, bool /*mend*/) {
    Value first{};
    if (const auto decoded = decode_value(bytes, first); !decoded) {
        FUZZ_CHECK(decoded.error().code == error_code::storage_failed);
        FUZZ_CHECK(!decoded.error().text.empty());
        return;
    }
    check_content(first);
    std::string encoded;
    encode_value(encoded, first);
    FUZZ_CHECK(encoded.size() <= 3 * bytes.size());  // a struct of an earlier form gains fields
    Value second{};
    FUZZ_CHECK(decode_value(encoded, second).has_value());
    FUZZ_CHECK(second == first);
    std::string again;
    encode_value(again, second);
    FUZZ_CHECK(again == encoded);
}

void check_commit(std::string bytes, bool mend) {
    constexpr std::size_t crc_at = commit_value::bytes - sizeof(std::uint32_t);
    if (mend && bytes.size() >= commit_value::bytes) {
        const auto whole = bytes_of(bytes);
        store_le(whole.data() + crc_at, crc32c(0, whole.first(crc_at)));
    }
    check_value<commit_value>(std::move(bytes), mend);
}

void check_chunk(std::string bytes, bool mend) {
    if (mend) {
        fuzz::mend_chunk(bytes_of(bytes));
    }
    const byte_view view = as_bytes(bytes);
    chunk_place place;
    const auto placed = decode_value(bytes, place);
    FUZZ_CHECK(!placed || place.base_offset + place.count > place.base_offset);
    const auto chunk = domain::chunk::load({view.begin(), view.end()}, true);
    if (!chunk) {
        FUZZ_CHECK(!chunk.error().text.empty());
        return;
    }
    FUZZ_CHECK(domain::chunk::load({view.begin(), view.end()}, false).has_value());
    FUZZ_CHECK(placed.has_value());
    const domain::chunk& whole = **chunk;
    FUZZ_CHECK((place == chunk_place{whole.topic(), whole.base_offset(), whole.count(),
                                     whole.append_time(), whole.lane()}));
    fuzz::check_chunk(whole);
}

// ---- files ----

// The meaningful beginning of a slot; what is missing of its 4 KiB is zeros.
std::string slot_from(std::string_view head, bool mend) {
    constexpr std::size_t crc_at = 12;
    std::string slot(head.substr(0, marker_slot_bytes));
    slot.resize(marker_slot_bytes);
    if (mend) {
        store_le(bytes_of(slot).data() + crc_at, std::uint32_t{0});
        store_le(bytes_of(slot).data() + crc_at, crc32c(0, as_bytes(slot)));
    }
    return slot;
}

void check_slot(const found_marker& found) {
    const marker_slot encoded = encode_marker_slot(found.state, found.generation);
    FUZZ_CHECK(decode_marker_slot(as_text(encoded)) == found);
}

// Each half is the beginning of a slot.
void check_marker(std::string bytes, bool mend) {
    const std::string_view text = bytes;
    const std::string first = slot_from(text.substr(0, text.size() / 2), mend);
    const std::string second = slot_from(text.substr(text.size() / 2), mend);
    FUZZ_CHECK(!newest_marker_slot(text) || text.size() == marker_slots * marker_slot_bytes);
    const auto newest = newest_marker_slot(first + second);
    FUZZ_CHECK(newest == newest_marker_slot(second + first) ||
               decode_marker_slot(first)->generation == decode_marker_slot(second)->generation);
    for (const std::string& slot : {first, second}) {
        if (const auto found = decode_marker_slot(slot)) {
            check_slot(*found);
            FUZZ_CHECK(newest && newest->generation >= found->generation);
        }
    }
}

void check_format_text(std::string bytes, bool /*mend*/) {
    const auto first = parse_format_text(bytes, "data/BROKERD");
    if (!first) {
        FUZZ_CHECK(first.error().kind == open_failure::refused);
        FUZZ_CHECK(first.error().text.size() < 300);
        return;
    }
    FUZZ_CHECK(first->format > 0 && first->format <= format_major);
    const std::string text = format_text(*first);
    FUZZ_CHECK(text.size() <= bytes.size() + 1);  // the last line may lack its end
    const auto second = parse_format_text(text, "data/BROKERD");
    FUZZ_CHECK(second && *second == *first);
}

// The checksums of the records of a block, as RocksDB writes them.
void mend_wal(std::span<std::byte> block) {
    constexpr std::size_t header_bytes = 7;
    while (block.size() >= header_bytes) {
        const std::size_t length = load_le<std::uint16_t>(block.data() + 4);
        if (length > block.size() - header_bytes) {
            return;
        }
        const std::uint32_t crc = crc32c(0, block.subspan(6, 1 + length));
        store_le(block.data(), std::rotr(crc, 15) + 0xa282ead8U);
        block = block.subspan(header_bytes + length);
    }
}

// A log file that was cut short tells of no commit that the whole one does not tell of.
void check_wal(std::string bytes, bool mend) {
    if (mend) {
        mend_wal(bytes_of(bytes));
    }
    wal_commits whole;
    whole.add_block(bytes);
    whole.add_block(bytes);
    wal_commits cut;
    cut.add_block(std::string_view(bytes).substr(0, bytes.size() / 2));
    FUZZ_CHECK(cut.synced() <= whole.synced());
}

// The seeds count on the order: new rows at the end.
using target = void (*)(std::string bytes, bool mend);
constexpr std::array<target, 41> targets{
    check_key<meta_key>,
    check_log_key,
    check_key<kept_key>,
    check_key<cursor_key>,
    check_key<exception_key>,
    check_key<due_key>,
    check_key<dedup_key>,
    check_value<identity_value>,
    check_commit,
    check_value<trim_value>,
    check_value<kept_value>,
    check_value<std::uint64_t>,
    check_value<domain::topic_created>,
    check_value<domain::topic_changed>,
    check_value<domain::queue_created>,
    check_value<domain::queue_changed>,
    check_value<domain::exception_state>,
    check_value<domain::queue_delta>,
    check_value<domain::queue_snapshot>,
    check_value<domain::producer_put>,
    check_value<domain::retry_clock>,
    check_value<domain::done_marks>,
    check_chunk,
    check_marker,
    check_format_text,
    check_wal,
    check_key<schedule_due_key>,
    check_key<schedule_id_key>,
    check_value<scheduled_value>,
    check_value<schedule_id_value>,
    check_value<domain::schedule_totals>,
    check_key<expiry_key>,
    check_value<expiry_value>,
    check_value<domain::expiry_watched>,
    check_value<domain::message_id_entry>,
    check_value<domain::message_ids_forgotten>,
    check_value<domain::offsets_reserved>,
    check_value<domain::offsets_skipped>,
    check_value<domain::log_marked>,
    check_value<domain::messages_dropped>,
    check_value<domain::pattern_put>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::uint8_t mended = 0x80;
    if (size == 0) {
        return 0;
    }
    const std::size_t row = data[0] % mended;
    if (row < targets.size()) {
        targets[row](std::string(data + 1, data + size), (data[0] & mended) != 0);
    }
    return 0;
}
