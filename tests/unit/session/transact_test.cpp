// Transactions: every part is verified before the engine sees any, and they wait for their answers
// within bounds.
#include <gmock/gmock.h>

#include "tests/unit/session/session_fixture.hpp"

namespace brokerd::session {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

class transacting : public session_fixture {
protected:
    void SetUp() override { open(); }

    // A publish, a schedule and an ack.
    [[nodiscard]] codec::transact valid() const {
        codec::transact message{.producer = producer_id{5}, .first_sequence = 8};
        message.publishes = {publish_of(two_), publish_of(one_)};
        message.publishes[1].topic = "later";
        message.publishes[1].scheduled = true;
        message.publishes[1].delay = 5s;
        message.settles = {ack_of(1)};
        return message;
    }
    [[nodiscard]] static codec::transact_publish publish_of(byte_view batch) {
        return {.topic = "orders.eu", .batch = {batch}};
    }
    [[nodiscard]] static codec::transact_settle ack_of(std::uint32_t leases) {
        return {.queue = queue_id{3}, .runs = {{10, leases, broker_epoch{1}, 20}}};
    }
    // Sends it, expects a refusal that spares the connection, and returns it.
    [[nodiscard]] codec::error refusal(const codec::transact& message) {
        receive(7, message);
        EXPECT_TRUE(commands.empty());
        EXPECT_FALSE(machine().closing());
        EXPECT_FALSE(machine().blocked());
        return take_one<codec::error>(7);
    }
    void expect_bad(const codec::transact& message, std::string_view text) {
        const auto error = refusal(message);
        EXPECT_EQ(error.code, error_code::invalid_argument);
        EXPECT_THAT(error.text, HasSubstr(text));
    }

    byte_buffer one_ = batch_of(1);
    byte_buffer two_ = batch_of(2);
};

TEST_F(transacting, an_id_is_handed_over_and_its_message_must_be_alone) {
    codec::batch_builder builder;
    builder.add({.payload = as_bytes("x"), .id = "order-77"});
    const byte_buffer alone = builder.take({}, 0);
    auto message = valid();
    message.publishes[0].batch = {alone};
    receive(7, message);
    EXPECT_EQ(take_request<domain::transaction_request>(7).publishes.at(0).id, "order-77");
    builder.add({.payload = as_bytes("x"), .id = "order-77"});
    builder.add({.payload = as_bytes("x")});
    const byte_buffer two = builder.take({}, 0);
    message.publishes[0].batch = {two};
    expect_bad(message, "a message with an id must be alone in its batch");
}

TEST_F(transacting, all_of_it_is_handed_over_in_its_order) {
    const auto message = valid();
    receive(7, message);
    const auto request = take_request<domain::transaction_request>(7);
    EXPECT_EQ(request.producer, producer_id{5});
    EXPECT_EQ(request.first_sequence, 8U);
    EXPECT_EQ(request.settles, message.settles);
    ASSERT_THAT(request.publishes, SizeIs(2));
    const auto& now_published = request.publishes[0];
    EXPECT_EQ(now_published.topic, "orders.eu");
    EXPECT_EQ(now_published.count, 2U);
    EXPECT_EQ(now_published.producer, producer_id{});
    EXPECT_EQ(now_published.largest_record, 19U);  // 9 and the payload of 10
    EXPECT_EQ(as_text(now_published.batch.view), as_text(two_));
    EXPECT_FALSE(now_published.later);
    const auto& scheduled = request.publishes[1];
    EXPECT_EQ(scheduled.topic, "later");
    EXPECT_EQ(as_text(scheduled.batch.view), as_text(one_));
    ASSERT_TRUE(scheduled.later);
    EXPECT_EQ(scheduled.later->due, wall_time{});
    EXPECT_EQ(scheduled.later->delay, 5s);
}

TEST_F(transacting, settles_alone_and_publishes_alone_will_do) {
    auto settles = valid();
    settles.publishes.clear();
    receive(1, settles);
    EXPECT_THAT(take_request<domain::transaction_request>(1).settles, SizeIs(1));
    auto publishes = valid();
    publishes.settles.clear();
    receive(2, publishes);
    EXPECT_THAT(take_request<domain::transaction_request>(2).publishes, SizeIs(2));
}

TEST_F(transacting, every_action_it_can_hold_passes) {
    auto message = valid();
    message.settles = {ack_of(1), ack_of(2), ack_of(3)};
    message.settles[1].action = settle_action::nack;
    message.settles[1].delay = limits::nack_delay_max;
    message.settles[2].action = settle_action::reject;
    message.settles[2].reason = std::string(limits::reason_bytes_max, 'r');
    receive(1, message);
    EXPECT_EQ(take_request<domain::transaction_request>(1).settles, message.settles);
}

TEST_F(transacting, all_its_bytes_outlive_the_read_in_one_piece_or_not) {
    byte_buffer bytes;
    codec::encode_frame(bytes, 1, valid());
    const auto expect_kept = [&] {
        const auto request = take_request<domain::transaction_request>(1);
        ASSERT_THAT(request.publishes, SizeIs(2));
        EXPECT_EQ(as_text(request.publishes[0].batch.view), as_text(two_));
        EXPECT_EQ(as_text(request.publishes[1].batch.view), as_text(one_));
    };
    {
        const byte_buffer whole = bytes;
        receive(whole);
    }
    expect_kept();
    {
        const byte_buffer first(bytes.begin(), bytes.end() - 30);
        receive(first);
        const byte_buffer rest(bytes.end() - 30, bytes.end());
        receive(rest);
    }
    expect_kept();
}

TEST_F(transacting, takes_no_credit_and_is_answered_by_itself) {
    receive(7, valid());
    EXPECT_TRUE(machine().publishes().empty());
    EXPECT_EQ(machine().publishes().credit_messages(), settings.credit_messages);
    EXPECT_FALSE(machine().drained());
    const codec::transacted answer{.duplicate = true, .publishes = {{41}, {2}}};
    output(7, answer);
    outputs_end();
    EXPECT_EQ(take_one<codec::transacted>(7), answer);
    EXPECT_TRUE(machine().drained());
}

TEST_F(transacting, a_refusal_by_the_engine_is_an_error_of_the_request) {
    receive(7, valid());
    output(7, codec::error{error_code::lease_gone, "the lease of orders/work@10 is gone"});
    outputs_end();
    EXPECT_EQ(take_one<codec::error>(7).code, error_code::lease_gone);
    EXPECT_FALSE(machine().closing());
    EXPECT_TRUE(machine().drained());
}

TEST_F(transacting, what_comes_while_the_broker_shuts_down_is_still_carried_out) {
    auto with = io();
    machine().drain(10s, with);
    commands.clear();
    (void)take();
    receive(7, valid());
    EXPECT_THAT(take_request<domain::transaction_request>(7).publishes, SizeIs(2));
}

TEST_F(transacting, one_that_cannot_be_decoded_is_refused) {
    byte_buffer bytes;
    codec::encode_frame(bytes, 7, valid());
    bytes.at(codec::frame_header_bytes + 2 * sizeof(std::uint64_t)) = std::byte{0xff};
    receive(bytes);
    EXPECT_EQ(take_one<codec::error>(7).code, error_code::malformed);
    EXPECT_TRUE(commands.empty());
    EXPECT_FALSE(machine().closing());
}

TEST_F(transacting, a_producer_and_a_sequence_are_needed) {
    auto message = valid();
    message.producer = producer_id{};
    expect_bad(message, "needs a producer");
    message = valid();
    message.first_sequence = 0;
    expect_bad(message, "first sequence from 1 on");
    message.first_sequence = ~std::uint64_t{0} - 1;  // of two publishes
    expect_bad(message, "beyond the largest number");
}

TEST_F(transacting, one_with_nothing_in_it_is_refused) {
    expect_bad({.producer = producer_id{5}, .first_sequence = 1}, "neither publishes nor settles");
}

// Promise: transaction.bounds
TEST_F(transacting, as_many_parts_as_may_be_pass_and_one_more_is_refused) {
    auto message = valid();
    message.publishes.assign(limits::transaction_parts_max, publish_of(one_));
    message.settles.assign(limits::transaction_parts_max, ack_of(1));
    receive(1, message);
    EXPECT_THAT(take_request<domain::transaction_request>(1).publishes,
                SizeIs(limits::transaction_parts_max));
    auto publishes = message;
    publishes.publishes.push_back(publish_of(one_));
    expect_bad(publishes, "1001 publishes and 1000 settles, at most 1000 of each");
    message.settles.push_back(ack_of(1));
    expect_bad(message, "1000 publishes and 1001 settles, at most 1000 of each");
}

TEST_F(transacting, the_runs_of_all_settles_are_bounded_together) {
    auto message = valid();
    message.settles.assign(2, ack_of(1));
    for (auto& each : message.settles) {
        each.runs.assign(limits::settle_runs_max / 2, {0, 1, broker_epoch{1}, 1});
    }
    receive(1, message);
    EXPECT_THAT(take_request<domain::transaction_request>(1).settles, SizeIs(2));
    message.settles.push_back(ack_of(1));
    expect_bad(message, "have 16385 runs together, at most 16384");
}

TEST_F(transacting, a_settle_that_cannot_be_is_named) {
    const auto bad = [&](auto change, std::string_view text) {
        auto message = valid();
        message.settles = {ack_of(1), ack_of(1)};
        change(message.settles[1]);
        expect_bad(message, "settle 2 of the transaction: ");
        expect_bad(message, text);
    };
    bad([](auto& settle) { settle.action = settle_action::release; }, "cannot release leases");
    bad([](auto& settle) { settle.action = settle_action::extend; }, "cannot extend leases");
    bad([](auto& settle) { settle.delay = duration_us{-2}; }, "the delay of a ack is -2 us");
    bad(
        [](auto& settle) {
            settle.action = settle_action::nack;
            settle.delay = duration_us{limits::nack_delay_max} + 1us;
        },
        "the delay of a nack is");
    bad([](auto& settle) { settle.reason = std::string(limits::reason_bytes_max + 1, 'r'); },
        "reason");
}

TEST_F(transacting, a_publish_that_cannot_be_is_named_with_its_topic) {
    const auto bad = [&](auto change, error_code code, std::string_view text) {
        auto message = valid();
        change(message.publishes[0]);
        const auto error = refusal(message);
        EXPECT_EQ(error.code, code) << error.text;
        EXPECT_THAT(error.text, AllOf(HasSubstr("publish 1 of the transaction: topic orders.eu: "),
                                      HasSubstr(text)));
    };
    auto damaged = batch_of(2);
    damaged.back() ^= std::byte{1};
    bad([&](auto& publish) { publish.batch = {damaged}; }, error_code::bad_checksum, "");
    damaged.pop_back();
    bad([&](auto& publish) { publish.batch = {damaged}; }, error_code::bad_batch, "");
    bad([](auto& publish) { publish.batch = {}; }, error_code::bad_batch, "");
    byte_buffer none(codec::batch_header_bytes);
    codec::store_batch_header(none.data(), {});
    bad([&](auto& publish) { publish.batch = {none}; }, error_code::empty_batch, "");
    const auto many = batch_of(settings.batch_records_max + 1);
    bad([&](auto& publish) { publish.batch = {many}; }, error_code::too_many_records, "");
    codec::batch_builder builder;
    builder.add({.key = {}, .headers = {}, .payload = as_bytes("x")});
    const auto owned = builder.take(producer_id{9}, 1);
    bad([&](auto& publish) { publish.batch = {owned}; }, error_code::invalid_argument,
        "its batch has a producer");
    bad([&](auto& publish) { publish.due = now.wall; }, error_code::invalid_argument,
        "is not scheduled");
    bad([](auto& publish) { publish.delay = 1us; }, error_code::invalid_argument,
        "is not scheduled");
}

TEST_F(transacting, a_name_that_is_none_is_not_repeated) {
    auto message = valid();
    message.publishes[1].topic = "\r\nERROR";
    message.publishes[1].batch = {};
    EXPECT_THAT(refusal(message).text,
                AllOf(HasSubstr("publish 2 of the transaction: "), Not(HasSubstr("ERROR"))));
}

// Each may hold as much as the largest frame: they count with their size, so that a few large ones
// stop the connection, and one alone never does for long.
TEST_F(transacting, large_ones_without_answer_are_bounded_by_their_bytes) {
    auto message = valid();
    const auto large = batch_of(1, 900 * limits::kib);
    message.publishes = {publish_of(large), publish_of(large)};
    std::size_t sent = 0;
    while (!machine().blocked() && sent < 100) {
        receive(static_cast<std::uint32_t>(++sent), message);
    }
    EXPECT_EQ(sent, limits::outbox_bytes_max / (2 * large.size()) + 1);
    receive(200, message);
    EXPECT_THAT(commands, SizeIs(sent)) << "the next one waits";
    output(1, codec::transacted{});
    outputs_end();
    EXPECT_THAT(commands, SizeIs(sent + 1));
}

TEST_F(transacting, small_ones_without_answer_are_bounded_by_their_number) {
    auto message = valid();
    std::uint32_t sent = 0;
    while (!machine().blocked() && sent < 2 * requests_unanswered_max) {
        receive(++sent, message);
    }
    EXPECT_EQ(sent, requests_unanswered_max);
}

}  // namespace
}  // namespace brokerd::session
