// Transactions: every part is verified here, on the I/O thread, as it would be on its own; whether
// all of it can be done is for the engine to say.
#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "broker/session/request_checks.hpp"
#include "broker/session/request_table.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/codec/transaction_messages.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::session::handlers {
namespace {

std::unexpected<failure> bad_transaction(std::string text) {
    return brokerd::refuse(error_code::invalid_argument, std::move(text));
}

// Which of many publishes or settles is meant: counted from 1.
std::unexpected<failure> bad_part(const char* kind, std::size_t place, failure why) {
    why.text = fmt::format("{} {} of the transaction: {}", kind, place + 1, why.text);
    return std::unexpected(std::move(why));
}

outcome<void> check_size(const codec::transact& message) {
    constexpr std::size_t parts_max = limits::transaction_parts_max;
    const std::size_t publishes = message.publishes.size();
    const std::size_t settles = message.settles.size();
    if (publishes == 0 && settles == 0) {
        return bad_transaction("the transaction has neither publishes nor settles");
    }
    if (publishes > parts_max || settles > parts_max) {
        return bad_transaction(
            fmt::format("the transaction has {} publishes and {} settles, at most {} of each are "
                        "allowed: put messages of one topic into one batch, leases of one queue "
                        "into one settle",
                        publishes, settles, parts_max));
    }
    std::size_t runs = 0;
    for (const auto& each : message.settles) {
        runs += each.runs.size();
    }
    if (runs > limits::settle_runs_max) {
        return bad_transaction(fmt::format(
            "the settles of the transaction have {} runs together, at most {} are allowed", runs,
            limits::settle_runs_max));
    }
    return {};
}

outcome<void> check_sequences(const codec::transact& message) {
    if (message.producer == producer_id{} || message.first_sequence == 0) {
        return bad_transaction("a transaction needs a producer and a first sequence from 1 on");
    }
    const std::size_t taken = std::max<std::size_t>(message.publishes.size(), 1);
    if (message.first_sequence > std::numeric_limits<std::uint64_t>::max() - taken) {
        return bad_transaction(
            fmt::format("the sequences of the transaction, {} from {} on, go "
                        "beyond the largest number",
                        taken, message.first_sequence));
    }
    return {};
}

outcome<void> check_part(const codec::transact_settle& settle) {
    const auto action = settle.action;
    if (action != settle_action::ack && action != settle_action::nack &&
        action != settle_action::reject) {
        return bad_transaction(fmt::format(
            "a transaction cannot {} leases, only ack, nack and reject them", to_string(action)));
    }
    return check_settle(action, settle.delay, settle.reason);
}

// Its batch is not kept yet.
outcome<domain::publish_request> check_part(const codec::transact_publish& publish,
                                            std::uint32_t records_max) {
    const auto checked = codec::check_batch(publish.batch.view, records_max);
    if (!checked) {
        return std::unexpected(checked.error());
    }
    if (checked->header.producer != producer_id{}) {
        return bad_transaction(
            "its batch has a producer; in a transaction only the transaction has one");
    }
    if (!publish.scheduled && (publish.due != wall_time{} || publish.delay != duration_us{0})) {
        return bad_transaction("it has a due time or a delay, and is not scheduled");
    }
    domain::publish_request request;
    request.topic = publish.topic;
    request.batch.view = publish.batch.view;
    request.count = checked->header.count;
    request.largest_record = checked->largest_record;
    auto id = id_of_batch(*checked);
    if (!id) {
        return std::unexpected(id.error());
    }
    request.id = std::move(*id);
    if (publish.scheduled) {
        request.later = domain::schedule_time{publish.due, publish.delay};
    }
    return request;
}

outcome<domain::transaction_request> check(codec::transact message, std::uint32_t records_max) {
    auto checked = check_size(message);
    if (checked) {
        checked = check_sequences(message);
    }
    if (!checked) {
        return std::unexpected(checked.error());
    }
    for (std::size_t i = 0; i < message.settles.size(); ++i) {
        if (auto settle = check_part(message.settles[i]); !settle) {
            return bad_part("settle", i, settle.error());
        }
    }
    domain::transaction_request request;
    request.producer = message.producer;
    request.first_sequence = message.first_sequence;
    request.publishes.reserve(message.publishes.size());
    for (std::size_t i = 0; i < message.publishes.size(); ++i) {
        auto publish = check_part(message.publishes[i], records_max);
        if (!publish) {
            return bad_part("publish", i, naming(message.publishes[i].topic, publish.error()));
        }
        request.publishes.push_back(*std::move(publish));
    }
    request.settles = std::move(message.settles);
    return request;
}

}  // namespace

void transact(session& of, const codec::frame& frame, session_io& io) {
    auto message = codec::decode<codec::transact>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    auto request = check(*std::move(message), of.settings().batch_records_max);
    if (!request) {
        of.refuse(frame.request_id, request.error(), io);
        return;
    }
    for (auto& publish : request->publishes) {
        publish.batch = of.keep(publish.batch.view);
    }
    // No credit bounds what waits for the engine: until the answer comes the bytes of the request
    // count, and what may have to be known of each lease.
    std::uint64_t leases = 0;
    for (const auto& each : request->settles) {
        leases += leases_in(each.runs);
    }
    const std::size_t bytes = answer_about(leases) + frame.body.size();
    of.pass_on(frame.request_id, *std::move(request), {answer_kind::soon, bytes}, io);
}

}  // namespace brokerd::session::handlers
