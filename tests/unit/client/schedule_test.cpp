// Scheduling: each message a frame of its own, credit, sequences and resending as of publishes;
// what is refused before it is sent; pages of the listing.
#include <chrono>

#include <gmock/gmock.h>

#include "client/src/client_limits.hpp"
#include "client/src/convert.hpp"
#include "protocol/codec/schedule_messages.hpp"
#include "tests/unit/client/scripted_peer.hpp"

namespace brokerd::client_core {
namespace {

using codec::frame_type;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr timestamp noon = std::chrono::sys_days{std::chrono::year{2026} / 3 / 1} + 12h;

std::vector<frame_type> types_of(const std::vector<sent_frame>& frames) {
    std::vector<frame_type> types;
    for (const auto& frame : frames) {
        types.push_back(frame.type);
    }
    return types;
}

TEST(client_schedule, a_delay_or_a_time_goes_in_a_frame_of_its_own) {
    scripted_peer peer;
    peer.greet();
    const publish_outcome& delayed = peer.schedule("orders", "one", schedule_time::after(10min));
    EXPECT_TRUE(peer.state.wants_write(peer.now));
    const sent_frame first = peer.write_one();
    const auto frame = first.as<codec::schedule>();
    EXPECT_EQ(frame.topic, "orders");
    EXPECT_EQ(frame.due, wall_time());
    EXPECT_EQ(frame.delay, 10min);
    EXPECT_EQ(scripted_peer::batch_of(first).count, 1U);
    peer.schedule("orders", "two", schedule_time::at(noon));
    const sent_frame second = peer.write_one();
    EXPECT_EQ(second.as<codec::schedule>().due, noon);
    EXPECT_EQ(second.as<codec::schedule>().delay, 0us);
    EXPECT_TRUE(delayed.open());
    peer.acknowledge(first, 17);
    EXPECT_EQ(delayed.offset, 17U);
    peer.acknowledge(second, 18);
    EXPECT_EQ(peer.outcomes[1].offset, 18U);
}

TEST(client_schedule, a_broker_that_cannot_is_not_asked) {
    scripted_peer peer;
    peer.terms.features = codec::feature::attempt_history;
    const publish_outcome& outcome = peer.schedule("orders", "one", schedule_time::after(1s));
    peer.publish("orders", "two");
    peer.greet();
    EXPECT_THAT(types_of(peer.write()), ElementsAre(frame_type::publish));
    EXPECT_THAT(outcome.failure, testing::Optional(testing::Property(
                                     &error::what, HasSubstr("too old to schedule"))));
}

TEST(client_schedule, what_another_broker_may_have_taken_is_not_called_refused) {
    scripted_peer peer;
    peer.greet();
    const publish_outcome& outcome = peer.schedule("orders", "one", schedule_time::after(1s));
    EXPECT_THAT(types_of(peer.write()), ElementsAre(frame_type::schedule));
    peer.terms.features = 0;
    peer.reconnect();
    EXPECT_THAT(peer.write(), IsEmpty());
    ASSERT_TRUE(outcome.failure);
    EXPECT_EQ(outcome.failure->code(), client_errc::outcome_unknown);
}

TEST(client_schedule, nothing_joins_what_is_scheduled) {
    scripted_peer peer;
    peer.publish("orders", "1");
    peer.publish("orders", "2");
    peer.schedule("orders", "3", schedule_time::after(1s));
    peer.schedule("orders", "4", schedule_time::after(1s));
    peer.publish("orders", "5");
    peer.publish("orders", "6");
    peer.greet();
    const auto frames = peer.write();
    EXPECT_THAT(types_of(frames), ElementsAre(frame_type::publish, frame_type::schedule,
                                              frame_type::schedule, frame_type::publish));
    std::vector<std::uint64_t> sequences;
    for (const auto& frame : frames) {
        sequences.push_back(scripted_peer::batch_of(frame).first_sequence);
    }
    EXPECT_THAT(sequences, ElementsAre(1U, 3U, 4U, 5U));
    const auto producer = scripted_peer::batch_of(frames[0]).producer;
    EXPECT_EQ(scripted_peer::batch_of(frames[1]).producer, producer);
}

TEST(client_schedule, it_waits_for_no_company) {
    scripted_peer peer;
    peer.greet();
    for (std::uint32_t i = 0; i < client_limits::frames_unanswered_max; ++i) {
        peer.publish("orders", "x");
        (void)peer.write();
    }
    peer.schedule("orders", "later", schedule_time::after(1s));
    EXPECT_THAT(types_of(peer.write()), ElementsAre(frame_type::schedule));
}

TEST(client_schedule, what_was_unanswered_is_sent_again_byte_for_byte) {
    scripted_peer peer;
    peer.greet();
    peer.schedule("orders", "1", schedule_time::after(1h));
    const sent_frame before = peer.write_one();
    peer.publish("orders", "2");
    peer.pass(5s);
    peer.reconnect();
    const auto after = peer.write();
    ASSERT_THAT(types_of(after), ElementsAre(frame_type::schedule, frame_type::publish));
    EXPECT_EQ(after[0].body, before.body);
    peer.acknowledge(after[0], 3, true);
    EXPECT_EQ(peer.outcomes[0].offset, 3U);
    EXPECT_TRUE(peer.outcomes[0].duplicate);
}

TEST(client_schedule, credit_pauses_and_resumes) {
    scripted_peer peer;
    peer.terms.credit_messages = 2;
    for (int i = 0; i < 3; ++i) {
        peer.schedule("orders", std::to_string(i), schedule_time::after(1s));
    }
    peer.greet();
    const auto frames = peer.write();
    ASSERT_THAT(frames, SizeIs(2));
    peer.acknowledge(frames[0], 1);
    EXPECT_THAT(peer.write(), SizeIs(1));
}

TEST(client_schedule, unanswered_ones_fit_into_the_memory_of_the_broker) {
    scripted_peer peer;
    for (std::uint64_t i = 0; i < client_limits::sequences_unanswered_max + 1; ++i) {
        peer.schedule("orders", "x", schedule_time::after(1s));
    }
    peer.greet();
    const auto frames = peer.write();
    ASSERT_THAT(frames, SizeIs(client_limits::sequences_unanswered_max));
    peer.acknowledge(frames[0], 1);
    EXPECT_THAT(peer.write(), SizeIs(1));
}

TEST(client_schedule, its_frame_is_measured_with_the_times) {
    constexpr std::size_t around = sizeof(std::uint16_t) + 6 + codec::batch_header_bytes + 9;
    constexpr std::size_t times = 16;
    scripted_peer peer;
    peer.terms.frame_bytes_max = 2000;
    peer.greet();
    const std::string largest(2000 - around, 'x');
    peer.publish("orders", largest);
    EXPECT_THAT(peer.write_one().body, SizeIs(2000));
    peer.schedule("orders", largest.substr(times), schedule_time::after(1s));
    EXPECT_THAT(peer.write_one().body, SizeIs(2000));
    const publish_outcome& one_more =
        peer.schedule("orders", largest.substr(times - 1), schedule_time::after(1s));
    const publish_outcome& fine = peer.publish("orders", "behind it");
    EXPECT_THAT(types_of(peer.write()), ElementsAre(frame_type::publish));
    ASSERT_TRUE(one_more.failure);
    EXPECT_EQ(one_more.failure->code(), broker_errc::message_too_large);
    EXPECT_TRUE(fine.open());
}

TEST(client_schedule, a_refusal_fails_it_alone) {
    scripted_peer peer;
    peer.greet();
    const publish_outcome& scheduled = peer.schedule("nowhere", "1", schedule_time::after(1s));
    peer.refuse(peer.write_one().request, error_code::topic_not_found, "no topic nowhere");
    ASSERT_TRUE(scheduled.failure);
    EXPECT_EQ(scheduled.failure->code(), broker_errc::topic_not_found);
    EXPECT_TRUE(peer.state.connected());
}

TEST(client_schedule, a_draining_broker_is_asked_again_after_its_restart) {
    scripted_peer peer;
    peer.greet();
    const publish_outcome& scheduled = peer.schedule("orders", "1", schedule_time::at(noon));
    peer.refuse(peer.write_one().request, error_code::draining);
    EXPECT_TRUE(scheduled.open());
    peer.reconnect();
    const sent_frame again = peer.write_one();
    EXPECT_EQ(again.as<codec::schedule>().due, noon);
    peer.acknowledge(again, 3);
    EXPECT_EQ(scheduled.offset, 3U);
}

TEST(client_schedule, beyond_the_bound_it_waits_for_room) {
    auto options = scripted_peer::quick_options();
    options.in_flight_messages = 1;
    scripted_peer peer(options);
    peer.greet();
    peer.publish("orders", "1");
    peer.schedule("orders", "2", schedule_time::at(noon));
    const sent_frame first = peer.write_one();
    EXPECT_EQ(first.type, frame_type::publish);
    peer.acknowledge(first, 0);
    EXPECT_EQ(peer.write_one().as<codec::schedule>().due, noon);
}

TEST(client_schedule, times_no_broker_would_take) {
    EXPECT_TRUE(check_when(std::nullopt));
    EXPECT_TRUE(check_when(schedule_time::after(0us)));
    EXPECT_TRUE(check_when(schedule_time::at(timestamp())));
    const auto negative = check_when(schedule_time::after(-1us));
    ASSERT_FALSE(negative);
    EXPECT_EQ(negative.error().code(), client_errc::invalid_argument);
    EXPECT_THAT(negative.error().what(), HasSubstr("negative delay"));
    const auto early = check_when(schedule_time::at(timestamp() - 1us));
    ASSERT_FALSE(early);
    EXPECT_EQ(early.error().code(), client_errc::invalid_argument);
    EXPECT_THAT(early.error().what(), HasSubstr("before 1970"));
}

TEST(client_schedule, times_of_any_precision) {
    const std::chrono::sys_time<std::chrono::nanoseconds> finer = noon + 1ns;
    EXPECT_EQ(schedule_time::at(finer).time(), noon + 1us);  // never before it
    EXPECT_EQ(schedule_time::at(std::chrono::floor<std::chrono::days>(noon)).time(), noon - 12h);
    EXPECT_EQ(schedule_time::at(no_timestamp).time(), no_timestamp);
    EXPECT_EQ(schedule_time::at(noon), schedule_time::at(noon));
    EXPECT_NE(schedule_time::at(noon), schedule_time::after(1h));
}

TEST(client_schedule, a_page_says_where_to_go_on) {
    codec::schedules reply;
    reply.more = true;
    const schedule_position from{noon, 4};
    const schedule_page empty = to_page(from, reply);
    EXPECT_TRUE(empty.more);
    EXPECT_EQ(empty.next, from);
    EXPECT_THAT(empty.schedules, IsEmpty());
    reply.items.push_back({5, noon + 1s, 1, 100, "ann"});
    reply.items.push_back({3, noon + 2s, 2, 200, ""});
    const schedule_page page = to_page(from, reply);
    EXPECT_EQ(page.next, (schedule_position{noon + 2s, 3}));
    EXPECT_THAT(page.schedules, ElementsAre(schedule_info{5, noon + 1s, 1, 100, "ann"},
                                            schedule_info{3, noon + 2s, 2, 200, ""}));
}

}  // namespace
}  // namespace brokerd::client_core
