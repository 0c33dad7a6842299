// The frame parser: however a stream is cut, it gives the same frames and the same end, and it
// never holds more memory than in proportion to what arrived.
//
// Input: a count of cuts (one byte), the size of each piece (one byte each), the stream.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "protocol/codec/frame.hpp"
#include "protocol/codec/text.hpp"
#include "tests/fuzz/check.hpp"

namespace {

using namespace brokerd;

constexpr std::size_t body_bytes_max = std::size_t{64} * 1024;

struct outcome_of_stream {
    std::vector<std::string> frames;
    error_code end = error_code::ok;
    std::size_t declared = 0;

    bool operator==(const outcome_of_stream&) const = default;
};

// Feeds one piece; false when the parser failed.
bool take_piece(codec::frame_parser& parser, byte_view piece, outcome_of_stream& seen) {
    const byte_buffer own(piece.begin(), piece.end());
    parser.feed(own);
    for (;;) {
        const auto next = parser.next();
        if (!next) {
            seen.end = next.error().code;
            return false;
        }
        if (!*next) {
            return true;
        }
        FUZZ_CHECK((*next)->body.size() <= body_bytes_max);
        const shared_bytes kept = parser.take_body();
        FUZZ_CHECK(std::ranges::equal(kept.view, (*next)->body));
        seen.frames.push_back(codec::to_text(**next) + std::string(as_text(kept.view)));
    }
}

outcome_of_stream parse(byte_view stream, std::span<const std::uint8_t> cuts) {
    codec::frame_parser parser(body_bytes_max);
    outcome_of_stream seen;
    std::size_t arrived = 0;
    for (std::size_t i = 0; !stream.empty(); ++i) {
        const std::size_t wanted = i < cuts.size() ? cuts[i] + std::size_t{1} : stream.size();
        const byte_view piece = stream.first(std::min(wanted, stream.size()));
        stream = stream.subspan(piece.size());
        arrived += piece.size();
        if (!take_piece(parser, piece, seen)) {
            break;
        }
        FUZZ_CHECK(parser.buffered_bytes() <= std::max(arrived + 64 * 1024, 2 * arrived));
    }
    seen.declared = parser.in_progress() ? parser.declared_bytes() : 0;
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::span<const std::uint8_t> input(data, size);
    if (input.empty()) {
        return 0;
    }
    const std::size_t count = std::min<std::size_t>(input[0], input.size() - 1);
    const auto cuts = input.subspan(1, count);
    const byte_view stream = std::as_bytes(input.subspan(1 + count));
    FUZZ_CHECK(parse(stream, {}) == parse(stream, cuts));
    return 0;
}
