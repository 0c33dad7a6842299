// Pattern queues: the queues a rule makes, now and later, and what becomes of them.
#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "protocol/types/limits.hpp"
#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

struct patterns_test : testing::Test {
    explicit patterns_test(domain_options options = {}) : h(options) {}

    codec::pattern_created create(const std::string& pattern, queue_settings settings = {},
                                  bool replace = false) {
        return h.ask<codec::pattern_created>(
            h.admin,
            codec::pattern_create{.pattern = pattern, .settings = settings, .replace = replace});
    }
    codec::error refused(codec::pattern_create what) {
        return h.ask_refused(h.admin, std::move(what));
    }
    void make_topic(const std::string& name) {
        h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = name});
    }
    std::vector<std::string> queues() {
        std::vector<std::string> paths;
        for (const auto& each : h.ask<codec::queues>(h.admin, codec::queue_list{}).items) {
            paths.push_back(each.topic + "/" + each.queue);
        }
        return paths;
    }
    std::vector<codec::pattern_item> list(const std::string& only = {}) {
        return h.ask<codec::patterns>(h.admin, codec::pattern_list{.pattern = only}).items;
    }
    void remove(const std::string& path) {
        h.ask<codec::ok>(h.admin, codec::queue_remove{.queue = path});
    }
    codec::counted remove_rule(const std::string& pattern, bool queues, bool dry_run = false) {
        return h.ask<codec::counted>(h.admin, codec::pattern_remove{pattern, queues, dry_run});
    }

    harness h;
};

TEST_F(patterns_test, makes_its_queue_in_every_topic_it_means) {
    for (const char* name : {"orders.eu", "orders.us", "orders", "orders.eu.big", "users.eu"}) {
        make_topic(name);
    }
    const auto made = create("orders.*/billing", {.attempts = 3});
    EXPECT_TRUE(made.created);
    EXPECT_EQ(made.queues, 2U);
    EXPECT_EQ(made.changed, 2U);
    EXPECT_THAT(queues(), ElementsAre("orders.eu/billing", "orders.us/billing"));
    EXPECT_EQ(h.queue_info("orders.us/billing").settings.attempts, 3U);
    create("orders.>/audit");
    EXPECT_THAT(queues(), ElementsAre("orders.eu/audit", "orders.eu/billing", "orders.eu.big/audit",
                                      "orders.us/audit", "orders.us/billing"));
}

TEST_F(patterns_test, the_rule_and_its_queues_are_one_commit) {
    make_topic("orders.eu");
    make_topic("orders.us");
    const auto before = h.store.last_commit;
    create("orders.*/billing");
    EXPECT_EQ(h.store.last_commit.value(), before.value() + 1);
    const auto with_topic = h.store.last_commit;
    make_topic("orders.asia");
    EXPECT_EQ(h.store.last_commit.value(), with_topic.value() + 1);
    EXPECT_THAT(queues(),
                ElementsAre("orders.asia/billing", "orders.eu/billing", "orders.us/billing"));
}

TEST_F(patterns_test, a_topic_that_comes_later_has_it_from_the_first_message) {
    h.ask<codec::pattern_created>(h.admin,
                                  codec::pattern_create{.pattern = "orders.*/billing",
                                                        .settings = {.attempts = 7},
                                                        .start = {.kind = position_kind::latest}});
    make_topic("orders.eu");
    h.publish("orders.eu", {"a", "b"});
    const auto info = h.queue_info("orders.eu/billing");
    EXPECT_EQ(info.ready, 2U);
    EXPECT_EQ(info.settings.attempts, 7U);
}

TEST_F(patterns_test, starts_in_topics_that_are_there_where_it_is_told_to) {
    make_topic("orders.eu");
    h.make_queue("orders.eu/all");
    h.publish("orders.eu", {"a", "b"});
    create("orders.*/early");
    h.ask<codec::pattern_created>(h.admin,
                                  codec::pattern_create{.pattern = "orders.*/late",
                                                        .start = {.kind = position_kind::latest}});
    h.publish("orders.eu", {"c"});
    EXPECT_EQ(h.queue_info("orders.eu/early").ready, 3U);
    EXPECT_EQ(h.queue_info("orders.eu/late").ready, 1U);
    for (const auto kind : {position_kind::offset, position_kind::time}) {
        EXPECT_EQ(refused({.pattern = "orders.*/x", .start = {.kind = kind}}).code,
                  error_code::invalid_argument);
    }
}

TEST_F(patterns_test, takes_a_queue_that_is_there_as_it_is) {
    h.make_queue("orders.eu/billing", {.attempts = 9});
    make_topic("orders.us");
    const auto made = create("orders.*/billing", {.attempts = 3});
    EXPECT_EQ(made.queues, 2U);
    EXPECT_EQ(made.changed, 1U);
    EXPECT_EQ(h.queue_info("orders.eu/billing").settings.attempts, 9U);
}

TEST_F(patterns_test, a_queue_of_another_mode_refuses_the_whole) {
    make_topic("orders.asia");
    h.make_queue("orders.eu/billing", {}, queue_mode::keyed);
    const auto error = refused({.pattern = "orders.*/billing"});
    EXPECT_EQ(error.code, error_code::queue_exists);
    EXPECT_THAT(error.text, HasSubstr("orders.eu/billing exists with mode keyed"));
    EXPECT_THAT(queues(), ElementsAre("orders.eu/billing"));
    EXPECT_THAT(list(), IsEmpty());
}

TEST_F(patterns_test, rules_that_may_mean_the_same_topic_have_one_mode) {
    create("orders.*/billing");
    EXPECT_EQ(refused({.pattern = "*.eu/billing", .mode = queue_mode::single}).code,
              error_code::pattern_exists);
    EXPECT_EQ(refused({.pattern = "orders.*/billing", .mode = queue_mode::single}).code,
              error_code::pattern_exists);
    h.ask<codec::pattern_created>(h.admin, codec::pattern_create{.pattern = "users.*.app/billing",
                                                                 .mode = queue_mode::single});
    // Of several the oldest one says the settings.
    create("*.eu/billing", {.attempts = 5});
    make_topic("orders.eu");
    EXPECT_EQ(h.queue_info("orders.eu/billing").settings.attempts, limits::attempts_default);
    EXPECT_EQ(list("*.eu/billing").at(0).queues, 1U);
    EXPECT_EQ(list("orders.*/billing").at(0).queues, 1U);
}

TEST_F(patterns_test, is_there_once_and_says_what_differs) {
    make_topic("orders.eu");
    create("orders.*/billing", {.attempts = 3});
    const auto again = create("orders.*/billing", {.attempts = 4});
    EXPECT_FALSE(again.created);
    EXPECT_THAT(again.differing, ElementsAre("attempts"));
    EXPECT_EQ(again.settings.attempts, 3U);
    EXPECT_EQ(again.changed, 0U);
}

TEST_F(patterns_test, settings_are_replaced_in_all_its_queues_and_later_ones) {
    h.make_queue("orders.eu/billing", {.expires = 1h, .until = 100});
    make_topic("orders.us");
    create("orders.*/billing");
    const auto before = h.store.last_commit;
    create("orders.*/billing", {.lease = 9s}, true);
    EXPECT_EQ(h.store.last_commit.value(), before.value() + 1) << "in one commit";
    const auto changed = create("orders.*/billing", {.lease = 5s, .filter = "size>=1024"}, true);
    EXPECT_FALSE(changed.created);
    EXPECT_EQ(changed.changed, 2U);
    EXPECT_THAT(changed.differing, IsEmpty());
    make_topic("orders.asia");
    for (const char* each : {"orders.eu", "orders.us", "orders.asia"}) {
        const auto settings = h.queue_info(std::string(each) + "/billing").settings;
        EXPECT_EQ(settings.lease, 5s) << each;
        EXPECT_EQ(settings.filter, "size >= 1KiB") << each;
    }
    EXPECT_EQ(h.queue_info("orders.eu/billing").settings.until, 100U) << "its own";
    EXPECT_EQ(h.queue_info("orders.eu/billing").settings.expires, 1h) << "its own";
    EXPECT_EQ(create("orders.*/billing", {.lease = 5s, .filter = "size>=1024"}, true).changed, 0U);
    EXPECT_EQ(refused({.pattern = "orders.*/x", .settings = {.until = 1}}).code,
              error_code::invalid_setting);
    EXPECT_EQ(refused({.pattern = "orders.*/x", .settings = {.attempts = 0}}).code,
              error_code::invalid_setting);
}

// They would go while nobody is attached, and nothing would make them again.
TEST_F(patterns_test, its_queues_are_not_temporary) {
    make_topic("orders.eu");
    const auto no = refused({.pattern = "orders.*/x", .settings = {.expires = 10s}});
    EXPECT_EQ(no.code, error_code::invalid_setting);
    EXPECT_THAT(no.text, HasSubstr("expires"));
    create("orders.*/billing");
    EXPECT_EQ(
        refused({.pattern = "orders.*/billing", .settings = {.expires = 10s}, .replace = true})
            .code,
        error_code::invalid_setting);
    h.pass(1h);
    EXPECT_EQ(h.queue_info("orders.eu/billing").settings.expires, duration_us{0});
}

TEST_F(patterns_test, a_queue_that_was_removed_comes_again_with_its_topic) {
    make_topic("orders.eu");
    create("orders.*/billing");
    remove("orders.eu/billing");
    create("orders.*/billing");
    create("orders.*/billing", {.attempts = 2}, true);
    EXPECT_THAT(queues(), IsEmpty());
    EXPECT_EQ(list().at(0).queues, 0U);
    h.ask<codec::ok>(h.admin, codec::topic_remove{.topic = "orders.eu"});
    make_topic("orders.eu");
    EXPECT_THAT(queues(), ElementsAre("orders.eu/billing"));
    remove("orders.eu/billing");
    h.make_queue("orders.eu/billing");
    EXPECT_EQ(list().at(0).queues, 1U) << "whoever made it";
}

TEST_F(patterns_test, a_queue_that_is_created_with_its_topic_may_be_one_of_a_rule) {
    create("orders.*/billing", {.attempts = 3});
    const auto made = h.ask<codec::queue_created>(
        h.admin, codec::queue_create{.queue = "orders.eu/billing", .create_topic = true});
    EXPECT_TRUE(made.created);
    EXPECT_TRUE(made.topic_created);
    EXPECT_EQ(made.settings.attempts, 3U);
    EXPECT_THAT(made.differing, ElementsAre("attempts"));
    EXPECT_EQ(h.ask_refused(h.admin, codec::queue_create{.queue = "orders.us/billing",
                                                         .mode = queue_mode::keyed,
                                                         .create_topic = true})
                  .code,
              error_code::queue_exists);
    h.make_queue("orders.us/other");
    EXPECT_THAT(queues(), ElementsAre("orders.eu/billing", "orders.us/billing", "orders.us/other"));
}

TEST_F(patterns_test, goes_without_its_queues_or_with_them) {
    make_topic("orders.eu");
    make_topic("orders.us");
    create("orders.*/billing");
    EXPECT_EQ(remove_rule("orders.*/billing", true, true).messages, 2U);
    EXPECT_THAT(list(), SizeIs(1));
    EXPECT_EQ(remove_rule("orders.*/billing", false).messages, 0U);
    EXPECT_THAT(list(), IsEmpty());
    EXPECT_THAT(queues(), SizeIs(2));
    make_topic("orders.asia");
    EXPECT_THAT(queues(), SizeIs(2));

    create("orders.*/billing");
    create("*.eu/billing");
    EXPECT_EQ(remove_rule("orders.*/billing", true).messages, 2U);
    EXPECT_THAT(queues(), ElementsAre("orders.eu/billing")) << "another rule means it";
    h.restart();
    EXPECT_THAT(queues(), ElementsAre("orders.eu/billing"));
    EXPECT_THAT(list(), SizeIs(1));
    EXPECT_EQ(h.ask_refused(h.admin, codec::pattern_remove{.pattern = "orders.*/billing"}).code,
              error_code::pattern_not_found);
}

TEST_F(patterns_test, outlives_a_restart) {
    make_topic("orders.eu");
    create("orders.*/billing", {.attempts = 3});
    create("orders.*/billing", {.attempts = 4}, true);
    create("orders.>/audit");
    h.restart();
    const auto known = list();
    ASSERT_THAT(known, SizeIs(2));
    EXPECT_EQ(known[0].pattern, "orders.*/billing");
    EXPECT_EQ(known[0].settings.attempts, 4U);
    EXPECT_EQ(known[0].queues, 1U);
    EXPECT_EQ(known[1].pattern, "orders.>/audit");
    make_topic("orders.us");
    EXPECT_EQ(h.queue_info("orders.us/billing").settings.attempts, 4U);
    EXPECT_EQ(list("orders.>/audit").at(0).queues, 2U);
}

TEST_F(patterns_test, is_listed_in_pages) {
    for (const char* each : {"a.*/q", "b.*/q", "c.*/q"}) {
        create(each);
    }
    const auto first = h.ask<codec::patterns>(h.admin, codec::pattern_list{.limit = 2});
    EXPECT_TRUE(first.more);
    ASSERT_THAT(first.items, SizeIs(2));
    const auto second =
        h.ask<codec::patterns>(h.admin, codec::pattern_list{.after = first.items[1].pattern});
    EXPECT_FALSE(second.more);
    ASSERT_THAT(second.items, SizeIs(1));
    EXPECT_EQ(second.items[0].pattern, "c.*/q");
    EXPECT_EQ(h.ask_refused(h.admin, codec::pattern_list{.pattern = "d.*/q"}).code,
              error_code::pattern_not_found);
}

TEST_F(patterns_test, names_of_topics_and_queues_stay_without_wildcards) {
    for (const char* each : {"orders/billing", "orders.*", "orders.*/*", ">.a/q", "a*/q", "/q"}) {
        EXPECT_EQ(refused({.pattern = each}).code, error_code::invalid_name) << each;
    }
    EXPECT_EQ(h.ask_refused(h.admin, codec::topic_create{.topic = "orders.*"}).code,
              error_code::invalid_name);
    EXPECT_EQ(h.ask_refused(h.admin,
                            codec::queue_create{.queue = "orders.*/billing", .create_topic = true})
                  .code,
              error_code::invalid_name);
}

// ---- bounds ----

struct narrow_topics_test : patterns_test {
    narrow_topics_test() : patterns_test({.queues_per_topic_max = 2}) {}
};

TEST_F(narrow_topics_test, there_are_no_more_rules_than_a_topic_may_have_queues) {
    create("a.*/one");
    create("a.*/two");
    EXPECT_EQ(refused({.pattern = "b.*/three"}).code, error_code::too_many_patterns);
    make_topic("a.x");
    EXPECT_THAT(queues(), ElementsAre("a.x/one", "a.x/two"));
    EXPECT_EQ(
        h.ask_refused(h.admin, codec::queue_create{.queue = "a.y/three", .create_topic = true})
            .code,
        error_code::too_many_queues);
    EXPECT_THAT(queues(), SizeIs(2)) << "nor is the topic made";
}

TEST_F(narrow_topics_test, a_topic_without_room_refuses_the_whole) {
    make_topic("a.w");
    h.make_queue("a.x/1");
    h.make_queue("a.x/2");
    EXPECT_EQ(refused({.pattern = "a.*/q"}).code, error_code::too_many_queues);
    EXPECT_THAT(queues(), SizeIs(2));
}

TEST_F(patterns_test, means_a_bounded_number_of_topics) {
    for (std::uint32_t i = 0; i <= limits::pattern_topics_max; ++i) {
        h.state.apply(
            request{h.admin, 1'000'000 + i, codec::topic_create{.topic = fmt::format("t.{}", i)}},
            h.now, h.out);
    }
    h.run();
    EXPECT_EQ(refused({.pattern = "t.*/q"}).code, error_code::pattern_too_wide);
    EXPECT_THAT(list(), IsEmpty());
    h.ask<codec::ok>(h.admin, codec::topic_remove{.topic = "t.0"});
    EXPECT_EQ(create("t.*/q").changed, limits::pattern_topics_max);
}

}  // namespace
}  // namespace brokerd::domain::test
