// Why a queue or a message does not move: a case for each sentence that explain has.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>

#include "broker/domain/explain_reasons.hpp"
#include "tests/unit/domain/explain_cases.hpp"
#include "tests/unit/domain/explain_scenes.hpp"

namespace brokerd::domain::test {
namespace {

std::vector<explain_case> all_cases() {
    std::vector<explain_case> all;
    for (const explain_cases each : {cases_of_queues(), cases_of_standstill(), cases_of_keys(),
                                     cases_of_order(), cases_of_levels(), cases_of_states()}) {
        all.insert(all.end(), each.begin(), each.end());
    }
    return all;
}

class explain_test : public testing::TestWithParam<explain_case> {};

// Promise: explain.states
TEST_P(explain_test, says) {
    EXPECT_EQ(GetParam().said(), GetParam().sentence);
}

INSTANTIATE_TEST_SUITE_P(sentences, explain_test, testing::ValuesIn(all_cases()),
                         [](const auto& each) { return std::string(each.param.name); });

// The parts between the {} follow each other in the text.
bool is_said_in(std::string_view sentence, std::string_view text) {
    while (true) {
        const auto hole = sentence.find("{}");
        const std::string_view part = sentence.substr(0, hole);
        const auto at = text.find(part);
        if (at == std::string_view::npos) {
            return false;
        }
        if (hole == std::string_view::npos) {
            return true;
        }
        text.remove_prefix(at + part.size());
        sentence.remove_prefix(hole + 2);
    }
}

// Promise: explain.states
TEST(explain_sentences, each_has_a_case) {
    const auto cases = all_cases();
    for (const std::string_view sentence : explain_sentences()) {
        EXPECT_TRUE(std::ranges::any_of(cases, [&](const explain_case& each) {
            return is_said_in(sentence, each.sentence);
        })) << sentence;
    }
}

TEST(explain_sentences, what_is_not_appended_yet_is_refused_with_one) {
    scene s;
    const auto refused = s.h.ask_refused(s.h.admin, codec::queue_explain{"t/q", true, 9});
    EXPECT_EQ(refused.code, error_code::not_found);
    EXPECT_EQ(refused.text, "t@9 does not exist; the next message will be t@0");
}

}  // namespace
}  // namespace brokerd::domain::test
