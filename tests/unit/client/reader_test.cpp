// Readers: order, waiting, trimmed messages, lost connections.
#include <gmock/gmock.h>

#include "tests/unit/client/consumer_script.hpp"

namespace brokerd::client_core {
namespace {

using testing::ElementsAre;
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
        return reader().wait(timeout, peer.now, [this](result<std::optional<stored_message>> got) {
            if (!got) {
                failure = got.error();
            } else if (*got) {
                seen.push_back((*got)->payload);
            } else {
                ++nothing;
            }
        });
    }
    void answer(const sent_frame& read, offset_t first, const std::vector<std::string>& payloads) {
        const byte_buffer records = consumer_script::records_of(payloads);
        codec::messages reply;
        reply.next_offset = first + payloads.size();
        reply.position = first + payloads.size();
        if (!payloads.empty()) {
            reply.runs.push_back(
                {first, static_cast<std::uint32_t>(payloads.size()), wall_time{}, {records}});
        }
        peer.say(read.request, reply);
    }

    scripted_peer peer;
    std::uint64_t id = 0;
    std::vector<std::string> seen;
    std::optional<error> failure;
    int nothing = 0;
};

TEST_F(client_reader_test, reads_pages_in_order) {
    open(log_position::at_offset(5));
    wait(10s);
    const sent_frame first = peer.write_one();
    EXPECT_EQ(first.as<codec::read>().from.offset, 5U);
    EXPECT_EQ(first.as<codec::read>().wait, duration_us(10s));
    answer(first, 5, {"a", "b"});
    EXPECT_THAT(seen, ElementsAre("a"));
    EXPECT_EQ(reader().position(), 6U);
    EXPECT_EQ(reader().take()->offset, 6U);
    wait(10s);
    EXPECT_EQ(peer.write_one().as<codec::read>().from.offset, 7U);
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
    const sent_frame first = peer.write_one();
    EXPECT_EQ(first.as<codec::read>().wait, duration_us(30s));
    answer(first, 3, {});
    EXPECT_EQ(nothing, 0);
    const sent_frame second = peer.write_one();
    EXPECT_EQ(second.as<codec::read>().from.offset, 3U);
    answer(second, 3, {"new"});
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
