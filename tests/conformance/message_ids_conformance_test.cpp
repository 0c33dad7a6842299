// What every store does with message ids and with offsets reserved and skipped, tested on each of
// them.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/conformance/store_subjects.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd {

namespace {

using test::at;
using test::new_topic;
using test::orders;

using entries = std::vector<std::optional<domain::message_id_entry>>;

constexpr topic_id returns{2};

template <typename Subject>
class message_ids_conformance : public test::store_fixture<Subject> {
protected:
    void SetUp() override {
        this->commit({new_topic(orders, "orders"), new_topic(returns, "returns")});
    }
    entries look_up(std::vector<std::string> ids, topic_id topic = orders) {
        return test::answer<domain::message_ids_fetched>(
                   this->store(), domain::fetch_message_ids{topic, std::move(ids)})
            .entries;
    }
    template <typename Wanted>
    std::vector<Wanted> loaded() {
        std::vector<Wanted> found;
        const auto state = this->store().load();
        EXPECT_TRUE(state);
        for (const auto& m : state->mutations) {
            if (const auto* wanted = std::get_if<Wanted>(&m)) {
                found.push_back(*wanted);
            }
        }
        return found;
    }
};

TYPED_TEST_SUITE(message_ids_conformance, test::store_subjects, test::store_subject_names);

TYPED_TEST(message_ids_conformance, what_was_put_is_found_in_the_order_asked) {
    const std::string longest(255, '\xff');
    const domain::message_id_entry first{at(7), 7, false};
    const domain::message_id_entry second{at(9), 3, true};
    this->commit({domain::message_id_put{orders, "a", first},
                  domain::message_id_put{orders, longest, second},
                  domain::message_id_put{returns, "b", first}});
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(this->look_up({longest, "b", "a"}), (entries{second, std::nullopt, first}));
        EXPECT_EQ(this->look_up({"b"}, returns), entries{first});
        EXPECT_EQ(this->look_up({"a"}, topic_id{99}), entries{std::nullopt});
        EXPECT_TRUE(this->look_up({}).empty());
        this->subject_.restart();
    }
    this->commit({domain::message_id_put{orders, "a", second}});
    EXPECT_EQ(this->look_up({"a"}), entries{second}) << "replaced";
}

TYPED_TEST(message_ids_conformance, they_go_with_their_topic) {
    this->commit({domain::message_id_put{orders, "a", {at(1), 1, false}},
                  domain::message_id_put{returns, "a", {at(2), 2, false}}});
    this->commit({domain::topic_removed{orders}});
    EXPECT_EQ(this->look_up({"a"}), entries{std::nullopt});
    EXPECT_EQ(this->look_up({"a"}, returns), (entries{domain::message_id_entry{at(2), 2, false}}));
}

TYPED_TEST(message_ids_conformance, what_a_topic_forgot_reserved_and_skipped_is_loaded_again) {
    const domain::message_ids_forgotten forgotten{orders, at(2), {{at(3), 60}, {at(4), 70}}};
    const domain::offsets_reserved reserved{orders, 16384};
    const domain::offsets_skipped skipped{orders, {{10, 5}, {20, 1}}};
    this->commit({domain::message_ids_forgotten{orders, at(1), {}}, forgotten,
                  domain::offsets_reserved{orders, 1}, reserved, skipped});
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(this->template loaded<domain::message_ids_forgotten>(), std::vector{forgotten});
        EXPECT_EQ(this->template loaded<domain::offsets_reserved>(), std::vector{reserved});
        EXPECT_EQ(this->template loaded<domain::offsets_skipped>(), std::vector{skipped});
        this->subject_.restart();
    }
}

}  // namespace

}  // namespace brokerd
