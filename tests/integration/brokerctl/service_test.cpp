// brokerctl service, against a real broker.
#include <future>

#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class brokerctl_service_test : public brokerctl_test {
protected:
    // Answers so many requests beside the test.
    std::future<program_end> answering(arguments how) {
        how.insert(how.begin(), {"service", "answer", "prices"});
        return std::async(std::launch::async, [this, how] { return ctl(how); });
    }
};

TEST_F(brokerctl_service_test, where_nobody_answers_that_is_said) {
    const auto asked = ctl({"service", "call", "prices", "apples?"});
    EXPECT_EQ(asked.exit_code, refused);
    EXPECT_THAT(asked.err, HasSubstr("nobody answers requests of service prices"));
    EXPECT_EQ(ctl({"service", "call", "a b"}).exit_code, usage);
    EXPECT_EQ(as_json({"service", "ls"}), json::array());
}

TEST_F(brokerctl_service_test, call_and_answer) {
    auto answered = answering({"--reply", "42", "--count", "2"});
    EXPECT_EQ(text({"service", "call", "prices", "apples?", "--wait", "60"}), "42\n");
    const auto rows = as_json({"service", "ls"});
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0]["service"], "prices");
    EXPECT_EQ(rows[0]["responders"], 1);
    EXPECT_EQ(rows[0]["answered"], 1);
    EXPECT_EQ(rows[0]["failed"], 0);
    EXPECT_EQ(text({"service", "call", "prices"}), "42\n");
    const auto end = answered.get();
    EXPECT_EQ(end.exit_code, done) << end.err;
    EXPECT_THAT(end.out, AllOf(StartsWith("brokerctl@"), HasSubstr("  apples?\n")));
    EXPECT_EQ(as_json({"service", "ls"}), json::array());
}

TEST_F(brokerctl_service_test, a_reply_comes_whole) {
    auto answered = answering({"--echo", "--count", "1", "-o", "ndjson"});
    const auto reply = as_json({"service", "call", "prices", "apples?", "--key", "k", "--header",
                                "a=b", "--timeout", "20s", "--wait", "60"});
    EXPECT_EQ(reply["service"], "prices");
    EXPECT_THAT(reply["responder"].get<std::string>(), StartsWith("brokerctl@"));
    EXPECT_EQ(reply["key"], "k");
    EXPECT_EQ(reply["headers"], json({{"a", "b"}}));
    EXPECT_EQ(reply["payload"], "apples?");
    const auto asked = lines(answered.get().out);
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_EQ(asked[0]["payload"], "apples?");
    EXPECT_THAT(asked[0]["requester"].get<std::string>(), StartsWith("brokerctl@"));
}

}  // namespace
}  // namespace brokerd::test
