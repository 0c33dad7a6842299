// Publish, deliver, settle, and what remains of it after goodbye, loss, restart and SIGKILL.
#include <algorithm>
#include <array>
#include <string_view>

#include "protocol/types/bytes.hpp"
#include "protocol/types/crc32c.hpp"
#include "tests/integration/broker_fixture.hpp"

namespace brokerd::integration {
namespace {

using testing::ElementsAre;

class durability_test : public broker_fixture {};

// The payloads of a delivery, which must be the next frame.
std::vector<std::string> take_payloads(raw_client& from, std::vector<lease_run>* leases = nullptr) {
    const auto delivered = from.expect<codec::deliver>();
    std::vector<std::string> result;
    for (const auto& run : delivered.runs) {
        for (auto& payload : payloads_of(run.records.view)) {
            result.push_back(std::move(payload));
        }
        if (leases != nullptr) {
            leases->push_back(run.leases);
        }
    }
    return result;
}

TEST_F(durability_test, published_consumed_and_acked_survives_a_restart_exactly) {
    queue_id queue;
    {
        const auto first = client();
        create_queue(*first);
        EXPECT_EQ(publish(*first, {"a", "b", "c"}), 0U);
        queue = attach(*first).queue;
        std::vector<lease_run> leases;
        EXPECT_THAT(take_payloads(*first, &leases), ElementsAre("a", "b", "c"));
        const lease_run only_b{leases[0].first_offset + 1, 1, leases[0].epoch,
                               leases[0].first_lease + 1};
        const auto settled = first->ask<codec::settled>(
            codec::settle{.queue = queue, .confirm = true, .runs = {only_b}});
        EXPECT_EQ(settled.accepted, 1U);
        (void)first->ask<codec::ok>(codec::goodbye{});
    }
    EXPECT_EQ(broker().terminate(), 0);
    broker().restart();
    const auto second = client();
    const auto state = queue_state(*second);
    EXPECT_EQ(state.ready, 2U);
    EXPECT_EQ(state.done, 1U);
    (void)attach(*second);
    EXPECT_THAT(take_payloads(*second), ElementsAre("a", "c"));
    EXPECT_EQ(publish(*client(), {"d"}), 3U) << "no offset is used twice";
}

// Promise: durability.ack
TEST_F(durability_test, what_was_acknowledged_survives_sigkill) {
    {
        const auto first = client();
        create_queue(*first);
    }
    std::vector<std::string> acknowledged;
    for (int cycle = 0; cycle < 5; ++cycle) {
        const auto publisher = client();
        for (int i = 0; i < 10; ++i) {
            auto payload = std::to_string(cycle) + "." + std::to_string(i);
            EXPECT_EQ(publish(*publisher, {payload}), acknowledged.size());
            acknowledged.push_back(std::move(payload));
        }
        broker().kill();
        broker().restart();
    }
    const auto consumer = client();
    const auto queue = attach(*consumer, 1, 1000).queue;
    std::vector<std::string> found;
    std::vector<lease_run> leases;
    while (found.size() < acknowledged.size()) {
        for (auto& payload : take_payloads(*consumer, &leases)) {
            found.push_back(std::move(payload));
        }
    }
    EXPECT_EQ(found, acknowledged);
    const auto settled = consumer->ask<codec::settled>(
        codec::settle{.queue = queue, .confirm = true, .runs = leases});
    EXPECT_EQ(settled.accepted, acknowledged.size());
    broker().kill();
    broker().restart();
    const auto after = client();
    EXPECT_EQ(queue_state(*after).ready, 0U) << "a confirmed ack is not undone";
    EXPECT_EQ(queue_state(*after).done, acknowledged.size());
}

// Whoever may publish must not be able to keep the broker from starting again.
TEST_F(durability_test, a_message_that_looks_like_the_commit_of_the_log_survives_sigkill) {
    std::array<std::byte, 29> commit{std::byte{1}};
    std::ranges::copy(as_bytes(std::string_view("brokerdC")), commit.begin() + 1);
    store_le(commit.data() + 9, std::uint64_t{1} << 40);
    store_le(commit.data() + 17, std::uint64_t{1} << 40);
    store_le(commit.data() + 25, crc32c(0, byte_view(commit).first(25)));
    const std::string payload(as_text(commit));
    {
        const auto publisher = client();
        create_queue(*publisher);
        (void)publish(*publisher, {payload});
    }
    broker().kill();
    broker().restart();
    const auto consumer = client();
    (void)attach(*consumer);
    EXPECT_THAT(take_payloads(*consumer), ElementsAre(payload));
}

// Promise: dedup.resend
TEST_F(durability_test, a_resend_after_sigkill_is_stored_once) {
    const producer_id producer{4711};
    {
        const auto first = client();
        create_queue(*first);
        first->publish(1, "t", make_batch({"a", "b"}, producer, 1));
        EXPECT_FALSE(first->expect<codec::published>().items.at(0).duplicate);
    }
    broker().kill();
    broker().restart();
    const auto second = client();
    second->publish(1, "t", make_batch({"a", "b"}, producer, 1));
    const auto again = second->expect<codec::published>().items.at(0);
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.base_offset, 0U);
    second->publish(2, "t", make_batch({"c"}, producer, 3));
    EXPECT_EQ(second->expect<codec::published>().items.at(0).base_offset, 2U);
}

TEST_F(durability_test, goodbye_counts_as_no_attempt) {
    const auto watcher = client("watcher@here:1");
    create_queue(*watcher);
    (void)publish(*watcher, {"x"});
    const auto consumer = client("consumer@here:2");
    (void)attach(*consumer);
    EXPECT_THAT(take_payloads(*consumer), ElementsAre("x"));
    (void)consumer->ask<codec::ok>(codec::goodbye{});
    EXPECT_TRUE(consumer->closed());
    (void)attach(*watcher);
    EXPECT_EQ(watcher->expect<codec::deliver>().runs.at(0).attempt, 1U);
}

TEST_F(durability_test, a_lost_connection_counts_as_an_attempt) {
    const auto watcher = client("watcher@here:1");
    create_queue(*watcher, {.backoff = 1ms, .backoff_max = 1ms});
    (void)publish(*watcher, {"x"});
    const auto consumer = client("consumer@here:2");
    (void)attach(*consumer);
    EXPECT_THAT(take_payloads(*consumer), ElementsAre("x"));
    consumer->drop();
    (void)attach(*watcher);
    EXPECT_EQ(watcher->expect<codec::deliver>().runs.at(0).attempt, 2U);
    const auto shown = watcher->ask<codec::shown>(codec::message_show{.topic = "t", .offset = 0});
    ASSERT_EQ(shown.queues.at(0).history.size(), 1U);
    EXPECT_EQ(shown.queues[0].history[0].outcome, attempt_outcome::lost);
    EXPECT_EQ(shown.queues[0].history[0].consumer, "consumer@here:2");
}

TEST_F(durability_test, health_and_stats_tell_the_truth) {
    const auto asking = client();
    create_queue(*asking);
    (void)publish(*asking, {"a", "b"});
    const auto health = asking->ask<codec::health_report>(codec::health{});
    EXPECT_TRUE(health.writable);
    const auto stats = asking->ask<codec::stats_report>(codec::stats{});
    const auto value = [&](std::string_view name) {
        for (const auto& item : stats.items) {
            if (item.name == name) {
                return item.value;
            }
        }
        return -1.0;
    };
    EXPECT_EQ(value("published_messages_total"), 2);
    EXPECT_EQ(value("connections"), 1);
    EXPECT_GE(value("commits_total"), 3);
}

// ---- topics of durability os ----

class os_topic_test : public broker_fixture {
protected:
    static void create_topic_and_queue(raw_client& with) {
        (void)with.ask<codec::topic_created>(
            codec::topic_create{.topic = "t", .settings = {.durability = durability::os}});
        create_queue(with);
    }
    static codec::topic_item topic_state(raw_client& with) {
        return with.ask<codec::topics>(codec::topic_list{.topic = "t"}).items.at(0);
    }
    static double stat(raw_client& with, std::string_view name) {
        const auto stats = with.ask<codec::stats_report>(codec::stats{});
        const auto at = std::ranges::find(stats.items, name, &codec::stat_item::name);
        return at == stats.items.end() ? -1.0 : at->value;
    }
};

// Promise: os.level
TEST_F(os_topic_test, an_answer_says_that_the_system_has_it) {
    const auto publisher = client();
    create_topic_and_queue(*publisher);
    for (const bool duplicate : {false, true}) {
        publisher->publish(1, "t", make_batch({"x"}, producer_id{4711}, 1));
        const auto item = publisher->expect<codec::published>().items.at(0);
        EXPECT_EQ(item.level, durability::os);
        EXPECT_EQ(item.duplicate, duplicate);
    }
}

// Promise: os.kill
TEST_F(os_topic_test, what_was_acknowledged_survives_sigkill_and_no_offset_is_used_twice) {
    broker({"--os-sync-interval", "1s"});
    create_topic_and_queue(*client());
    std::vector<std::pair<offset_t, std::string>> acknowledged;
    for (int cycle = 0; cycle < 4; ++cycle) {
        const auto publisher = client();
        for (int i = 0; i < 10; ++i) {
            const auto payload = std::to_string(cycle) + "." + std::to_string(i);
            const offset_t offset = publish(*publisher, {payload});
            EXPECT_TRUE(acknowledged.empty() || offset > acknowledged.back().first);
            acknowledged.emplace_back(offset, payload);
        }
        broker().kill();
        broker().restart();
        EXPECT_EQ(stat(*client(), "skipped_offsets_total"),
                  static_cast<double>(topic_state(*client()).next_offset -
                                      acknowledged.back().first - 1));
    }
    const auto consumer = client();
    EXPECT_EQ(topic_state(*consumer).messages, acknowledged.size());
    EXPECT_EQ(queue_state(*consumer).ready, acknowledged.size());
    const auto queue = attach(*consumer, 1, 1000).queue;
    std::vector<std::pair<offset_t, std::string>> found;
    std::vector<lease_run> leases;
    while (found.size() < acknowledged.size()) {
        const std::size_t before = leases.size();
        const auto payloads = take_payloads(*consumer, &leases);
        std::size_t at = 0;
        for (std::size_t run = before; run < leases.size(); ++run) {
            for (std::uint32_t i = 0; i < leases[run].count; ++i) {
                found.emplace_back(leases[run].first_offset + i, payloads.at(at++));
            }
        }
    }
    EXPECT_EQ(found, acknowledged);
    const auto settled = consumer->ask<codec::settled>(
        codec::settle{.queue = queue, .confirm = true, .runs = leases});
    EXPECT_EQ(settled.accepted, acknowledged.size());
    broker().kill();
    broker().restart();
    const auto after = client();
    EXPECT_EQ(queue_state(*after).ready, 0U) << "a confirmed ack is not undone";
}

// Promise: os.skipped
TEST_F(os_topic_test, what_a_kill_has_skipped_is_passed_and_explained) {
    create_topic_and_queue(*client());
    const offset_t first = publish(*client(), {"a"});
    broker().kill();
    broker().restart();
    EXPECT_THAT(broker().log(), testing::HasSubstr("topic t: offsets 1 to 16384 are skipped"));
    const auto asking = client();
    const offset_t second = publish(*asking, {"b"});
    EXPECT_EQ(second, first + 1 + limits::offsets_reserved_ahead);
    const auto read = asking->ask<codec::messages>(
        codec::read{.topic = "t", .from = {.kind = position_kind::offset, .offset = second - 1}});
    ASSERT_EQ(read.runs.size(), 1U);
    EXPECT_EQ(read.runs[0].first_offset, second);
    const auto refused =
        asking->ask<codec::error>(codec::message_show{.topic = "t", .offset = second - 1});
    EXPECT_EQ(refused.code, error_code::gone);
    EXPECT_EQ(refused.text,
              "t@16384 was reserved and never stored: the broker stopped without goodbye");
}

// Promise: os.offsets
TEST_F(os_topic_test, a_clean_stop_skips_nothing) {
    create_topic_and_queue(*client());
    EXPECT_EQ(publish(*client(), {"a", "b"}), 0U);
    EXPECT_EQ(broker().terminate(), 0);
    broker().restart();
    const auto asking = client();
    EXPECT_EQ(stat(*asking, "skipped_offsets_total"), 0);
    EXPECT_EQ(topic_state(*asking).next_offset, 2U);
    EXPECT_EQ(publish(*asking, {"c"}), 2U);
    EXPECT_EQ(queue_state(*asking).ready, 3U);
}

// Promise: durability.ephemeral
TEST_F(durability_test, an_ephemeral_broker_says_how_far_its_promise_goes) {
    broker({"--ephemeral"});
    const auto publisher = client();
    create_queue(*publisher);
    publisher->publish(1, "t", make_batch({"x"}));
    EXPECT_EQ(publisher->expect<codec::published>().items.at(0).level, durability::memory);
    EXPECT_FALSE(std::filesystem::exists(data_dir()));
}

}  // namespace
}  // namespace brokerd::integration
