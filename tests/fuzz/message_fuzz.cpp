// Every message's decoder: what it accepts can be printed and encoded, and encodes to bytes that
// decode and encode to the same bytes.
//
// Input: the frame type (one byte), the body.
#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/codec/encode.hpp"
#include "protocol/codec/registry.hpp"
#include "protocol/codec/text.hpp"
#include "tests/fuzz/check.hpp"

namespace {

using namespace brokerd;

template <codec::frame_message Message>
void check(byte_view body) {
    const auto first = codec::decode<Message>(body);
    if (!first) {
        FUZZ_CHECK(first.error().code == error_code::malformed);
        return;
    }
    FUZZ_CHECK(!codec::to_text(*first).empty());
    byte_buffer encoded;
    codec::encode_frame(encoded, 1, *first);
    FUZZ_CHECK(encoded.size() == codec::frame_header_bytes + codec::body_size(*first));
    // A struct of an earlier form gains its later fields, and so does a message.
    constexpr std::size_t later_fields_max = 64;
    FUZZ_CHECK(encoded.size() <= codec::frame_header_bytes + later_fields_max + 3 * body.size());
    const auto second =
        codec::decode<Message>(byte_view(encoded).subspan(codec::frame_header_bytes));
    FUZZ_CHECK(second.has_value());
    byte_buffer again;
    codec::encode_frame(again, 1, *second);
    FUZZ_CHECK(again == encoded);
}

struct check_if_type {
    std::uint8_t type;
    byte_view body;

    template <typename Message>
    void operator()() const {
        if (static_cast<std::uint8_t>(Message::type) == type) {
            check<Message>(body);
        }
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 0) {
        const std::span<const std::uint8_t> input(data, size);
        codec::all_messages::for_each(check_if_type{input[0], std::as_bytes(input.subspan(1))});
    }
    return 0;
}
