// Every mutation's decoder: what it accepts encodes to at most as many bytes, and those decode to
// an equal mutation and encode to themselves. A chunk keeps its bytes.
//
// Input: a kind (one byte), its body. Kind 0: a whole batch. With the upper bit set the body is a
// chunk whose checksums are made right first.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "broker/domain/mutation.hpp"
#include "protocol/codec/record_batch.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/fuzz/check_chunk.hpp"
#include "tests/fuzz/mend.hpp"

namespace {

using namespace brokerd;

constexpr std::uint8_t whole_batch = 0;
constexpr std::uint8_t mended = 0x80;

void check_runs(const std::vector<domain::state_run>& runs) {
    for (const domain::state_run& run : runs) {
        FUZZ_CHECK(run.first + run.count > run.first);
    }
}

// What the domain relies on besides equality: of runs, that they are not empty and do not wrap.
struct check_content {
    void operator()(const domain::appended& m) const { fuzz::check_chunk(*m.data); }
    void operator()(const domain::queue_delta& m) const { check_runs(m.runs); }
    void operator()(const domain::queue_snapshot& m) const { check_runs(m.runs); }
    void operator()(const domain::producer_put& m) const {
        for (const domain::producer_run& run : m.runs) {
            FUZZ_CHECK(run.first_sequence + run.count > run.first_sequence);
        }
    }
    void operator()(const domain::schedule_put& m) const {
        FUZZ_CHECK(codec::load_batch_header(m.batch.view).has_value());
    }
    void operator()(const auto&) const {}
};

void check_body(domain::mutation_kind kind, byte_view body) {
    const auto first = domain::decode_body(kind, body);
    if (!first) {
        const error_code code = first.error().code;
        FUZZ_CHECK(code == error_code::malformed ||
                   (kind == domain::mutation_kind::appended &&
                    (code == error_code::bad_batch || code == error_code::bad_checksum)));
        FUZZ_CHECK(!first.error().text.empty());
        return;
    }
    FUZZ_CHECK(domain::kind_of(*first) == kind);
    FUZZ_CHECK(domain::payload_bytes(*first) > 0);
    std::visit(check_content{}, *first);
    byte_buffer encoded;
    domain::encode_body(encoded, *first);
    FUZZ_CHECK(encoded.size() <= 3 * body.size());  // a struct of an earlier form gains fields
    FUZZ_CHECK(kind != domain::mutation_kind::appended || std::ranges::equal(encoded, body));
    const auto second = domain::decode_body(kind, encoded);
    FUZZ_CHECK(second.has_value());
    FUZZ_CHECK(*second == *first);
    byte_buffer again;
    domain::encode_body(again, *second);
    FUZZ_CHECK(again == encoded);
}

void check_batch(byte_view bytes) {
    const auto first = domain::decode_batch(bytes);
    if (!first) {
        FUZZ_CHECK(!first.error().text.empty());
        return;
    }
    byte_buffer encoded;
    domain::encode_batch(encoded, *first);
    FUZZ_CHECK(encoded.size() <= 3 * bytes.size());  // a struct of an earlier form gains fields
    FUZZ_CHECK(domain::decode_batch(encoded) == *first);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const byte_view body = std::as_bytes(std::span(data, size)).subspan(1);
    if (data[0] == whole_batch) {
        check_batch(body);
    } else if ((data[0] & mended) != 0) {
        byte_buffer chunk(body.begin(), body.end());
        fuzz::mend_chunk(chunk);
        check_body(domain::mutation_kind::appended, chunk);
    } else {
        check_body(static_cast<domain::mutation_kind>(data[0]), body);
    }
    return 0;
}
