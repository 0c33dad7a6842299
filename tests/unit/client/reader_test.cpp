// Readers: order, waiting, trimmed messages, lost connections.
#include <gmock/gmock.h>

#include "tests/unit/client/consumer_script.hpp"

namespace brokerd::client_core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class client_reader_test : public testing::Test {
protected:
    void open(log_position from, const reader_options& options = {}) {
        id = peer.state.open_reader("orders", from, options);
        peer.greet();
    }
    reader_state& reader() { return *peer.state.find_reader(id); }
    std::uint64_t wait(duration_us timeout) {
        auto note = [this](const result<std::optional<stored_message>>& got) {
            if (!got) {
                failure = got.error();
            } else if (*got) {
                seen.push_back((*got)->payload);
            } else {
                ++nothing;
            }
        };
        return peer.with([&](calls& out) { return reader().wait(timeout, peer.now, note, out); });
    }
    void answer(const sent_frame& read, offset_t first, const std::vector<std::string>& payloads) {
        const byte_buffer records = consumer_script::records_of(payloads);
        codec::messages reply;
        reply.incarnation = incarnation;
        reply.next_offset = first + payloads.size();
        reply.position = first + payloads.size();
        if (!payloads.empty()) {
            reply.runs.push_back(
                {first, static_cast<std::uint32_t>(payloads.size()), wall_time{}, {records}});
        }
        peer.say(read.request, reply);
    }

    // Reads until the reader knows which incarnation it is in.
    void open_in_topic(log_position from) {
        open(from);
        wait(forever);
        answer(peer.write_one(), 0, {"a", "b"});
    }
    void reconnect_to_other_data() {
        peer.terms.database_id = "another";
        peer.reconnect();
    }

    scripted_peer peer;
    std::uint64_t id = 0;
    topic_id incarnation{7};
    std::vector<std::string> seen;
    std::optional<error> failure;
    int nothing = 0;
};

TEST_F(client_reader_test, reads_pages_in_order) {
    open(log_position::at_offset(5));
    wait(10s);
    const sent_frame first = peer.write_one();
    EXPECT_EQ(first.as<codec::read>().from.offset, 5U);
    EXPECT_EQ(first.as<codec::read>().incarnation, topic_id{});
    answer(first, 5, {"a", "b"});
    EXPECT_THAT(seen, ElementsAre("a"));
    EXPECT_EQ(reader().position(), 6U);
    EXPECT_EQ(reader().take()->offset, 6U);
    wait(10s);
    const auto next = peer.write_one().as<codec::read>();
    EXPECT_EQ(next.from.offset, 7U);
    EXPECT_EQ(next.incarnation, incarnation);
    EXPECT_EQ(next.wait, duration_us(10s));
}

TEST_F(client_reader_test, zero_timeout_is_one_look) {
    open(log_position::earliest());
    wait(0s);
    const sent_frame read = peer.write_one();
    EXPECT_EQ(read.as<codec::read>().wait, duration_us(0));
    answer(read, 0, {});
    EXPECT_EQ(nothing, 1);
    EXPECT_THAT(peer.write(), IsEmpty());
}

TEST_F(client_reader_test, waits_longer_than_one_read_may) {
    open(log_position::latest());
    wait(60s);
    answer(peer.write_one(), 3, {});
    const sent_frame second = peer.write_one();
    EXPECT_EQ(second.as<codec::read>().wait, duration_us(30s));
    answer(second, 3, {});
    EXPECT_EQ(nothing, 0);
    const sent_frame third = peer.write_one();
    EXPECT_EQ(third.as<codec::read>().from.offset, 3U);
    answer(third, 3, {"new"});
    EXPECT_THAT(seen, ElementsAre("new"));
}

TEST_F(client_reader_test, time_runs_without_connection) {
    open(log_position::earliest());
    wait(5s);
    peer.lose();
    peer.pass(5s);
    EXPECT_EQ(nothing, 1);
}

TEST_F(client_reader_test, is_asked_again_after_a_loss) {
    open(log_position::at_offset(4));
    wait(forever);
    (void)peer.write();
    peer.reconnect();
    const sent_frame again = peer.write_one();
    EXPECT_EQ(again.as<codec::read>().from.offset, 4U);
    answer(again, 4, {"x"});
    EXPECT_THAT(seen, ElementsAre("x"));
}

TEST_F(client_reader_test, latest_is_where_it_was_when_first_asked_for) {
    open(log_position::latest());
    wait(forever);
    const sent_frame first = peer.write_one();
    EXPECT_EQ(first.as<codec::read>().wait, duration_us(0)) << "a loss would ask for it again";
    answer(first, 3, {});
    (void)peer.write();
    peer.reconnect();
    EXPECT_EQ(peer.write_one().as<codec::read>().from.offset, 3U);
}

TEST_F(client_reader_test, ends_when_the_broker_has_other_data) {
    open_in_topic(log_position::earliest());
    reconnect_to_other_data();
    EXPECT_THAT(peer.write(), IsEmpty());
    EXPECT_EQ(reader().take()->payload, "b") << "read before, from the data that it began in";
    for (int i = 0; i < 2; ++i) {
        failure.reset();
        wait(forever);
        ASSERT_TRUE(failure);
        EXPECT_EQ(failure->code(), client_errc::other_data);
        EXPECT_THAT(failure->what(), HasSubstr("topic orders"));
    }
    EXPECT_THAT(peer.write(), IsEmpty());
}

TEST_F(client_reader_test, other_data_are_told_to_who_waits) {
    open_in_topic(log_position::earliest());
    (void)reader().take();
    wait(forever);
    (void)peer.write();
    reconnect_to_other_data();
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), client_errc::other_data);
    EXPECT_THAT(peer.write(), IsEmpty());
}

TEST_F(client_reader_test, an_offset_that_was_not_read_yet_is_of_the_data_before_too) {
    open(log_position::at_offset(4));
    wait(forever);
    (void)peer.write();
    reconnect_to_other_data();
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), client_errc::other_data);
}

TEST_F(client_reader_test, what_has_not_begun_begins_in_the_data_that_are_there) {
    open(log_position::earliest());
    wait(forever);
    (void)peer.write();
    reconnect_to_other_data();
    answer(peer.write_one(), 0, {"x"});
    EXPECT_THAT(seen, ElementsAre("x"));
}

TEST_F(client_reader_test, ends_with_its_topic) {
    open_in_topic(log_position::earliest());
    (void)reader().take();
    wait(forever);
    peer.refuse(peer.write_one().request, error_code::topic_removed);
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(failure);
        EXPECT_EQ(failure->code(), broker_errc::topic_removed);
        failure.reset();
        wait(forever);
    }
    EXPECT_THAT(peer.write(), IsEmpty()) << "it cannot come back";
}

TEST_F(client_reader_test, seek_begins_anew_after_the_end_but_not_before) {
    open_in_topic(log_position::earliest());
    reader().seek(log_position::at_offset(1));
    wait(forever);
    const sent_frame same = peer.write_one();
    EXPECT_EQ(same.as<codec::read>().incarnation, incarnation);
    peer.refuse(same.request, error_code::topic_removed);
    reader().seek(log_position::earliest());
    wait(forever);
    const sent_frame anew = peer.write_one();
    EXPECT_EQ(anew.as<codec::read>().incarnation, topic_id{});
    incarnation = topic_id{9};
    answer(anew, 0, {"x"});
    EXPECT_THAT(seen, ElementsAre("a", "x"));
    wait(forever);
    EXPECT_EQ(peer.write_one().as<codec::read>().incarnation, topic_id{9});
}

TEST_F(client_reader_test, what_came_between_looking_and_waiting_is_handed_out_at_once) {
    open(log_position::earliest());
    reader().cancel_wait(wait(forever));
    answer(peer.write_one(), 0, {"a"});
    wait(forever);
    EXPECT_THAT(seen, ElementsAre("a"));
    EXPECT_THAT(peer.write(), IsEmpty());
}

// Promise: replay.reader
TEST_F(client_reader_test, removed_messages_are_an_error_and_seek_goes_on) {
    open(log_position::at_offset(0));
    wait(forever);
    peer.refuse(peer.write_one().request, error_code::gone);
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), broker_errc::gone);
    reader().seek(log_position::earliest());
    wait(forever);
    EXPECT_EQ(peer.write_one().as<codec::read>().from.kind, position_kind::earliest);
}

TEST_F(client_reader_test, removed_messages_are_skipped_if_wanted) {
    open(log_position::at_offset(0), {.skip_removed = true});
    wait(forever);
    peer.refuse(peer.write_one().request, error_code::gone);
    EXPECT_FALSE(failure);
    const sent_frame again = peer.write_one();
    EXPECT_EQ(again.as<codec::read>().from.kind, position_kind::earliest);
    answer(again, 17, {"oldest"});
    EXPECT_THAT(seen, ElementsAre("oldest"));
}

TEST_F(client_reader_test, a_cancelled_wait_skips_no_message) {
    open(log_position::at_offset(0));
    reader().cancel_wait(wait(forever));
    answer(peer.write_one(), 0, {"a"});
    EXPECT_THAT(seen, IsEmpty());
    EXPECT_EQ(reader().take()->payload, "a");
}

TEST_F(client_reader_test, damaged_messages_are_reported) {
    open(log_position::at_offset(0));
    wait(forever);
    const sent_frame read = peer.write_one();
    byte_buffer records = consumer_script::records_of({"a"});
    records.back() ^= std::byte{1};
    codec::messages reply;
    reply.runs.push_back({0, 1, wall_time{}, {records}});
    peer.say(read.request, reply);
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), client_errc::protocol_error);
}

TEST_F(client_reader_test, closing_wakes_who_waits) {
    open(log_position::at_offset(0));
    wait(forever);
    peer.with([&](calls& out) { peer.state.close_reader(id, out); });
    EXPECT_EQ(nothing, 1);
    EXPECT_EQ(peer.state.find_reader(id), nullptr);
}

}  // namespace
}  // namespace brokerd::client_core
