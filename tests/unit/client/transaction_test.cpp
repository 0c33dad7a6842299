// Transactions: what their frame holds, outcomes, resending, the leases in them, limits, closing.
#include <deque>

#include <gmock/gmock.h>

#include "client/src/client_limits.hpp"
#include "client/src/message_access.hpp"
#include "client/src/transaction_parts.hpp"
#include "tests/unit/client/consumer_script.hpp"

namespace brokerd::client_core {
namespace {

using codec::frame_type;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

lease_run leases(offset_t offset, std::uint32_t count, std::uint64_t lease) {
    return {offset, count, broker_epoch(1), lease};
}

struct commit_outcome {
    std::optional<committed> done;
    std::optional<error> failure;
    [[nodiscard]] bool open() const { return !done && !failure; }
    [[nodiscard]] std::error_code code() const {
        return failure ? failure->code() : std::error_code();
    }
};

class client_transaction : public testing::Test {
protected:
    client_transaction() {
        peer.terms.features |= codec::feature::transactions;
        peer.terms.database_id = "first";
    }

    // As commit() does it. The outcome stays valid as long as the test.
    commit_outcome& commit(transaction& what) {
        commit_outcome& outcome = outcomes.emplace_back();
        const auto parts = transaction_access::parts(what);
        parts->committing = true;
        peer.with([&](calls& out) {
            peer.state.commit(
                parts,
                [&outcome](result<committed> got) {
                    EXPECT_TRUE(outcome.open());
                    if (got) {
                        outcome.done = std::move(*got);
                    } else {
                        outcome.failure = got.error();
                    }
                },
                out);
        });
        return outcome;
    }
    // Connects, delivers `count` messages and takes them.
    static std::vector<message> hold(consumer_script& consumer, std::size_t count,
                                     offset_t first = 0) {
        if (!consumer.opened) {
            consumer.attach();
        }
        consumer.deliver(first, first + 1, std::vector<std::string>(count, "x"));
        std::vector<message> out;
        for (std::size_t i = 0; i < count; ++i) {
            out.push_back(message_access::make(*consumer.take()));
        }
        return out;
    }
    static std::vector<std::string> payloads_of(const codec::transact_publish& part) {
        const auto batch = codec::check_batch(part.batch.view, 16384);
        EXPECT_TRUE(batch) << (batch ? "" : batch.error().text);
        EXPECT_EQ(batch->header.producer, producer_id());
        EXPECT_EQ(batch->header.first_sequence, 0U);
        std::vector<std::string> out;
        byte_view left = batch->bytes.subspan(codec::batch_header_bytes);
        while (!left.empty()) {
            const auto record = codec::parse_record(left);
            out.emplace_back(as_text(record->payload));
            left = left.subspan(record->bytes.size());
        }
        return out;
    }
    void answer(const sent_frame& frame, const std::vector<offset_t>& offsets,
                bool duplicate = false) {
        codec::transacted reply;
        reply.duplicate = duplicate;
        for (const offset_t offset : offsets) {
            reply.publishes.push_back({offset});
        }
        peer.say(frame.request, reply);
    }
    static transaction publishing(const std::string& payload, int parts = 1) {
        transaction out;
        for (int i = 0; i < parts; ++i) {
            out.publish(i % 2 == 0 ? "even" : "odd", {.payload = payload});
        }
        return out;
    }
    static transaction acking(std::vector<message> messages) {
        transaction out;
        for (message& each : messages) {
            out.ack(std::move(each));
        }
        return out;
    }

    scripted_peer peer;
    std::deque<commit_outcome> outcomes;
};

// ---- the frame

TEST_F(client_transaction, what_goes_to_one_topic_one_after_the_other_is_one_batch) {
    peer.greet();
    transaction all;
    all.publish("invoices", {.payload = "1"});
    all.publish("invoices", {.key = "k", .payload = "2"});
    all.schedule("invoices", {.payload = "3"}, schedule_time::after(1h));
    all.schedule("invoices", {.payload = "4"}, schedule_time::at(timestamp(5s)));
    all.publish("invoices", {.payload = "5"});
    all.publish("audit", {.payload = "6"});
    all.publish("invoices", {.payload = "7"});
    const commit_outcome& outcome = commit(all);
    const sent_frame sent = peer.write_one();
    const auto frame = sent.as<codec::transact>();
    EXPECT_NE(frame.producer, producer_id());
    EXPECT_EQ(frame.first_sequence, 1U);
    EXPECT_THAT(frame.settles, IsEmpty());
    ASSERT_THAT(frame.publishes, SizeIs(6));
    EXPECT_EQ(frame.publishes[0].topic, "invoices");
    EXPECT_FALSE(frame.publishes[0].scheduled);
    EXPECT_THAT(payloads_of(frame.publishes[0]), ElementsAre("1", "2"));
    EXPECT_TRUE(frame.publishes[1].scheduled);
    EXPECT_EQ(frame.publishes[1].delay, 1h);
    EXPECT_EQ(frame.publishes[1].due, wall_time());
    EXPECT_THAT(payloads_of(frame.publishes[1]), ElementsAre("3"));
    EXPECT_EQ(frame.publishes[2].delay, 0us);
    EXPECT_EQ(frame.publishes[2].due, timestamp(5s));
    EXPECT_THAT(payloads_of(frame.publishes[3]), ElementsAre("5"));
    EXPECT_EQ(frame.publishes[4].topic, "audit");
    EXPECT_EQ(frame.publishes[5].topic, "invoices");
    answer(sent, {10, 3, 4, 12, 0, 13});
    ASSERT_TRUE(outcome.done);
    EXPECT_THAT(outcome.done->messages,
                ElementsAre(address{"invoices", 10}, address{"invoices", 11},
                            address{"invoices", 3}, address{"invoices", 4}, address{"invoices", 12},
                            address{"audit", 0}, address{"invoices", 13}));
    EXPECT_TRUE(all.empty());
    // As many sequences as parts.
    commit(all = publishing("next"));
    EXPECT_EQ(peer.write_one().as<codec::transact>().first_sequence, 7U);
}

TEST_F(client_transaction, a_hundred_messages_to_one_topic_are_one_part) {
    peer.greet();
    transaction all;
    for (std::uint32_t i = 0; i < client_limits::batch_records_max + 1; ++i) {
        all.publish("invoices", {.payload = "x"});
    }
    commit(all);
    const sent_frame sent = peer.write_one();
    const auto frame = sent.as<codec::transact>();
    ASSERT_THAT(frame.publishes, SizeIs(2));
    EXPECT_THAT(payloads_of(frame.publishes[0]), SizeIs(client_limits::batch_records_max));
    EXPECT_THAT(payloads_of(frame.publishes[1]), SizeIs(1));
}

TEST_F(client_transaction, batches_are_no_larger_than_the_broker_takes) {
    peer.terms.batch_records_max = 2;
    peer.greet();
    transaction all;
    all.publish("invoices", {.key = "k", .payload = "1"});
    for (const char* payload : {"2", "3", "4", "5"}) {
        all.publish("invoices", {.payload = payload});
    }
    const commit_outcome& outcome = commit(all);
    const sent_frame sent = peer.write_one();
    const auto frame = sent.as<codec::transact>();
    ASSERT_THAT(frame.publishes, SizeIs(3));
    EXPECT_THAT(payloads_of(frame.publishes[0]), ElementsAre("1", "2"));
    EXPECT_THAT(payloads_of(frame.publishes[1]), ElementsAre("3", "4"));
    EXPECT_THAT(payloads_of(frame.publishes[2]), ElementsAre("5"));
    answer(sent, {0, 2, 4});
    ASSERT_TRUE(outcome.done);
    EXPECT_THAT(outcome.done->messages, SizeIs(5));
    EXPECT_EQ(outcome.done->messages[4], (address{"invoices", 4}));
}

TEST_F(client_transaction, answers_of_one_kind_are_runs_of_one_part) {
    consumer_script consumer(peer);
    auto held = hold(consumer, 8);
    transaction all;
    for (const std::size_t index : {3U, 0U, 1U, 5U, 2U}) {
        all.ack(std::move(held[index]));
    }
    all.nack(std::move(held[4]), 5s, "down");
    all.reject(std::move(held[7]), "bad");
    all.nack(std::move(held[6]));
    commit(all);
    const auto settles = peer.write_one().as<codec::transact>().settles;
    ASSERT_THAT(settles, SizeIs(4));
    EXPECT_EQ(settles[0].queue, consumer.queue);
    EXPECT_EQ(settles[0].action, settle_action::ack);
    EXPECT_EQ(settles[0].delay, duration_us(-1));
    EXPECT_THAT(settles[0].runs, ElementsAre(leases(0, 4, 1), leases(5, 1, 6)));
    EXPECT_EQ(settles[1].action, settle_action::nack);
    EXPECT_EQ(settles[1].delay, duration_us(-1));
    EXPECT_THAT(settles[1].runs, ElementsAre(leases(6, 1, 7)));
    EXPECT_EQ(settles[2].delay, duration_us(5s));
    EXPECT_EQ(settles[2].reason, "down");
    EXPECT_EQ(settles[3].action, settle_action::reject);
    EXPECT_EQ(settles[3].reason, "bad");
}

TEST_F(client_transaction, each_queue_is_a_part) {
    consumer_script first(peer);
    consumer_script second(peer);
    second.queue = queue_id{78};
    peer.greet();
    const auto attaches = peer.write();
    ASSERT_THAT(attaches, SizeIs(2));
    first.accept(attaches[0]);
    second.accept(attaches[1]);
    auto held = hold(first, 2);
    auto others = hold(second, 1);
    transaction all;
    all.ack(std::move(held[0]));
    all.ack(std::move(others[0]));
    all.ack(std::move(held[1]));
    commit(all);
    const auto settles = peer.write_one().as<codec::transact>().settles;
    ASSERT_THAT(settles, SizeIs(2));
    EXPECT_EQ(settles[0].queue, first.queue);
    EXPECT_THAT(settles[0].runs, ElementsAre(leases(0, 2, 1)));
    EXPECT_EQ(settles[1].queue, second.queue);
    EXPECT_THAT(settles[1].runs, ElementsAre(leases(0, 1, 1)));
}

// ---- outcomes

TEST_F(client_transaction, committed_the_messages_are_answered) {
    consumer_script consumer(peer);
    transaction all = acking(hold(consumer, 3));
    const commit_outcome& outcome = commit(all);
    const sent_frame sent = peer.write_one();
    EXPECT_EQ(consumer.state().held(), 3U);
    answer(sent, {});
    EXPECT_TRUE(outcome.done);
    EXPECT_EQ(consumer.state().held(), 0U);
    EXPECT_THAT(all.take_back(), IsEmpty());
    peer.pass(20s);
    EXPECT_THAT(consumer_script::settles(peer.write()), IsEmpty());
    // An answer takes a sequence, too.
    commit(all = acking(hold(consumer, 1, 3)));
    EXPECT_EQ(peer.write_one().as<codec::transact>().first_sequence, 2U);
}

TEST_F(client_transaction, refused_it_is_as_it_was) {
    consumer_script consumer(peer);
    transaction all = acking(hold(consumer, 2));
    all.publish("nowhere", {.payload = "1"});
    const commit_outcome& refused = commit(all);
    peer.refuse(peer.write_one().request, error_code::topic_not_found, "no topic nowhere");
    EXPECT_EQ(refused.code(), broker_errc::topic_not_found);
    EXPECT_STREQ(refused.failure->what(), "no topic nowhere");
    EXPECT_EQ(consumer.state().held(), 2U);
    EXPECT_FALSE(all.empty());
    peer.pass(11s);
    EXPECT_THAT(consumer_script::renewals(peer.write()), SizeIs(1));
    const commit_outcome& again = commit(all);
    const sent_frame sent = peer.write_one();
    const auto frame = sent.as<codec::transact>();
    EXPECT_EQ(frame.first_sequence, 2U) << "what was refused may be asked anew";
    EXPECT_THAT(frame.settles, SizeIs(1));
    EXPECT_THAT(payloads_of(frame.publishes.at(0)), ElementsAre("1"));
    answer(sent, {0});
    EXPECT_TRUE(again.done);
}

TEST_F(client_transaction, what_is_taken_back_can_be_answered) {
    consumer_script consumer(peer);
    transaction all = acking(hold(consumer, 2));
    all.publish("nowhere", {});
    commit(all);
    peer.refuse(peer.write_one().request, error_code::topic_not_found);
    auto back = all.take_back();
    EXPECT_TRUE(all.empty());
    ASSERT_THAT(back, SizeIs(2));
    EXPECT_EQ(back[1].offset(), 1U);
    EXPECT_FALSE(back[0].answered());
    EXPECT_TRUE(consumer.settle_index(0, settle_action::nack));
}

TEST_F(client_transaction, while_it_is_committed_it_cannot_be_changed) {
    consumer_script consumer(peer);
    auto held = hold(consumer, 1);
    transaction all = publishing("1");
    commit(all);
    const auto code_of = [](auto what) {
        try {
            what();
        } catch (const error& failed) {
            return failed.code();
        }
        return std::error_code();
    };
    EXPECT_EQ(code_of([&] { all.publish("even", {}); }), client_errc::invalid_argument);
    EXPECT_EQ(code_of([&] { all.ack(std::move(held[0])); }), client_errc::invalid_argument);
    EXPECT_EQ(code_of([&] { (void)all.take_back(); }), client_errc::invalid_argument);
    EXPECT_FALSE(all.empty());
    answer(peer.write_one(), {0});
    all.ack(std::move(held[0]));
    EXPECT_EQ(code_of([&] { all.ack(std::move(held[0])); }), client_errc::invalid_argument);
    EXPECT_EQ(code_of([&] { all.publish("no such name", {}); }), broker_errc::invalid_name);
    EXPECT_EQ(code_of([&] { all.schedule("even", {}, schedule_time::after(-1s)); }),
              client_errc::invalid_argument);
    EXPECT_THAT(all.take_back(), SizeIs(1));
}

TEST_F(client_transaction, destroyed_while_it_is_committed_it_goes_on) {
    consumer_script consumer(peer);
    {
        transaction all = acking(hold(consumer, 1));
        commit(all);
    }
    answer(peer.write_one(), {});
    EXPECT_TRUE(outcomes[0].done);
    EXPECT_EQ(consumer.state().held(), 0U);
}

TEST_F(client_transaction, nothing_is_done_at_once) {
    transaction nothing;
    EXPECT_TRUE(commit(nothing).done);
    peer.greet();
    EXPECT_THAT(peer.write(), IsEmpty());
}

TEST_F(client_transaction, the_outcome_of_another_one_is_no_answer) {
    peer.greet();
    transaction all = publishing("1");
    const commit_outcome& outcome = commit(all);
    answer(peer.write_one(), {1, 2});
    EXPECT_TRUE(peer.state.dropped());
    EXPECT_TRUE(outcome.open());
}

// ---- lost connections

TEST_F(client_transaction, waits_for_a_connection) {
    transaction all = publishing("1");
    const commit_outcome& outcome = commit(all);
    EXPECT_THAT(peer.write(), IsEmpty());
    peer.greet();
    answer(peer.write_one(), {7});
    ASSERT_TRUE(outcome.done);
    EXPECT_THAT(outcome.done->messages, ElementsAre(address{"even", 7}));
}

TEST_F(client_transaction, unanswered_it_is_sent_again_byte_for_byte_and_in_order) {
    consumer_script consumer(peer);
    auto held = hold(consumer, 2);
    transaction first = publishing("1", 3);
    first.ack(std::move(held[0]));
    transaction second = publishing("2");
    transaction third = publishing("3");
    commit(first);
    commit(second);
    const auto before = peer.write();
    ASSERT_THAT(before, SizeIs(2));
    peer.lose();
    commit(third);
    peer.pass(5s);
    peer.greet();
    const auto after = peer.write();
    ASSERT_THAT(after, SizeIs(4));
    // The leases are taken up first, that of the transaction among them.
    EXPECT_THAT(after[0].as<codec::attach>().held, ElementsAre(leases(0, 2, 1)));
    EXPECT_EQ(after[1].body, before[0].body);
    EXPECT_EQ(after[2].body, before[1].body);
    EXPECT_EQ(after[3].as<codec::transact>().first_sequence, 5U);
    // It had been done: its lease is gone, and that is no failure.
    consumer.accept(after[0], {leases(0, 1, 1)});
    answer(after[1], {0, 0, 1}, true);
    EXPECT_TRUE(outcomes[0].done);
    EXPECT_EQ(consumer.state().held(), 1U);
    answer(after[2], {2});
    EXPECT_TRUE(outcomes[1].done);
    EXPECT_TRUE(outcomes[2].open());
}

TEST_F(client_transaction, a_draining_broker_is_asked_again_after_its_restart) {
    peer.greet();
    transaction first = publishing("1");
    transaction second = publishing("2");
    commit(first);
    const sent_frame before = peer.write_one();
    peer.refuse(before.request, error_code::draining);
    commit(second);
    EXPECT_THAT(peer.write(), IsEmpty());
    EXPECT_TRUE(outcomes[0].open());
    peer.reconnect();
    const auto after = peer.write();
    ASSERT_THAT(after, SizeIs(2));
    EXPECT_EQ(after[0].body, before.body);
    EXPECT_EQ(after[1].as<codec::transact>().first_sequence, 2U);
}

// What cannot be looked at now may have been done when it was asked first.
TEST_F(client_transaction, a_refusal_for_now_of_what_is_asked_again_leaves_the_outcome_open) {
    peer.greet();
    transaction sent = publishing("1");
    const commit_outcome& outcome = commit(sent);
    (void)peer.write_one();
    peer.reconnect();
    const sent_frame again = peer.write_one();
    peer.refuse(again.request, error_code::busy);
    EXPECT_EQ(outcome.code(), client_errc::outcome_unknown);
    EXPECT_FALSE(sent.empty());
}

// But for want of room it is refused only when the broker has looked.
TEST_F(client_transaction, a_full_topic_refuses_what_was_not_done_also_when_it_is_asked_again) {
    peer.greet();
    transaction sent = publishing("1");
    commit(sent);
    peer.refuse(peer.write_one().request, error_code::topic_full);
    EXPECT_EQ(outcomes[0].code(), broker_errc::topic_full);
    EXPECT_FALSE(sent.empty());
    commit(sent);
    (void)peer.write_one();
    peer.reconnect();
    peer.refuse(peer.write_one().request, error_code::topic_full);
    EXPECT_EQ(outcomes[1].code(), broker_errc::topic_full);
    EXPECT_FALSE(sent.empty());
}

TEST_F(client_transaction, giving_up_tells_what_may_have_been_done) {
    peer.greet();
    transaction sent = publishing("1");
    transaction unsent = publishing("2");
    const commit_outcome& unknown = commit(sent);
    (void)peer.write();
    peer.lose();
    const commit_outcome& undone = commit(unsent);
    peer.pass(2min);
    EXPECT_EQ(unknown.code(), client_errc::outcome_unknown);
    EXPECT_EQ(undone.code(), client_errc::not_connected);
    EXPECT_FALSE(sent.empty());
    peer.greet();
    EXPECT_THAT(peer.write(), IsEmpty());
}

TEST_F(client_transaction, has_no_time_limit_while_there_is_a_connection) {
    peer.greet();
    transaction all = publishing("1");
    const commit_outcome& outcome = commit(all);
    (void)peer.write();
    peer.pass(20s);
    peer.say(0, codec::pong{});
    peer.pass(20s);  // longer than request_timeout
    EXPECT_TRUE(outcome.open());
}

TEST_F(client_transaction, what_the_broker_has_forgotten_is_an_unknown_outcome) {
    peer.greet();
    transaction all = publishing("1");
    const commit_outcome& outcome = commit(all);
    peer.refuse(peer.write_one().request, error_code::sequence_too_old);
    EXPECT_EQ(outcome.code(), client_errc::outcome_unknown);
}

// ---- leases

TEST_F(client_transaction, with_a_lease_that_is_lost_it_is_not_sent) {
    consumer_script consumer(peer);
    transaction all = acking(hold(consumer, 2));
    all.publish("even", {});
    peer.say(0, codec::detached{consumer.id, error_code::queue_removed, "removed"});
    const commit_outcome& outcome = commit(all);
    EXPECT_EQ(outcome.code(), broker_errc::lease_gone);
    EXPECT_THAT(outcome.failure->what(), AllOf(HasSubstr("orders@0"), HasSubstr("orders/billing")));
    EXPECT_THAT(peer.write(), IsEmpty());
    EXPECT_THAT(all.take_back(), SizeIs(2));
}

TEST_F(client_transaction, leases_in_it_are_renewed) {
    consumer_script consumer(peer);
    transaction all = acking(hold(consumer, 2));
    peer.pass(11s);
    EXPECT_THAT(consumer_script::renewals(peer.write()), SizeIs(1));
    commit(all);
    (void)peer.write();
    peer.pass(11s);
    const auto renewals = consumer_script::renewals(peer.write());
    ASSERT_THAT(renewals, SizeIs(1));
    EXPECT_THAT(renewals[0].runs, ElementsAre(leases(0, 2, 1)));
}

TEST_F(client_transaction, other_data_know_nothing_of_its_leases) {
    consumer_script consumer(peer);
    auto held = hold(consumer, 2);
    transaction sent;
    sent.ack(std::move(held[0]));
    transaction unsent;
    unsent.ack(std::move(held[1]));
    transaction only_publishes = publishing("1");
    commit(sent);
    commit(only_publishes);
    const auto before = peer.write();
    ASSERT_THAT(before, SizeIs(2));
    peer.lose();
    commit(unsent);
    peer.terms.database_id = "second";
    peer.pass(5s);
    peer.greet();
    EXPECT_EQ(outcomes[0].code(), client_errc::outcome_unknown);
    EXPECT_EQ(outcomes[2].code(), broker_errc::lease_gone);
    const auto after = peer.write();
    ASSERT_THAT(after, SizeIs(2));
    EXPECT_THAT(after[0].as<codec::attach>().held, IsEmpty());
    EXPECT_EQ(after[1].body, before[1].body);
}

// ---- limits

TEST_F(client_transaction, a_broker_that_cannot_is_not_asked) {
    peer.terms.features = codec::feature::schedules;
    peer.greet();
    transaction all = publishing("1");
    const commit_outcome& outcome = commit(all);
    EXPECT_THAT(peer.write(), IsEmpty());
    EXPECT_EQ(outcome.code(), broker_errc::feature_unsupported);
    EXPECT_THAT(outcome.failure->what(), HasSubstr("update brokerd"));
    EXPECT_FALSE(all.empty());
}

TEST_F(client_transaction, what_another_broker_may_have_done_is_not_called_refused) {
    peer.greet();
    transaction all = publishing("1");
    const commit_outcome& outcome = commit(all);
    EXPECT_THAT(peer.write(), SizeIs(1));
    peer.terms.features = 0;
    peer.reconnect();
    EXPECT_THAT(peer.write(), IsEmpty());
    EXPECT_EQ(outcome.code(), client_errc::outcome_unknown);
}

// Promise: transaction.bounds
TEST_F(client_transaction, larger_than_a_frame_it_is_not_sent) {
    peer.terms.frame_bytes_max = 1000;
    peer.greet();
    std::string payload(500, 'x');
    transaction all = publishing(payload);
    commit(all);
    payload.append(1000 - peer.write_one().body.size(), 'x');
    transaction largest = publishing(payload);
    commit(largest);
    EXPECT_THAT(peer.write_one().body, SizeIs(1000));
    transaction larger = publishing(payload + "x");
    const commit_outcome& outcome = commit(larger);
    EXPECT_THAT(peer.write(), IsEmpty());
    EXPECT_EQ(outcome.code(), client_errc::invalid_argument);
    EXPECT_THAT(outcome.failure->what(), AllOf(HasSubstr("1001 bytes"), HasSubstr("1000 bytes")));
}

TEST_F(client_transaction, of_more_parts_than_allowed_it_is_not_sent) {
    peer.greet();
    constexpr int most = static_cast<int>(limits::transaction_parts_max);
    transaction largest = publishing("x", most);
    commit(largest);
    EXPECT_THAT(peer.write_one().as<codec::transact>().publishes, SizeIs(most));
    transaction larger = publishing("x", most + 1);
    const commit_outcome& outcome = commit(larger);
    EXPECT_THAT(peer.write(), IsEmpty());
    EXPECT_EQ(outcome.code(), client_errc::invalid_argument);
    EXPECT_THAT(outcome.failure->what(), HasSubstr("1001 parts to publish"));
}

TEST_F(client_transaction, unanswered_ones_fit_into_the_memory_of_the_broker) {
    peer.greet();
    constexpr int parts = static_cast<int>(limits::transaction_parts_max);
    std::vector<transaction> all;
    for (int i = 0; i < 6; ++i) {
        commit(all.emplace_back(publishing("x", i == 5 ? 1 : parts)));
    }
    const auto frames = peer.write();
    ASSERT_THAT(frames, SizeIs(client_limits::sequences_unanswered_max / parts));
    EXPECT_FALSE(peer.state.wants_write(peer.now));
    answer(frames[0], std::vector<offset_t>(static_cast<std::size_t>(parts), 0));
    EXPECT_THAT(peer.write(), SizeIs(2)) << "the next, and the small one behind it";
}

TEST_F(client_transaction, unanswered_bytes_are_bounded) {
    peer.greet();
    const std::string payload(client_limits::transaction_bytes_unanswered_max * 3 / 8, 'x');
    std::vector<transaction> all;
    for (int i = 0; i < 3; ++i) {
        commit(all.emplace_back(publishing(payload)));
    }
    const auto frames = peer.write();
    ASSERT_THAT(frames, SizeIs(2));
    answer(frames[1], {0});
    EXPECT_THAT(peer.write(), SizeIs(1));
    peer.reconnect();
    EXPECT_THAT(peer.write(), SizeIs(2)) << "what was unanswered goes whatever its size";
}

// ---- closing

TEST_F(client_transaction, a_consumer_stays_attached_until_the_outcome) {
    consumer_script consumer(peer);
    transaction all = acking(hold(consumer, 1));
    commit(all);
    consumer.close();
    const sent_frame sent = peer.write_one();
    EXPECT_EQ(sent.type, frame_type::transact);
    EXPECT_FALSE(consumer.closed);
    answer(sent, {});
    const sent_frame detach = peer.write_one();
    EXPECT_EQ(detach.type, frame_type::detach);
    peer.say(detach.request, codec::ok{});
    EXPECT_TRUE(consumer.closed);
}

TEST_F(client_transaction, closing_waits_for_the_outcome) {
    consumer_script consumer(peer);
    transaction all = acking(hold(consumer, 1));
    const commit_outcome& outcome = commit(all);
    peer.with([&](calls& out) { peer.state.close(peer.now, nullptr, out); });
    const sent_frame sent = peer.write_one();
    EXPECT_EQ(sent.type, frame_type::transact);
    EXPECT_TRUE(outcome.open());
    transaction late = publishing("late");
    EXPECT_EQ(commit(late).code(), client_errc::closed);
    answer(sent, {});
    EXPECT_TRUE(outcome.done);
    const auto rest = peer.write();
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(rest.back().type, frame_type::goodbye);
}

TEST_F(client_transaction, closing_waits_no_longer_than_it_should) {
    peer.greet();
    transaction sent = publishing("1");
    commit(sent);
    (void)peer.write();
    peer.with([&](calls& out) { peer.state.close(peer.now, nullptr, out); });
    peer.pass(5s);
    EXPECT_EQ(outcomes[0].code(), client_errc::outcome_unknown);
}

TEST_F(client_transaction, a_flush_waits_for_it) {
    peer.greet();
    transaction all = publishing("1");
    commit(all);
    bool flushed = false;
    const auto flush = [&] {
        peer.with([&](calls& out) {
            peer.state.wait_flushed([&](const result<void>&) { flushed = true; }, out);
        });
    };
    flush();
    EXPECT_FALSE(flushed);
    answer(peer.write_one(), {0});
    EXPECT_TRUE(flushed);
    // Also when it ends without an answer.
    flushed = false;
    peer.terms.frame_bytes_max = 10;
    peer.reconnect();
    transaction large = publishing("larger than ten bytes");
    commit(large);
    flush();
    EXPECT_THAT(peer.write(), IsEmpty());
    EXPECT_TRUE(flushed);
}

}  // namespace
}  // namespace brokerd::client_core
