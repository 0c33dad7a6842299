// A transaction as the application fills it, and the way to the client that commits it.
#include "brokerd/transaction.hpp"

#include <utility>

#include "brokerd/error.hpp"
#include "client/src/client_limits.hpp"
#include "client/src/encoded.hpp"
#include "client/src/message_access.hpp"
#include "client/src/reason.hpp"
#include "client/src/transaction_parts.hpp"
#include "client/src/wait_for.hpp"
#include "protocol/codec/record.hpp"
#include "protocol/codec/record_batch.hpp"

namespace brokerd {

using client_core::message_access;
using client_core::transaction_parts;
using client_core::value_or_throw;

namespace {

void add_message(transaction_parts& to, std::string_view topic, const outgoing_message& message,
                 const std::optional<schedule_time>& when) {
    value_or_throw(client_core::check_when(when));
    thread_local byte_buffer record;
    value_or_throw(client_core::encode_message(record, topic, message));
    const bool joins = !when && !client_core::carries_id(record) && !to.publishes.empty() &&
                       !to.publishes.back().alone() && to.publishes.back().topic == topic &&
                       to.publishes.back().summary.priority() == codec::record_priority(record) &&
                       to.publishes.back().count < client_core::client_limits::batch_records_max &&
                       to.publishes.back().batch.size() + record.size() <=
                           client_core::client_limits::batch_bytes_max;
    if (!joins) {
        transaction_parts::publish fresh;
        fresh.topic = topic;
        fresh.batch.resize(codec::batch_header_bytes);
        fresh.when = when;
        to.publishes.push_back(std::move(fresh));
    }
    transaction_parts::publish& last = to.publishes.back();
    last.batch.insert(last.batch.end(), record.begin(), record.end());
    last.summary.add(record);
    ++last.count;
}

void add_answer(transaction_parts& to, message&& which, settle_action action,
                std::chrono::microseconds delay, std::string_view reason) {
    if (which.answered()) {
        throw error(client_errc::invalid_argument,
                    which ? to_string(which.at()) + " has an answer already"
                          : "a transaction cannot answer an empty message");
    }
    to.settles.push_back({std::move(which), action, delay, client_core::clean_reason(reason)});
}

}  // namespace

transaction::transaction() noexcept = default;
transaction::transaction(transaction&& other) noexcept = default;
transaction& transaction::operator=(transaction&& other) noexcept = default;
transaction::~transaction() = default;

transaction_parts& transaction::parts() {
    if (!parts_) {
        parts_ = std::make_shared<transaction_parts>();
    }
    if (parts_->committing.load(std::memory_order_acquire)) {
        throw error(client_errc::invalid_argument,
                    "the transaction cannot be changed while a commit of it is under way");
    }
    return *parts_;
}

void transaction::publish(std::string_view topic, const outgoing_message& message) {
    add_message(parts(), topic, message, std::nullopt);
}

void transaction::schedule(std::string_view topic, const outgoing_message& message,
                           schedule_time when) {
    add_message(parts(), topic, message, when);
}

void transaction::ack(message&& which) {
    add_answer(parts(), std::move(which), settle_action::ack, std::chrono::microseconds{-1}, {});
}

void transaction::nack(message&& which, std::string_view reason) {
    nack(std::move(which), std::chrono::microseconds{-1}, reason);
}

void transaction::nack(message&& which, std::chrono::microseconds delay, std::string_view reason) {
    add_answer(parts(), std::move(which), settle_action::nack, delay, reason);
}

void transaction::reject(message&& which, std::string_view reason) {
    add_answer(parts(), std::move(which), settle_action::reject, std::chrono::microseconds{-1},
               reason);
}

bool transaction::empty() const noexcept {
    return !parts_ || (!parts_->committing.load(std::memory_order_acquire) && parts_->empty());
}

std::vector<message> transaction::take_back() {
    std::vector<message> out;
    transaction_parts& from = parts();
    out.reserve(from.settles.size());
    for (transaction_parts::settle& each : from.settles) {
        out.push_back(std::move(each.which));
    }
    from.clear();
    return out;
}

namespace client_core {

std::shared_ptr<transaction_parts> transaction_access::parts(transaction& of) {
    if (!of.parts_) {
        of.parts_ = std::make_shared<transaction_parts>();
    }
    return of.parts_;
}

void transaction_parts::clear() {
    for (settle& each : settles) {
        message_access::mark_answered(each.which);
    }
    settles.clear();
    publishes.clear();
}

void commit(const std::shared_ptr<core>& with, std::shared_ptr<transaction_parts> what,
            callback<committed> done) {
    const auto refuse = [&done](const std::string& text) {
        done(std::unexpected(make_error(client_errc::invalid_argument, text)));
    };
    if (what->committing.exchange(true, std::memory_order_acquire)) {
        refuse("a commit of this transaction is under way");
        return;
    }
    for (const transaction_parts::settle& each : what->settles) {
        // Another client may be connected to another broker.
        if (message_access::delivery_of(each.which).origin->owner.lock() != with) {
            what->committing = false;
            refuse(to_string(each.which.at()) +
                   " was consumed with another client than the one that commits its transaction");
            return;
        }
    }
    with->locked([&](client_state& state, mono_time, calls& out) {
        state.commit(std::move(what), std::move(done), out);
    });
}

}  // namespace client_core
}  // namespace brokerd
