// Foreign bytes: nothing a message holds can act upon a terminal or break JSON.
#include "tools/brokerctl/text.hpp"

#include <gtest/gtest.h>

namespace brokerd::ctl {
namespace {

using namespace std::string_view_literals;

TEST(text, utf8) {
    EXPECT_TRUE(is_utf8(""));
    EXPECT_TRUE(is_utf8("plain"));
    EXPECT_TRUE(is_utf8("größe € 😀"));
    EXPECT_FALSE(is_utf8("\xff"));
    EXPECT_FALSE(is_utf8("\xc0\xaf"));          // overlong
    EXPECT_FALSE(is_utf8("\xed\xa0\x80"));      // surrogate
    EXPECT_FALSE(is_utf8("\xe2\x82"));          // cut
    EXPECT_FALSE(is_utf8("\xf4\x90\x80\x80"));  // beyond U+10FFFF
}

TEST(text, json_payloads_stay_readable) {
    EXPECT_EQ(terminal_text(R"({"id":42,"name":"größe"})"), R"({"id":42,"name":"größe"})");
}

TEST(text, control_characters_are_escaped) {
    EXPECT_EQ(terminal_text("a\nb\tc\rd"), R"(a\nb\tc\rd)");
    EXPECT_EQ(terminal_text("\x1b[31mred"), R"(\x1b[31mred)");
    EXPECT_EQ(terminal_text("\x7f\0"sv), R"(\x7f\x00)");
    EXPECT_EQ(terminal_text("\xc2\x9b"), R"(\xc2\x9b)");  // CSI as one code point
    EXPECT_EQ(terminal_text("\xff\xfe"), R"(\xff\xfe)");
}

TEST(text, width_counts_code_points) {
    EXPECT_EQ(display_width("abc"), 3U);
    EXPECT_EQ(display_width("größe"), 5U);
}

TEST(text, base64_is_rfc4648) {
    EXPECT_EQ(base64(""), "");
    EXPECT_EQ(base64("f"), "Zg==");
    EXPECT_EQ(base64("fo"), "Zm8=");
    EXPECT_EQ(base64("foo"), "Zm9v");
    EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
    EXPECT_EQ(base64("\xff\xfe\0"sv), "//4A");
}

}  // namespace
}  // namespace brokerd::ctl
