// What every store does with pattern queues, tested on each of them.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/conformance/store_subjects.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd {

namespace {

using test::at;
using test::new_topic;
using test::orders;

domain::pattern_put rule(std::uint64_t id, const std::string& topics,
                         queue_settings settings = {}) {
    return {pattern_id{id}, topics, "billing", queue_mode::keyed, std::move(settings), at(1)};
}

template <typename Subject>
class patterns_conformance : public test::store_fixture<Subject> {
protected:
    std::vector<domain::pattern_put> loaded() {
        std::vector<domain::pattern_put> found;
        const auto state = this->store().load();
        EXPECT_TRUE(state);
        for (const auto& m : state->mutations) {
            if (const auto* wanted = std::get_if<domain::pattern_put>(&m)) {
                found.push_back(*wanted);
            }
        }
        return found;
    }
};

TYPED_TEST_SUITE(patterns_conformance, test::store_subjects, test::store_subject_names);

TYPED_TEST(patterns_conformance, rules_are_loaded_again_as_they_were_put_last) {
    const auto first = rule(7, "orders.*");
    const auto second = rule(300, "*.eu");
    const auto changed = rule(7, "orders.*", {.attempts = 3, .filter = "key = 'a'"});
    this->commit({first, second});
    EXPECT_EQ(this->loaded(), (std::vector{first, second}));
    this->commit({changed});
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(this->loaded(), (std::vector{changed, second}));
        this->subject_.restart();
    }
    this->commit({domain::pattern_erased{pattern_id{7}}});
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(this->loaded(), std::vector{second});
        this->subject_.restart();
    }
}

TYPED_TEST(patterns_conformance, they_stay_when_topics_go) {
    const auto only = rule(7, "orders.*");
    this->commit({new_topic(orders, "orders.eu"), only});
    this->commit({domain::topic_removed{orders}});
    EXPECT_EQ(this->loaded(), std::vector{only});
}

TYPED_TEST(patterns_conformance, their_ids_are_not_given_to_topics) {
    this->commit({rule(900, "orders.*")});
    EXPECT_EQ(this->store().load()->next_id, 901U);
    this->commit({domain::pattern_erased{pattern_id{900}}});
    this->subject_.restart();
    EXPECT_EQ(this->store().load()->next_id, 901U);
}

}  // namespace

}  // namespace brokerd
