// Ids of messages: written and refused before anything is sent, alone in their batch but in their
// place, not sent to a broker that does not look at them; what the answer tells; settings both
// ways.
#include <gmock/gmock.h>

#include "client/src/client_limits.hpp"
#include "client/src/convert.hpp"
#include "client/src/message_access.hpp"
#include "client/src/transaction_parts.hpp"
#include "tests/unit/client/consumer_script.hpp"

namespace brokerd::client_core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;
using testing::Property;
using testing::SizeIs;

byte_buffer named_record(const std::string& id) {
    byte_buffer record;
    const auto encoded = encode_message(record, "orders", {.key = "k", .payload = "x", .id = id});
    EXPECT_TRUE(encoded) << (encoded ? "" : encoded.error().what());
    return record;
}

std::optional<std::string_view> id_in(byte_view record) {
    const auto parsed = codec::check_record(record);
    EXPECT_TRUE(parsed);
    EXPECT_EQ(parsed->key, "k");
    EXPECT_EQ(as_text(parsed->payload), "x");
    return parsed->id;
}

// A peer whose broker looks at ids.
class naming_peer : public scripted_peer {
public:
    naming_peer() { terms.features |= codec::feature::message_ids | codec::feature::transactions; }

    struct told {
        std::uint64_t offset = 0;
        bool duplicate = false;
        durability_level level{};
        std::optional<error> failure;
    };

    // What it is told stays valid as long as the peer.
    told& publish_named(const std::string& id,
                        const std::optional<schedule_time>& when = std::nullopt) {
        told& is = told_.emplace_back();
        with([&](calls& out) {
            state.submit(
                "orders", named_record(id),
                [&is](const publish_result& result) {
                    is.offset = result.offset;
                    is.duplicate = result.duplicate;
                    is.level = result.level;
                    if (!result) {
                        is.failure = *result.failure;
                    }
                },
                nullptr, out, when);
        });
        return is;
    }
    void commit(const std::shared_ptr<transaction_parts>& parts, std::optional<error>& failure) {
        parts->committing = true;
        with([&](calls& out) {
            state.commit(
                parts,
                [&failure](const result<committed>& done) {
                    if (!done) {
                        failure = done.error();
                    }
                },
                out);
        });
    }

private:
    std::deque<told> told_;
};

std::vector<std::pair<std::uint64_t, std::uint32_t>> batches_in(
    const std::vector<sent_frame>& frames) {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> batches;
    for (const auto& frame : frames) {
        const auto header = scripted_peer::batch_of(frame);
        batches.emplace_back(header.first_sequence, header.count);
    }
    return batches;
}

TEST(client_message_id, is_in_the_record_if_there_is_one) {
    EXPECT_EQ(id_in(named_record("")), std::nullopt);
    EXPECT_THAT(id_in(named_record("order-42")), Optional(std::string_view("order-42")));
    const std::string any("\0\xff\n", 3);
    EXPECT_THAT(id_in(named_record(any)), Optional(std::string_view(any)));
    const std::string longest(limits::message_id_bytes_max, 'i');
    EXPECT_THAT(id_in(named_record(longest)), Optional(std::string_view(longest)));
}

TEST(client_message_id, beyond_its_limit_is_refused) {
    const outgoing_message beyond{.payload = "x",
                                  .id = std::string(limits::message_id_bytes_max + 1, 'i')};
    byte_buffer record;
    const auto refused = encode_message(record, "orders", beyond);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), client_errc::invalid_argument);
    EXPECT_THAT(refused.error().what(), HasSubstr("256 bytes is larger than 255"));
    transaction all;
    EXPECT_THROW(all.publish("orders", beyond), error);
}

TEST(client_message_id, is_alone_in_its_batch_and_in_its_place) {
    naming_peer peer;
    for (const char* id : {"", "", "a", "b", "", ""}) {
        peer.publish_named(id);
    }
    peer.greet();
    const auto frames = peer.write();
    EXPECT_THAT(batches_in(frames), ElementsAre(std::pair(1U, 2U), std::pair(3U, 1U),
                                                std::pair(4U, 1U), std::pair(5U, 2U)));
    const auto first = scripted_peer::batch_of(frames.at(0));
    const auto named = scripted_peer::batch_of(frames.at(1));
    EXPECT_EQ(first.flags, codec::record_has_key);
    EXPECT_EQ(named.flags, codec::record_has_key | codec::record_has_id);
    EXPECT_EQ(named.producer, first.producer);
}

TEST(client_message_id, waits_for_no_company_nor_does_what_is_before_it) {
    naming_peer peer;
    peer.greet();
    for (std::uint32_t i = 0; i < client_limits::frames_unanswered_max; ++i) {
        peer.publish_named("");
        (void)peer.write();
    }
    peer.publish_named("");
    EXPECT_THAT(peer.write(), IsEmpty());
    peer.publish_named("a");
    peer.publish_named("");
    constexpr std::uint64_t next = client_limits::frames_unanswered_max + 1;
    EXPECT_THAT(batches_in(peer.write()),
                ElementsAre(std::pair(next, 1U), std::pair(next + 1, 1U)));
}

TEST(client_message_id, is_not_sent_to_a_broker_that_does_not_look_at_it) {
    naming_peer peer;
    peer.terms.features = codec::feature::schedules;
    const auto& named = peer.publish_named("a");
    const auto& later = peer.publish_named("b", schedule_time::after(1s));
    const auto& plain = peer.publish_named("");
    peer.greet();
    EXPECT_THAT(peer.write(), SizeIs(1));
    for (const auto* each : {&named, &later}) {
        ASSERT_TRUE(each->failure);
        EXPECT_EQ(each->failure->code(), broker_errc::feature_unsupported);
        EXPECT_THAT(each->failure->what(), HasSubstr("too old for messages with an id"));
    }
    EXPECT_FALSE(plain.failure);
}

TEST(client_message_id, unanswered_is_sent_again_unless_the_broker_does_not_look_any_more) {
    naming_peer peer;
    peer.greet();
    const auto& named = peer.publish_named("a");
    const sent_frame before = peer.write_one();
    peer.reconnect();
    EXPECT_EQ(peer.write_one().body, before.body);
    peer.terms.features = 0;
    peer.reconnect();
    EXPECT_THAT(peer.write(), IsEmpty());
    ASSERT_TRUE(named.failure);
    EXPECT_EQ(named.failure->code(), client_errc::outcome_unknown);
}

TEST(client_message_id, the_result_tells_a_duplicate_and_how_safe_it_is) {
    naming_peer peer;
    peer.greet();
    const auto& first = peer.publish_named("a");
    const sent_frame frame = peer.write_one();
    codec::published reply;
    reply.credit_messages = 1;
    reply.items.push_back({frame.request, 7, durability::os, true});
    peer.say(0, reply);
    EXPECT_EQ(first.offset, 7U);
    EXPECT_TRUE(first.duplicate);
    EXPECT_EQ(first.level, durability_level::os);
    const auto& second = peer.publish_named("b");
    peer.acknowledge(peer.write_one(), 8);
    EXPECT_FALSE(second.duplicate);
    EXPECT_EQ(second.level, durability_level::disk);
}

TEST(client_message_id, goes_with_a_scheduled_message) {
    naming_peer peer;
    peer.greet();
    peer.publish_named("a", schedule_time::after(1h));
    const sent_frame frame = peer.write_one();
    EXPECT_EQ(frame.type, codec::frame_type::schedule);
    EXPECT_EQ(scripted_peer::batch_of(frame).flags, codec::record_has_key | codec::record_has_id);
}

TEST(client_message_id, is_a_part_of_a_transaction_of_its_own) {
    naming_peer peer;
    peer.greet();
    transaction all;
    for (const char* id : {"", "", "a", "b", "", ""}) {
        all.publish("orders", {.payload = "x", .id = id});
    }
    all.schedule("orders", {.payload = "x", .id = "c"}, schedule_time::after(1h));
    std::optional<error> failure;
    peer.commit(transaction_access::parts(all), failure);
    const sent_frame frame = peer.write_one();
    const auto sent = frame.as<codec::transact>();
    std::vector<std::uint32_t> counts;
    for (const auto& part : sent.publishes) {
        const auto batch = codec::check_batch(part.batch.view, 16384);
        ASSERT_TRUE(batch) << batch.error().text;
        counts.push_back(batch->header.count);
    }
    EXPECT_THAT(counts, ElementsAre(2U, 1U, 1U, 2U, 1U));
}

TEST(client_message_id, a_transaction_with_one_needs_a_broker_that_looks_at_it) {
    naming_peer peer;
    peer.terms.features = codec::feature::transactions;
    peer.greet();
    transaction all;
    all.publish("orders", {.payload = "x", .id = "a"});
    std::optional<error> failure;
    peer.commit(transaction_access::parts(all), failure);
    EXPECT_THAT(peer.write(), IsEmpty());
    EXPECT_THAT(failure,
                Optional(Property(&error::what, HasSubstr("too old for messages with an id"))));
    failure.reset();

    peer.terms.features |= codec::feature::message_ids;
    peer.reconnect();
    peer.commit(transaction_access::parts(all), failure);
    (void)peer.write_one();
    peer.terms.features = codec::feature::transactions;
    peer.reconnect();
    EXPECT_THAT(peer.write(), IsEmpty());
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), client_errc::outcome_unknown);
}

TEST(client_message_id, is_seen_in_what_was_read_and_delivered) {
    byte_buffer records = named_record("order-42");
    const byte_buffer without = named_record("");
    records.insert(records.end(), without.begin(), without.end());
    codec::messages reply;
    reply.runs.push_back({7, 2, wall_time{}, {records}});
    const auto page = to_page("orders", reply);
    ASSERT_TRUE(page);
    EXPECT_EQ(page->messages.at(0).id, "order-42");
    EXPECT_EQ(page->messages.at(1).id, "");

    naming_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.deliver_bytes({0, 2, broker_epoch(1), 1}, records);
    const message first = message_access::make(*consumer.take());
    const message second = message_access::make(*consumer.take());
    EXPECT_EQ(first.id(), "order-42");
    EXPECT_EQ(first.key(), "k");
    EXPECT_EQ(second.id(), "");
}

TEST(client_message_id, settings_go_both_ways) {
    const topic_options topic{.durability = durability_level::os, .message_id_window = 2h};
    EXPECT_EQ(to_wire(topic).durability, durability::os);
    EXPECT_EQ(to_wire(topic).message_id_window, 2h);
    EXPECT_EQ(to_public(to_wire(topic)), topic);
    EXPECT_EQ(to_public(topic_settings{}), topic_options{});
    EXPECT_EQ(to_wire(topic_options{}), topic_settings{});
    EXPECT_EQ(to_string(durability_level::disk), "disk");
    EXPECT_EQ(to_string(durability_level::memory), "memory");
    EXPECT_EQ(to_string(durability_level::os), "os");
}

}  // namespace
}  // namespace brokerd::client_core
