// Requests with one answer: matching, refusals, time limits, and their fate with a connection.
#include <gmock/gmock.h>

#include "client/src/convert.hpp"
#include "tests/unit/client/scripted_peer.hpp"

namespace brokerd::client_core {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

struct answer_seen {
    std::optional<ensured_topic> value;
    std::optional<error> failure;
};

void ask(scripted_peer& peer, answer_seen& seen, repeat kind, const std::string& topic = "orders") {
    codec::topic_create request;
    request.topic = topic;
    peer.with([&](calls& out) {
        peer.state.request<codec::topic_created>(
            std::move(request), kind,
            [](const codec::topic_created& reply) { return to_public(reply); },
            callback<ensured_topic>([&seen](result<ensured_topic> got) {
                EXPECT_FALSE(seen.value || seen.failure);
                if (got) {
                    seen.value = *got;
                } else {
                    seen.failure = got.error();
                }
            }),
            out);
    });
}

TEST(client_request, answers_find_their_requests_in_any_order) {
    scripted_peer peer;
    peer.greet();
    answer_seen first;
    answer_seen second;
    ask(peer, first, repeat::harmless, "a");
    ask(peer, second, repeat::harmless, "b");
    const auto frames = peer.write();
    ASSERT_THAT(frames, SizeIs(2));
    peer.say(frames[1].request, codec::topic_created{.created = true});
    EXPECT_FALSE(first.value);
    ASSERT_TRUE(second.value);
    EXPECT_TRUE(second.value->created);
    peer.refuse(frames[0].request, error_code::invalid_name, "bad name");
    ASSERT_TRUE(first.failure);
    EXPECT_EQ(first.failure->code(), broker_errc::invalid_name);
    EXPECT_STREQ(first.failure->what(), "bad name");
}

TEST(client_request, waits_for_a_connection) {
    scripted_peer peer;
    answer_seen seen;
    ask(peer, seen, repeat::never);
    EXPECT_THAT(peer.write(), SizeIs(0));
    peer.greet();
    peer.say(peer.write_one().request, codec::topic_created{});
    EXPECT_TRUE(seen.value);
}

TEST(client_request, that_may_be_repeated_is_asked_again_after_a_loss) {
    scripted_peer peer;
    peer.greet();
    answer_seen seen;
    ask(peer, seen, repeat::harmless);
    (void)peer.write();
    peer.reconnect();
    EXPECT_FALSE(seen.failure);
    peer.say(peer.write_one().request, codec::topic_created{});
    EXPECT_TRUE(seen.value);
}

// Promise: client.unknown
TEST(client_request, that_may_not_be_repeated_is_unknown_after_a_loss) {
    scripted_peer peer;
    peer.greet();
    answer_seen sent;
    answer_seen unsent;
    ask(peer, sent, repeat::never);
    (void)peer.write();
    ask(peer, unsent, repeat::never);
    peer.reconnect();
    ASSERT_TRUE(sent.failure);
    EXPECT_EQ(sent.failure->code(), client_errc::outcome_unknown);
    peer.say(peer.write_one().request, codec::topic_created{});
    EXPECT_TRUE(unsent.value);
}

TEST(client_request, without_answer_ends_after_its_time) {
    scripted_peer peer;
    peer.greet();
    answer_seen look;
    answer_seen change;
    ask(peer, look, repeat::look);
    ask(peer, change, repeat::harmless);
    const auto frames = peer.write();
    peer.pass(20s);
    peer.say(0, codec::ping{});
    peer.pass(10s);
    ASSERT_TRUE(look.failure && change.failure);
    EXPECT_EQ(look.failure->code(), client_errc::timed_out);
    EXPECT_EQ(change.failure->code(), client_errc::outcome_unknown);
    // A late answer is nobody's.
    peer.say(frames[0].request, codec::topic_created{});
    EXPECT_FALSE(peer.state.dropped());
}

TEST(client_request, giving_up_knows_what_was_sent) {
    auto options = scripted_peer::quick_options();
    options.give_up_after = 30s;
    scripted_peer peer(options);
    peer.greet();
    answer_seen sent;
    answer_seen unsent;
    ask(peer, sent, repeat::harmless);
    (void)peer.write();
    peer.lose();
    ask(peer, unsent, repeat::harmless);
    peer.pass(30s);
    ASSERT_TRUE(sent.failure && unsent.failure);
    EXPECT_EQ(sent.failure->code(), client_errc::outcome_unknown);
    EXPECT_EQ(unsent.failure->code(), client_errc::not_connected);
}

TEST(client_request, an_answer_of_another_kind_is_an_error_of_the_protocol) {
    scripted_peer peer;
    peer.greet();
    answer_seen seen;
    ask(peer, seen, repeat::look);
    peer.say(peer.write_one().request, codec::explained{"what?"});
    ASSERT_TRUE(seen.failure);
    EXPECT_EQ(seen.failure->code(), client_errc::protocol_error);
    EXPECT_THAT(seen.failure->what(), HasSubstr("explained"));
}

TEST(client_request, after_close_fails_at_once) {
    scripted_peer peer;
    peer.greet();
    peer.with([&](calls& out) { peer.state.close(peer.now, nullptr, out); });
    answer_seen seen;
    ask(peer, seen, repeat::look);
    ASSERT_TRUE(seen.failure);
    EXPECT_EQ(seen.failure->code(), client_errc::closed);
}

}  // namespace
}  // namespace brokerd::client_core
