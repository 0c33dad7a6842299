// E-mails of the samples: what is accepted, what is refused and why, what goes over the wire.
#include "tools/samples/email.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace samples {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

std::string request(std::string_view to, std::string_view subject, std::string_view body = "hi") {
    return fmt::format(R"({{"to":"{}","subject":"{}","body":"{}"}})", to, subject, body);
}

std::string error_of(std::string_view json) {
    const auto mail = parse_email(json);
    return mail ? "" : mail.error();
}

TEST(email, reads_what_it_writes) {
    const email mail{"ada@example.com", "Grüße \"x\"", "line\nline\t€"};
    const auto read = parse_email(to_json(mail));
    ASSERT_TRUE(read) << read.error();
    EXPECT_EQ(read->to, mail.to);
    EXPECT_EQ(read->subject, mail.subject);
    EXPECT_EQ(read->body, mail.body);
}

TEST(email, says_what_is_wrong) {
    EXPECT_THAT(error_of(""), HasSubstr("not a JSON object"));
    EXPECT_THAT(error_of("[]"), HasSubstr("not a JSON object"));
    EXPECT_THAT(error_of(R"({"to":1,"subject":"s","body":"b"})"), HasSubstr("\"to\""));
    EXPECT_THAT(error_of(R"({"to":"a@b","body":"b"})"), HasSubstr("\"subject\""));
    EXPECT_THAT(error_of(R"({"to":"a@b","subject":"s"})"), HasSubstr("\"body\""));
    EXPECT_THAT(error_of(request("nobody", "s")), HasSubstr("mail address"));
    EXPECT_THAT(error_of(request("a@b", "")), HasSubstr("\"subject\""));
    EXPECT_EQ(error_of(request("a@b", "s", "")), "");
}

TEST(email, nothing_can_add_headers_or_commands) {
    EXPECT_THAT(error_of(request("a@b", R"(s\r\nBcc: eve@example.com)")), HasSubstr("one line"));
    EXPECT_THAT(error_of(request(R"(a@b>\r\nRCPT TO:<eve@b)", "s")), HasSubstr("mail address"));
}

TEST(email, addresses) {
    for (const std::string_view good : {"a@b", "ada.lovelace+x@mail.example.com", "o'hara@b-c.d"}) {
        EXPECT_TRUE(is_address(good)) << good;
    }
    for (const std::string_view bad :
         {"", "@", "a@", "@b", "a@b@c", "a b@c", "a@b,c@d", "<a@b>", "a@b\n", "\xc3\xa4@b"}) {
        EXPECT_FALSE(is_address(bad)) << bad;
    }
    EXPECT_TRUE(is_address("a@" + std::string(address_bytes_max - 2, 'b')));
    EXPECT_FALSE(is_address("a@" + std::string(address_bytes_max - 1, 'b')));
}

TEST(email, subject_at_the_limit_and_one_beyond) {
    EXPECT_EQ(error_of(request("a@b", std::string(subject_bytes_max, 's'))), "");
    EXPECT_NE(error_of(request("a@b", std::string(subject_bytes_max + 1, 's'))), "");
}

TEST(email, plain_text_goes_as_it_is) {
    EXPECT_EQ(render({"ada@example.com", "Welcome", "Hello\nAda\r\n.\n"}, "signup@example.com",
                     "emails.7@brokerd", 86400),
              "Date: Fri, 02 Jan 1970 00:00:00 +0000\r\n"
              "From: signup@example.com\r\n"
              "To: ada@example.com\r\n"
              "Subject: Welcome\r\n"
              "Message-ID: <emails.7@brokerd>\r\n"
              "MIME-Version: 1.0\r\n"
              "Content-Type: text/plain; charset=us-ascii\r\n"
              "Content-Transfer-Encoding: 7bit\r\n"
              "\r\n"
              "Hello\r\nAda\r\n.\r\n");
    EXPECT_THAT(render({"a@b", "s", ""}, "c@d", "id", 0), EndsWith("7bit\r\n\r\n"));
}

TEST(email, everything_else_is_encoded) {
    const std::string text = render({"a@b", "Grüße", "schön\n"}, "c@d", "id", 0);
    EXPECT_THAT(text, HasSubstr("Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n"));
    EXPECT_THAT(text, HasSubstr("charset=utf-8\r\n"));
    EXPECT_THAT(text, EndsWith("base64\r\n\r\nc2Now7ZuCg==\r\n"));
    EXPECT_THAT(render({"a@b", "s", std::string(2000, 'x')}, "c@d", "id", 0), HasSubstr("base64"));
    EXPECT_THAT(render({"a@b", "s", std::string("a\0b", 3)}, "c@d", "id", 0), HasSubstr("base64"));
}

TEST(email, long_subjects_are_cut_between_characters) {
    std::string subject = "x";
    for (int i = 0; i < 40; ++i) {
        subject += "€";
    }
    const std::string text = render({"a@b", subject, ""}, "c@d", "id", 0);
    // 1 + 14 * 3 bytes in the first word: a 15th would not fit into 45.
    EXPECT_THAT(text,
                HasSubstr("=?utf-8?B?eOKCrOKCrOKCrOKCrOKCrOKCrOKCrOKCrOKCrOKCrOKCrOKCrOKCrOKCrA"
                          "==?=\r\n =?utf-8?B?4oKs"));
    EXPECT_THAT(text, Not(HasSubstr(std::string(76, 'K'))));
}

}  // namespace
}  // namespace samples
