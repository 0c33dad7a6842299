// Priorities of messages: written and refused before anything is sent, one for all messages of a
// batch, wherever batches are made; seen in what comes back; settings and counts both ways.
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
using testing::SizeIs;

byte_buffer ranked_record(std::uint8_t priority, const std::string& payload = "x") {
    byte_buffer record;
    const auto encoded =
        encode_message(record, "orders", {.payload = payload, .priority = priority});
    EXPECT_TRUE(encoded) << (encoded ? "" : encoded.error().what());
    return record;
}

void publish_ranked(scripted_peer& peer, unsigned priority, const std::string& payload = "x",
                    const std::optional<schedule_time>& when = std::nullopt) {
    peer.with([&](calls& out) {
        peer.state.submit("orders", ranked_record(static_cast<std::uint8_t>(priority), payload),
                          nullptr, nullptr, out, when);
    });
}

// Of each record of a batch: priority and payload.
std::vector<std::pair<std::uint8_t, std::string>> ranks_in(byte_view batch) {
    std::vector<std::pair<std::uint8_t, std::string>> found;
    const auto checked = codec::check_batch(batch, 16384);
    EXPECT_TRUE(checked) << (checked ? "" : checked.error().text);
    for (byte_view left = batch.subspan(codec::batch_header_bytes); !left.empty();) {
        const auto record = codec::check_record(left);
        if (!record) {
            ADD_FAILURE() << record.error().text;
            break;
        }
        found.emplace_back(record->priority.value_or(0), as_text(record->payload));
        left = left.subspan(record->bytes.size());
    }
    return found;
}

// What batches were sent, as priority and number of messages; each must have one priority.
std::vector<std::pair<unsigned, std::size_t>> levels_of(const std::vector<sent_frame>& frames) {
    std::vector<std::pair<unsigned, std::size_t>> found;
    for (const auto& frame : frames) {
        const auto records = ranks_in(frame.as<codec::publish>().batch.view);
        for (const auto& each : records) {
            EXPECT_EQ(each.first, records.front().first);
        }
        found.emplace_back(records.front().first, records.size());
    }
    return found;
}

// Everything that waits, each frame acknowledged so that the next ones need not wait.
std::vector<sent_frame> write_all(scripted_peer& peer) {
    std::vector<sent_frame> all;
    for (auto frames = peer.write(); !frames.empty(); frames = peer.write()) {
        for (auto& frame : frames) {
            peer.acknowledge(frame, 0);
            all.push_back(std::move(frame));
        }
    }
    return all;
}

TEST(client_priority, is_in_the_record_if_it_is_not_0) {
    const auto priority_in = [](byte_view record) { return codec::check_record(record)->priority; };
    EXPECT_EQ(priority_in(ranked_record(0)), std::nullopt);
    EXPECT_EQ(priority_in(ranked_record(1)), 1);
    EXPECT_EQ(priority_in(ranked_record(9)), 9);
}

TEST(client_priority, beyond_9_is_refused_before_anything_is_sent) {
    const outgoing_message beyond{.payload = "x", .priority = 10};
    byte_buffer record;
    for (const auto& refused :
         {encode_message(record, "orders", beyond), encode_request(record, "orders", beyond),
          encode_reply(record, beyond)}) {
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code(), client_errc::invalid_argument);
        EXPECT_THAT(refused.error().what(), HasSubstr("a priority of 10 is more than 9"));
    }
    transaction all;
    EXPECT_THROW(all.publish("orders", beyond), error);
    EXPECT_THROW(all.schedule("orders", beyond, schedule_time::after(1h)), error);
    EXPECT_TRUE(all.empty());
}

// Promise: priority.client
TEST(client_priority, a_batch_ends_where_the_priority_changes_and_nowhere_else) {
    scripted_peer peer;
    for (const unsigned priority : {0U, 0U, 7U, 7U, 7U, 0U, 9U, 0U}) {
        publish_ranked(peer, priority);
    }
    peer.greet();
    const auto frames = write_all(peer);
    EXPECT_THAT(levels_of(frames),
                ElementsAre(std::pair(0U, 2U), std::pair(7U, 3U), std::pair(0U, 1U),
                            std::pair(9U, 1U), std::pair(0U, 1U)));
    std::uint64_t next = 1;
    for (const auto& frame : frames) {
        const auto header = scripted_peer::batch_of(frame);
        EXPECT_EQ(header.first_sequence, next);
        next += header.count;
    }
}

TEST(client_priority, messages_stay_in_the_order_in_which_they_were_handed_in) {
    scripted_peer peer;
    std::vector<std::string> handed;
    for (int i = 0; i < 40; ++i) {
        handed.push_back(std::to_string(i));
        publish_ranked(peer, i % 3 == 0 ? 5 : 0, handed.back());
    }
    peer.greet();
    std::vector<std::string> sent;
    for (const auto& frame : write_all(peer)) {
        for (const auto& [priority, payload] : ranks_in(frame.as<codec::publish>().batch.view)) {
            sent.push_back(payload);
        }
    }
    EXPECT_EQ(sent, handed);
}

TEST(client_priority, of_all_the_same_nothing_is_cut) {
    for (const unsigned priority : {0U, 4U}) {
        scripted_peer peer;
        for (int i = 0; i < 100; ++i) {
            publish_ranked(peer, priority);
        }
        peer.greet();
        const sent_frame frame = peer.write_one();
        EXPECT_EQ(scripted_peer::batch_of(frame).count, 100U);
        EXPECT_EQ(scripted_peer::batch_of(frame).flags,
                  priority == 0 ? 0 : codec::record_has_priority);
    }
}

TEST(client_priority, another_one_lets_what_gathers_go) {
    scripted_peer peer;
    peer.greet();
    for (std::uint32_t i = 0; i < client_limits::frames_unanswered_max; ++i) {
        publish_ranked(peer, 0);
        (void)peer.write();
    }
    publish_ranked(peer, 0);
    publish_ranked(peer, 0);
    EXPECT_THAT(peer.write(), IsEmpty());
    publish_ranked(peer, 9);
    EXPECT_THAT(levels_of(peer.write()), ElementsAre(std::pair(0U, 2U)));
}

TEST(client_priority, the_pieces_of_a_batch_that_was_cut_keep_it) {
    scripted_peer peer;
    peer.terms.batch_records_max = 2;
    for (int i = 0; i < 3; ++i) {
        publish_ranked(peer, 3);
    }
    peer.greet();
    EXPECT_THAT(levels_of(peer.write()), ElementsAre(std::pair(3U, 2U), std::pair(3U, 1U)));
    // What is left of a batch takes only its own kind.
    scripted_peer short_of_credit;
    short_of_credit.terms.credit_messages = 2;
    for (int i = 0; i < 3; ++i) {
        publish_ranked(short_of_credit, 3);
    }
    short_of_credit.greet();
    const sent_frame first = short_of_credit.write_one();
    publish_ranked(short_of_credit, 3);
    publish_ranked(short_of_credit, 0);
    short_of_credit.acknowledge(first, 0);
    EXPECT_THAT(levels_of(short_of_credit.write()), ElementsAre(std::pair(3U, 2U)));
}

TEST(client_priority, goes_with_a_scheduled_message_and_over_a_new_connection) {
    scripted_peer peer;
    peer.greet();
    publish_ranked(peer, 6, "x", schedule_time::after(1h));
    const sent_frame frame = peer.write_one();
    EXPECT_EQ(ranks_in(frame.as<codec::schedule>().batch.view).at(0).first, 6);
    peer.reconnect();
    EXPECT_EQ(peer.write_one().body, frame.body);
}

// Promise: priority.client
TEST(client_priority, is_one_for_each_part_of_a_transaction) {
    scripted_peer peer;
    peer.terms.features |= codec::feature::transactions;
    peer.greet();
    transaction all;
    for (const std::uint8_t priority : std::vector<std::uint8_t>{1, 1, 0, 2, 2}) {
        all.publish("orders", {.payload = "x", .priority = priority});
    }
    const auto parts = transaction_access::parts(all);
    parts->committing = true;
    peer.with([&](calls& out) { peer.state.commit(parts, [](const result<committed>&) {}, out); });
    const sent_frame frame = peer.write_one();
    const auto sent = frame.as<codec::transact>();
    std::vector<std::pair<unsigned, std::size_t>> found;
    for (const auto& part : sent.publishes) {
        const auto records = ranks_in(part.batch.view);
        found.emplace_back(records.front().first, records.size());
    }
    EXPECT_THAT(found, ElementsAre(std::pair(1U, 2U), std::pair(0U, 1U), std::pair(2U, 2U)));
}

TEST(client_priority, is_seen_in_what_was_read_and_delivered) {
    byte_buffer records = ranked_record(8);
    const byte_buffer without = ranked_record(0);
    records.insert(records.end(), without.begin(), without.end());
    codec::messages reply;
    reply.runs.push_back({7, 2, wall_time{}, {records}});
    const auto page = to_page("orders", reply);
    ASSERT_TRUE(page);
    EXPECT_EQ(page->messages.at(0).priority, 8);
    EXPECT_EQ(page->messages.at(1).priority, 0);

    scripted_peer peer;
    consumer_script consumer(peer);
    consumer.attach();
    consumer.deliver_bytes({0, 2, broker_epoch(1), 1}, records);
    const message first = message_access::make(*consumer.take());
    const message second = message_access::make(*consumer.take());
    EXPECT_EQ(first.priority(), 8);
    EXPECT_EQ(second.priority(), 0);
}

TEST(client_priority, settings_go_both_ways) {
    const topic_options topic{.priorities = 3};
    EXPECT_EQ(to_wire(topic).priorities, 3);
    EXPECT_EQ(to_public(to_wire(topic)), topic);
    EXPECT_EQ(to_wire(topic_options{}).priorities, 0);
}

TEST(client_priority, slices_of_a_count_add_up) {
    level_counts counts;
    add(counts, to_public(codec::queue_levels_counted{
                    .levels = {{0, 5}, {1, 2}}, .due = 7, .next = 9, .more = true}));
    add(counts, to_public(codec::queue_levels_counted{
                    .levels = {{0, 1}, {1, 4}}, .due = 3, .next = 20, .more = false}));
    EXPECT_THAT(counts.ready, ElementsAre(6U, 6U));
    EXPECT_EQ(counts.due, 3U);
    // What no broker would say.
    EXPECT_THAT(to_public(codec::queue_levels_counted{.levels = {{255, 1}}}).ready, IsEmpty());
}

TEST(client_priority, an_older_broker_is_not_asked_for_counts) {
    scripted_peer peer;
    peer.greet();
    std::optional<error> refused;
    peer.with([&](calls& out) {
        peer.state.request<codec::queue_levels_counted>(
            codec::queue_levels{}, repeat::look,
            [](const codec::queue_levels_counted& reply) { return to_public(reply); },
            callback<level_slice>([&](const result<level_slice>& done) { refused = done.error(); }),
            out);
    });
    EXPECT_THAT(peer.write(), SizeIs(0));
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->code(), broker_errc::feature_unsupported);
    EXPECT_THAT(refused->what(), HasSubstr("too old for priorities"));
}

}  // namespace
}  // namespace brokerd::client_core
