// Consumers of pattern queues: queues that come and go, answers and leases by queue, what is held
// over a lost connection, transactions, brokers without them.
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

constexpr queue_id eu{11};
constexpr queue_id us{12};
constexpr queue_id asia{13};

codec::pattern_member member(queue_id queue, std::string topic, duration_us lease = 30s) {
    return {.queue = queue, .topic = std::move(topic), .lease = lease, .attempts = 16};
}

lease_run one(offset_t offset, std::uint64_t lease) {
    return {offset, 1, broker_epoch(1), lease};
}

// Attached to orders.*/billing with queues in orders.eu and orders.us.
class client_pattern : public testing::Test {
protected:
    client_pattern() { peer.terms.features |= codec::feature::pattern_queues; }

    consumer_script& open(const consume_options& options = {}) {
        return script.emplace(peer, options, "orders.*/billing");
    }
    consumer_script& attach(const consume_options& options = {}, duration_us lease_of_us = 30s) {
        open(options);
        peer.greet();
        answer_attach({member(eu, "orders.eu"), member(us, "orders.us", lease_of_us)});
        EXPECT_TRUE(script->opened);
        return *script;
    }
    // Takes what is written, the attach in it, and answers that.
    codec::pattern_attach answer_attach(std::vector<codec::pattern_member> joined,
                                        std::vector<codec::pattern_held> gone = {}) {
        written = peer.write();
        for (const sent_frame& each : written) {
            if (each.type == codec::frame_type::pattern_attach) {
                auto asked = each.as<codec::pattern_attach>();
                codec::pattern_queues reply;
                reply.consumer = script->id;
                reply.joined = std::move(joined);
                reply.gone = std::move(gone);
                peer.say(each.request, reply);
                return asked;
            }
        }
        ADD_FAILURE() << "no attach";
        return {};
    }
    void push(std::vector<codec::pattern_member> joined,
              std::vector<codec::pattern_left> left = {}) {
        codec::pattern_queues news;
        news.consumer = script->id;
        news.joined = std::move(joined);
        news.left = std::move(left);
        peer.say(0, news);
    }
    static codec::pattern_left removed(queue_id queue) {
        return {queue, error_code::queue_removed, "queue was removed"};
    }
    void deliver(queue_id queue, const lease_run& leases) {
        const byte_buffer records =
            consumer_script::records_of(std::vector<std::string>(leases.count, "x"));
        codec::deliver frame;
        frame.consumer = script->id;
        frame.runs.push_back({leases, wall_time{}, 1, {records}, {}, queue});
        peer.say(0, frame);
    }
    void take(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            ASSERT_TRUE(script->take());
        }
    }
    [[nodiscard]] const delivery_origin& origin(std::size_t index) const {
        return *script->handed.at(index).from->origin;
    }

    scripted_peer peer;
    std::optional<consumer_script> script;
    std::vector<sent_frame> written;
};

TEST_F(client_pattern, attaches_with_its_options) {
    consume_options options;
    options.prefetch_messages = 7;
    options.prefetch_bytes = 1000;
    options.limit = 3;
    open(options);
    peer.greet();
    const auto attach = answer_attach({});
    EXPECT_EQ(attach.pattern, "orders.*/billing");
    EXPECT_EQ(attach.consumer, script->id);
    EXPECT_EQ(attach.prefetch_messages, 7U);
    EXPECT_EQ(attach.prefetch_bytes, 1000U);
    EXPECT_EQ(attach.limit, 3U);
    EXPECT_THAT(attach.held, IsEmpty());
    EXPECT_TRUE(script->opened) << "also without any queue";
    EXPECT_EQ(script->state().lease(), 0s);
}

TEST_F(client_pattern, messages_tell_the_topic_of_their_queue) {
    attach();
    deliver(eu, one(5, 1));
    deliver(us, one(5, 1));
    take(2);
    EXPECT_EQ(origin(0).topic, "orders.eu");
    EXPECT_EQ(origin(0).queue, "orders.eu/billing");
    EXPECT_EQ(origin(1).topic, "orders.us");
    EXPECT_EQ(origin(1).queue, "orders.us/billing");
}

TEST_F(client_pattern, gets_messages_of_queues_that_come_later) {
    attach();
    script->wait();
    push({member(asia, "orders.asia")});
    deliver(asia, one(0, 1));
    ASSERT_THAT(script->waited, SizeIs(1));
    EXPECT_EQ(script->waited[0]->from->origin->topic, "orders.asia");
}

TEST_F(client_pattern, messages_of_a_queue_nobody_told_of_end_the_connection) {
    attach();
    deliver(asia, one(0, 1));
    EXPECT_TRUE(peer.state.dropped());
}

TEST_F(client_pattern, news_of_queues_are_nothing_for_a_plain_consumer) {
    consumer_script& plain = script.emplace(peer);
    plain.attach();
    push({member(eu, "orders.eu")});
    EXPECT_TRUE(peer.state.dropped());
}

TEST_F(client_pattern, answers_go_to_the_queue_of_each_message) {
    attach();
    deliver(eu, {0, 2, broker_epoch(1), 1});
    deliver(us, {0, 2, broker_epoch(1), 1});
    take(4);
    for (const std::size_t index : {0U, 2U, 1U, 3U}) {
        EXPECT_TRUE(script->settle_index(index, settle_action::ack));
    }
    const auto settles = script->flush();
    ASSERT_THAT(settles, SizeIs(2));
    EXPECT_EQ(settles[0].queue, eu);
    EXPECT_THAT(settles[0].runs, ElementsAre(lease_run{0, 2, broker_epoch(1), 1}));
    EXPECT_EQ(settles[1].queue, us);
    EXPECT_THAT(settles[1].runs, ElementsAre(lease_run{0, 2, broker_epoch(1), 1}));
}

TEST_F(client_pattern, confirmed_answers_are_counted_over_all_queues) {
    attach({.confirm = true});
    deliver(eu, one(0, 1));
    deliver(us, one(0, 1));
    take(2);
    script->settle_index(0, settle_action::ack);
    script->settle_index(1, settle_action::ack);
    std::optional<settle_counts> counts;
    peer.with([&](calls& out) {
        script->state().wait_confirmed(
            [&](const result<settle_counts>& got) { counts = got.value(); }, out);
    });
    const auto frames = peer.write();
    ASSERT_THAT(frames, SizeIs(2));
    // Ascending for each queue, as there is one numbering for all.
    EXPECT_EQ(frames[0].as<codec::settle>().sequence, 1U);
    EXPECT_EQ(frames[1].as<codec::settle>().sequence, 2U);
    codec::settled accepted;
    accepted.accepted = 1;
    peer.say(frames[0].request, accepted);
    EXPECT_FALSE(counts);
    peer.refuse(frames[1].request, error_code::queue_removed);
    ASSERT_TRUE(counts);
    EXPECT_EQ(counts->accepted, 1U);
    EXPECT_EQ(counts->refused, 1U);
}

TEST_F(client_pattern, answers_to_very_many_queues_wait_for_their_confirmations) {
    constexpr std::size_t count = client_limits::confirms_unanswered_max + 3;
    open({.confirm = true});
    peer.greet();
    std::vector<codec::pattern_member> members;
    for (std::uint64_t i = 1; i <= count; ++i) {
        members.push_back(member(queue_id(i), "orders.n" + std::to_string(i)));
    }
    answer_attach(members);
    for (std::uint64_t i = 1; i <= count; ++i) {
        deliver(queue_id(i), one(0, 1));
    }
    take(count);
    for (std::size_t i = 0; i < count; ++i) {
        script->settle_index(i, settle_action::ack);
    }
    peer.pass(1ms);
    const auto first = peer.write();
    EXPECT_THAT(first, SizeIs(client_limits::confirms_unanswered_max));
    codec::settled accepted;
    accepted.accepted = 1;
    for (const sent_frame& each : first) {
        peer.say(each.request, accepted);
    }
    EXPECT_THAT(consumer_script::settles(peer.write()), SizeIs(3));
    EXPECT_TRUE(script->state().has_unconfirmed());
}

TEST_F(client_pattern, answers_to_very_many_queues_take_turns) {
    constexpr std::size_t count = client_limits::confirms_unanswered_max + 1;
    open({.confirm = true});
    peer.greet();
    std::vector<codec::pattern_member> members;
    for (std::uint64_t i = 1; i <= count; ++i) {
        members.push_back(member(queue_id(i), "orders.n" + std::to_string(i)));
    }
    answer_attach(members);
    for (std::uint64_t i = 1; i <= count; ++i) {
        deliver(queue_id(i), one(0, 1));
    }
    deliver(queue_id(1), one(1, 2));
    take(count + 1);
    for (std::size_t i = 0; i < count; ++i) {
        script->settle_index(i, settle_action::ack);
    }
    peer.pass(1ms);
    const auto first = peer.write();
    ASSERT_THAT(first, SizeIs(client_limits::confirms_unanswered_max));
    script->settle_index(count, settle_action::ack);
    codec::settled accepted;
    accepted.accepted = 1;
    peer.say(first[0].request, accepted);
    peer.pass(1ms);
    const auto next = consumer_script::settles(peer.write());
    ASSERT_THAT(next, SizeIs(1));
    EXPECT_EQ(next[0].queue, queue_id(count)) << "the first one has answers again, and waits";
}

// ---- leases

// Promise: pattern.leases
TEST_F(client_pattern, leases_are_renewed_by_the_time_of_each_queue) {
    attach({}, 3s);
    deliver(eu, one(0, 1));
    deliver(us, one(0, 1));
    take(2);
    EXPECT_EQ(script->state().lease(), 3s);
    peer.pass(1s);
    auto renewals = script->renewals(peer.write());
    ASSERT_THAT(renewals, SizeIs(1));
    EXPECT_EQ(renewals[0].queue, us);
    EXPECT_TRUE(renewals[0].confirm);
    for (int i = 0; i < 8; ++i) {
        peer.pass(1s);
        renewals = script->renewals(peer.write());
        ASSERT_THAT(renewals, SizeIs(1));
        EXPECT_EQ(renewals[0].queue, us);
    }
    peer.pass(1s);
    renewals = script->renewals(peer.write());
    ASSERT_THAT(renewals, SizeIs(2));
    EXPECT_EQ(renewals[0].queue, eu);
    EXPECT_EQ(renewals[1].queue, us);
}

TEST_F(client_pattern, a_lease_that_is_gone_is_that_of_its_queue) {
    attach({}, 3s);
    deliver(eu, one(0, 1));
    deliver(us, one(0, 1));
    take(2);
    peer.pass(1s);
    const auto frames = peer.write();
    ASSERT_THAT(frames, SizeIs(1));
    codec::settled reply;
    reply.refused = 1;
    reply.gone = {one(0, 1)};
    peer.say(frames[0].request, reply);
    EXPECT_TRUE(script->settle_index(0, settle_action::ack)) << "of the other queue";
    EXPECT_FALSE(script->settle_index(1, settle_action::ack));
}

// The first of what is buffered need not be the first whose lease ends.
TEST_F(client_pattern, what_is_buffered_is_not_handed_out_after_its_own_lease) {
    attach({}, 3s);
    deliver(eu, one(0, 1));
    deliver(us, one(0, 1));
    deliver(eu, one(1, 2));
    peer.pass(4s);
    take(2);
    EXPECT_EQ(origin(0).topic, "orders.eu");
    EXPECT_EQ(origin(1).topic, "orders.eu");
    EXPECT_FALSE(script->take());
}

TEST_F(client_pattern, more_than_was_asked_for_ends_the_connection_whatever_the_queue) {
    attach({.prefetch_messages = 2});
    deliver(eu, {0, 2, broker_epoch(1), 1});
    deliver(us, {0, 2, broker_epoch(1), 1});
    EXPECT_FALSE(peer.state.dropped());
    deliver(eu, one(2, 3));
    EXPECT_TRUE(peer.state.dropped());
}

// ---- queues that go

TEST_F(client_pattern, what_is_held_of_a_removed_queue_is_gone_and_the_rest_goes_on) {
    attach();
    deliver(eu, {0, 2, broker_epoch(1), 1});
    deliver(us, {0, 2, broker_epoch(1), 1});
    take(1);  // of eu; its second one is buffered
    push({}, {removed(eu)});
    EXPECT_EQ(script->state().held(), 2U);
    EXPECT_EQ(script->state().buffered(), 2U);
    EXPECT_FALSE(script->settle_index(0, settle_action::ack));
    take(2);
    EXPECT_EQ(origin(1).topic, "orders.us");
    EXPECT_TRUE(script->settle_index(1, settle_action::ack));
    EXPECT_FALSE(script->state().over());
    EXPECT_FALSE(peer.state.dropped());
}

TEST_F(client_pattern, an_answer_under_way_to_a_removed_queue_is_refused_by_the_broker) {
    attach();
    deliver(eu, one(0, 1));
    take(1);
    std::optional<error> refused;
    script->settle_index(0, settle_action::ack, duration_us(-1), {},
                         [&](const result<void>& done) { refused = done.error(); });
    push({}, {removed(eu)});
    EXPECT_FALSE(refused);
    peer.refuse(peer.write_one().request, error_code::queue_removed, "queue was removed");
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->code(), broker_errc::queue_removed);
}

TEST_F(client_pattern, goes_on_without_any_queue) {
    attach();
    push({}, {removed(eu), removed(us)});
    script->wait();
    EXPECT_THAT(script->waited, IsEmpty());
    push({member(asia, "orders.asia")});
    deliver(asia, one(0, 1));
    EXPECT_THAT(script->waited, SizeIs(1));
}

TEST_F(client_pattern, ends_with_the_rule) {
    attach();
    deliver(eu, one(0, 1));
    take(1);
    script->wait();
    codec::detached push;
    push.consumer = script->id;
    push.code = error_code::pattern_not_found;
    push.text = "the pattern queue orders.*/billing was removed";
    peer.say(0, push);
    ASSERT_TRUE(script->wait_failure);
    EXPECT_EQ(script->wait_failure->code(), broker_errc::pattern_not_found);
    EXPECT_TRUE(script->state().ended());
    EXPECT_FALSE(script->settle_index(0, settle_action::ack));
}

TEST_F(client_pattern, a_refused_attach_fails_the_opening) {
    open();
    peer.greet();
    peer.refuse(peer.write_one().request, error_code::pattern_not_found, "no such pattern queue");
    ASSERT_TRUE(script->open_failure);
    EXPECT_EQ(script->open_failure->code(), broker_errc::pattern_not_found);
}

// ---- lost connections

TEST_F(client_pattern, names_what_it_holds_by_queue_after_a_loss) {
    attach();
    deliver(eu, {0, 2, broker_epoch(1), 1});
    deliver(us, one(7, 1));
    take(3);
    script->settle_index(0, settle_action::ack);
    peer.reconnect();
    const auto asked =
        answer_attach({member(eu, "orders.eu"), member(us, "orders.us")}, {{us, {one(7, 1)}}});
    ASSERT_THAT(asked.held, SizeIs(2));
    EXPECT_EQ(asked.held[0].queue, eu);
    EXPECT_THAT(asked.held[0].runs, ElementsAre(one(1, 2)));
    EXPECT_EQ(asked.held[1].queue, us);
    EXPECT_THAT(asked.held[1].runs, ElementsAre(one(7, 1)));
    // The answer that was not sent comes before.
    ASSERT_THAT(written, SizeIs(2));
    EXPECT_EQ(written[0].as<codec::settle>().queue, eu);
    EXPECT_TRUE(script->settle_index(1, settle_action::ack));
    EXPECT_FALSE(script->settle_index(2, settle_action::ack));
}

TEST_F(client_pattern, a_held_queue_may_be_told_again_in_a_later_page) {
    attach();
    deliver(us, one(7, 1));
    take(1);
    peer.reconnect();
    answer_attach({member(eu, "orders.eu")});
    EXPECT_TRUE(script->state().holds(*script->handed[0].from, 0));
    push({member(us, "orders.us")});
    deliver(us, one(8, 2));
    take(1);
    EXPECT_TRUE(script->settle_index(0, settle_action::ack));
    EXPECT_TRUE(script->settle_index(1, settle_action::ack));
    const auto settles = script->flush();
    ASSERT_THAT(settles, SizeIs(1));
    EXPECT_EQ(settles[0].queue, us);
}

TEST_F(client_pattern, a_queue_that_went_meanwhile_is_forgotten) {
    attach();
    peer.reconnect();
    answer_attach({member(eu, "orders.eu")});
    deliver(us, one(0, 1));
    EXPECT_TRUE(peer.state.dropped());
}

TEST_F(client_pattern, confirmed_answers_are_sent_again_to_their_queues) {
    attach({.confirm = true});
    deliver(eu, one(0, 1));
    deliver(us, one(0, 1));
    take(2);
    script->settle_index(0, settle_action::ack);
    script->settle_index(1, settle_action::ack);
    const auto first = script->flush();
    ASSERT_THAT(first, SizeIs(2));
    peer.reconnect();
    const auto again = script->settles(peer.write());
    ASSERT_THAT(again, SizeIs(2));
    EXPECT_EQ(again[0], first[0]);
    EXPECT_EQ(again[1], first[1]);
}

TEST_F(client_pattern, drops_everything_when_the_broker_has_other_data) {
    attach();
    deliver(eu, one(0, 1));
    take(1);
    peer.terms.database_id = "another";
    peer.reconnect();
    // The same identity is another topic's there.
    EXPECT_THAT(answer_attach({member(eu, "orders.asia")}).held, IsEmpty());
    EXPECT_FALSE(script->settle_index(0, settle_action::ack));
    deliver(eu, one(0, 1));
    take(1);
    EXPECT_EQ(origin(1).topic, "orders.asia");
}

TEST_F(client_pattern, closing_waits_for_the_answer_to_the_attach) {
    open();
    peer.greet();
    const auto attach = peer.write_one();
    script->close();
    EXPECT_THAT(peer.write(), IsEmpty());
    codec::pattern_queues reply;
    reply.consumer = script->id;
    peer.say(attach.request, reply);
    const auto detach = peer.write_one();
    EXPECT_EQ(detach.type, codec::frame_type::detach);
    peer.say(detach.request, codec::ok{});
    EXPECT_TRUE(script->closed);
}

TEST_F(client_pattern, news_that_cross_a_detach_are_passed_over) {
    attach();
    script->close();
    const auto detach = peer.write_one();
    push({member(asia, "orders.asia")}, {removed(eu)});
    deliver(asia, one(0, 1));
    EXPECT_FALSE(peer.state.dropped());
    peer.say(detach.request, codec::ok{});
    EXPECT_TRUE(script->closed);
}

// ---- transactions

TEST_F(client_pattern, a_transaction_names_the_queue_of_each_message) {
    peer.terms.features |= codec::feature::transactions;
    attach();
    deliver(eu, one(3, 9));
    deliver(us, one(4, 9));
    take(2);
    auto parts = std::make_shared<transaction_parts>();
    for (const handed_message& each : script->handed) {
        transaction_parts::settle part;
        part.which = message_access::make(each);
        parts->settles.push_back(std::move(part));
    }
    std::optional<bool> committed_all;
    peer.with([&](calls& out) {
        peer.state.commit(
            parts, [&](const result<committed>& done) { committed_all = done.has_value(); }, out);
    });
    const auto frame = peer.write_one();
    const auto asked = frame.as<codec::transact>();
    ASSERT_THAT(asked.settles, SizeIs(2));
    EXPECT_EQ(asked.settles[0].queue, eu);
    EXPECT_THAT(asked.settles[0].runs, ElementsAre(one(3, 9)));
    EXPECT_EQ(asked.settles[1].queue, us);
    EXPECT_THAT(asked.settles[1].runs, ElementsAre(one(4, 9)));
    peer.say(frame.request, codec::transacted{});
    EXPECT_EQ(committed_all, true);
    EXPECT_EQ(script->state().held(), 0U);
}

// ---- brokers that do not know them

TEST(client_pattern_feature, a_consumer_is_not_attached_to_an_older_broker) {
    scripted_peer peer;
    consumer_script consumer(peer, {}, "orders.*/billing");
    peer.greet();
    ASSERT_TRUE(consumer.open_failure);
    EXPECT_EQ(consumer.open_failure->code(), broker_errc::feature_unsupported);
    EXPECT_THAT(consumer.open_failure->what(), HasSubstr("update brokerd"));
    EXPECT_THAT(peer.write(), IsEmpty());
}

TEST(client_pattern_feature, an_older_broker_is_not_asked) {
    scripted_peer peer;
    peer.greet();
    std::optional<error> refused;
    peer.with([&](calls& out) {
        peer.state.request<codec::patterns>(
            codec::pattern_list{}, repeat::look, [](const codec::patterns& reply) { return reply; },
            callback<codec::patterns>(
                [&](const result<codec::patterns>& done) { refused = done.error(); }),
            out);
    });
    EXPECT_THAT(peer.write(), IsEmpty());
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->code(), broker_errc::feature_unsupported);
    EXPECT_THAT(refused->what(), HasSubstr("too old for pattern queues"));
}

// ---- creating

TEST(client_pattern_create, takes_only_what_holds_in_every_topic) {
    const auto made = to_pattern_create("orders.*/billing", {.lease = 5s}, log_position::latest(),
                                        delivery_mode::keyed);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->pattern, "orders.*/billing");
    EXPECT_EQ(made->mode, queue_mode::keyed);
    EXPECT_EQ(made->settings.lease, 5s);
    EXPECT_EQ(made->start.kind, position_kind::latest);
    EXPECT_FALSE(made->replace);
    const auto refused = [](const queue_options& settings, log_position start) {
        const auto none = to_pattern_create("a.*/q", settings, start, delivery_mode::shared);
        return !none && none.error().code() == client_errc::invalid_argument;
    };
    EXPECT_TRUE(refused({}, log_position::at_offset(3)));
    EXPECT_TRUE(refused({}, log_position::at_time(timestamp{})));
    EXPECT_TRUE(refused({.until = 3}, log_position::earliest()));
}

TEST(client_pattern_create, paths_are_checked_by_what_they_are) {
    EXPECT_TRUE(check_queue("orders.*/billing"));
    EXPECT_TRUE(check_queue(">/billing"));
    EXPECT_TRUE(check_queue("orders/billing"));
    EXPECT_FALSE(check_queue("orders.>.eu/billing"));
    EXPECT_FALSE(check_queue("orders.e*/billing"));
    EXPECT_FALSE(check_queue("orders.*"));
}

}  // namespace
}  // namespace brokerd::client_core
