// One file per message and protocol version, <message>.v<version>.hex: a whole frame. It decodes to
// the value it was made of and that value encodes to the same bytes. A message without a file, and
// a file without a message, fail. New files: BROKERD_UPDATE_GOLDEN=1.
#include <filesystem>
#include <iterator>
#include <set>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "protocol/codec/encode.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/codec/registry.hpp"
#include "protocol/codec/text.hpp"
#include "tests/golden/protocol/hex.hpp"
#include "tests/unit/codec/sample_values.hpp"

namespace brokerd::codec {
namespace {

const std::filesystem::path directory = "tests/golden/protocol";
constexpr std::uint32_t request_id = 0x01020304;

template <typename Message>
std::filesystem::path file_of() {
    return directory / fmt::format("{}.v{}.hex", message_name<Message>, protocol_version_max);
}

struct check_golden {
    template <typename Message>
    void operator()() const {
        SCOPED_TRACE(file_of<Message>().string());
        sample::filler fill{sample::fixed_source()};
        const auto value = fill.template make<Message>(message_name<Message>);
        byte_buffer encoded;
        encode_frame(encoded, request_id, value);
        if (golden::update_wanted()) {
            golden::write_text(file_of<Message>(),
                               fmt::format("# {}\n{}", to_text(value), golden::to_hex(encoded)));
        }
        const auto text = golden::read_text(file_of<Message>());
        ASSERT_TRUE(text)
            << "message "
            << message_name<Message> << " has no golden file; BROKERD_UPDATE_GOLDEN=1 writes it";
        const byte_buffer bytes = golden::from_hex(*text);
        EXPECT_EQ(golden::to_hex(encoded), golden::to_hex(bytes))
            << "the encoder writes other bytes than before: peers of this version would not "
               "understand them";
        const auto header = load_frame_header(bytes);
        ASSERT_TRUE(header) << header.error().text;
        EXPECT_EQ(header->type, static_cast<std::uint8_t>(Message::type));
        EXPECT_EQ(header->request_id, request_id);
        ASSERT_EQ(header->body_bytes, bytes.size() - frame_header_bytes);
        const auto decoded = decode<Message>(byte_view(bytes).subspan(frame_header_bytes));
        ASSERT_TRUE(decoded) << decoded.error().text;
        EXPECT_EQ(*decoded, value);
    }
};

TEST(golden_frames, every_message_decodes_and_encodes_as_before) {
    all_messages::for_each(check_golden{});
}

struct decode_earlier {
    std::size_t& found;

    template <typename Message>
    void operator()() const {
        for (int form = 1;; ++form) {
            const std::string suffix = form == 1 ? "" : fmt::format(".{}", form);
            const auto path =
                directory / "earlier" / fmt::format("{}{}.hex", message_name<Message>, suffix);
            const auto text = golden::read_text(path);
            if (!text) {
                return;
            }
            ++found;
            const byte_buffer bytes = golden::from_hex(*text);
            const auto decoded = decode<Message>(byte_view(bytes).subspan(frame_header_bytes));
            EXPECT_TRUE(decoded) << path << ": " << decoded.error().text;
        }
    }
};

// Frames as they were before structs in them grew: <message>.hex, and when it grew again
// <message>.2.hex and so on.
// Promise: durability.earlier_data
TEST(golden_frames, earlier_forms_decode_for_ever) {
    std::size_t found = 0;
    all_messages::for_each(decode_earlier{found});
    const auto files = std::filesystem::directory_iterator(directory / "earlier");
    EXPECT_EQ(found, static_cast<std::size_t>(std::distance(begin(files), end(files))));
}

struct collect_files {
    std::set<std::string>& files;

    template <typename Message>
    void operator()() const {
        for (int version = protocol_version_min; version <= protocol_version_max; ++version) {
            files.insert(fmt::format("{}.v{}.hex", message_name<Message>, version));
        }
    }
};

TEST(golden_frames, every_file_belongs_to_a_message) {
    std::set<std::string> expected{"batch.v1.hex", "batch_ttl.v1.hex", "batch_id.v1.hex"};
    all_messages::for_each(collect_files{expected});
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        if (entry.path().extension() == ".hex") {
            EXPECT_TRUE(expected.contains(entry.path().filename().string())) << entry.path();
        }
    }
}

void expect_golden_batch(const std::string& file, const std::string& comment,
                         const byte_buffer& encoded, std::uint32_t count = 2) {
    const auto path = directory / file;
    if (golden::update_wanted()) {
        golden::write_text(path, "# " + comment + "\n" + golden::to_hex(encoded));
    }
    const auto text = golden::read_text(path);
    ASSERT_TRUE(text) << "BROKERD_UPDATE_GOLDEN=1 writes " << path;
    const byte_buffer bytes = golden::from_hex(*text);
    EXPECT_EQ(golden::to_hex(encoded), golden::to_hex(bytes));
    const auto checked = check_batch(bytes, 2);
    ASSERT_TRUE(checked) << checked.error().text;
    EXPECT_EQ(checked->header.count, count);
    EXPECT_EQ(checked->header.first_sequence, 7U);
}

TEST(golden_frames, record_batch) {
    batch_builder builder;
    builder.add({.key = "customer-42",
                 .headers = {{"content-type", "application/json"}, {"trace", "1"}},
                 .payload = as_bytes("{\"total\": 12}")});
    builder.add({.payload = as_bytes("no key")});
    const byte_buffer encoded = builder.take(producer_id(0x1122334455667788), 7);
    expect_golden_batch("batch.v1.hex",
                        "two records, producer 0x1122334455667788, first sequence 7", encoded);
}

TEST(golden_frames, record_batch_with_times_to_live) {
    batch_builder builder;
    builder.add({.key = "customer-42", .payload = as_bytes("a minute"), .ttl_ms = 60'000});
    builder.add({.headers = {{"trace", "1"}}, .payload = as_bytes("a second"), .ttl_ms = 1000});
    const byte_buffer encoded = builder.take(producer_id(0x1122334455667788), 7);
    expect_golden_batch("batch_ttl.v1.hex",
                        "two records with 60 s and 1 s to live, producer 0x1122334455667788, first "
                        "sequence 7",
                        encoded);
}

TEST(golden_frames, record_batch_with_a_message_id) {
    batch_builder builder;
    builder.add({.key = "customer-42",
                 .headers = {{"trace", "1"}},
                 .payload = as_bytes("{\"total\": 12}"),
                 .ttl_ms = 60'000,
                 .id = "order-42"});
    const byte_buffer encoded = builder.take(producer_id(0x1122334455667788), 7);
    expect_golden_batch("batch_id.v1.hex",
                        "one record with the id order-42 and 60 s to live, producer "
                        "0x1122334455667788, first sequence 7",
                        encoded, 1);
}

}  // namespace
}  // namespace brokerd::codec
