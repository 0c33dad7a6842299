// PROTOCOL.md agrees with the code: its generated blocks are those of the descriptions, and every
// message and error has its place. BROKERD_UPDATE_GOLDEN=1 rewrites the blocks.
#include <string>

#include <gtest/gtest.h>

#include "protocol/codec/registry.hpp"
#include "tests/golden/protocol/document.hpp"
#include "tests/golden/protocol/hex.hpp"

namespace brokerd::codec {
namespace {

const std::filesystem::path page = "protocol/PROTOCOL.md";

// Promise: client.protocol
TEST(protocol_page, generated_blocks_are_up_to_date) {
    const auto text = golden::read_text(page);
    ASSERT_TRUE(text);
    std::string missing;
    const std::string expected = document::replace_blocks(*text, document::blocks(), missing);
    EXPECT_EQ(missing, "") << "blocks without markers";
    if (golden::update_wanted()) {
        golden::write_text(page, expected);
        return;
    }
    EXPECT_TRUE(expected == *text)
        << page << " is behind the code; BROKERD_UPDATE_GOLDEN=1 rewrites its tables";
}

struct is_explained {
    const std::string& text;

    template <typename Message>
    void operator()() const {
        EXPECT_NE(text.find("`" + std::string(message_name<Message>) + "`"), std::string::npos)
            << message_name<Message> << " appears in no table of requests and replies";
    }
};

TEST(protocol_page, every_message_is_in_the_tables_of_requests_and_replies) {
    const auto text = golden::read_text(page);
    ASSERT_TRUE(text);
    all_messages::for_each(is_explained{*text});
}

}  // namespace
}  // namespace brokerd::codec
