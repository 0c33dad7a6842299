// A message and its answers.
#include "brokerd/message.hpp"

#include <exception>
#include <stdexcept>
#include <utility>

#include "client/src/convert.hpp"
#include "client/src/message_access.hpp"
#include "client/src/reason.hpp"
#include "client/src/wait_for.hpp"
#include "protocol/codec/record.hpp"
#include "protocol/types/bytes.hpp"

namespace brokerd {

using client_core::message_access;

message::message() noexcept = default;

message::message(message&& other) noexcept {
    *this = std::move(other);
}

message& message::operator=(message&& other) noexcept {
    if (this != &other) {
        if (open_) {
            release();
        }
        delivery_ = std::move(other.delivery_);
        record_ = other.record_;
        key_ = other.key_;
        payload_ = other.payload_;
        offset_ = other.offset_;
        time_ = other.time_;
        lease_ = other.lease_;
        attempt_ = other.attempt_;
        open_ = std::exchange(other.open_, false);
    }
    return *this;
}

message::~message() {
    if (open_) {
        release();
    }
}

message::operator bool() const noexcept {
    return delivery_ != nullptr;
}

const std::string& message::topic() const noexcept {
    return delivery_->origin->topic;
}

const std::string& message::queue() const noexcept {
    return delivery_->origin->queue;
}

const std::vector<failed_attempt>& message::history() const noexcept {
    return delivery_->history;
}

std::vector<std::pair<std::string_view, std::string_view>> message::headers() const {
    // It was verified when it arrived.
    return codec::parse_record(as_bytes(record_))->headers();
}

std::optional<std::string_view> message::header(std::string_view name) const {
    return codec::parse_record(as_bytes(record_))->header(name);
}

std::optional<std::chrono::milliseconds> message::ttl() const noexcept {
    return client_core::to_ttl(codec::record_ttl_ms(as_bytes(record_)));
}

std::string_view message::id() const noexcept {
    return codec::record_id(as_bytes(record_));
}

std::uint8_t message::priority() const noexcept {
    return codec::record_priority(as_bytes(record_));
}

void message::ack() noexcept {
    message_access::answer_with(*this, settle_action::ack, std::chrono::microseconds{-1}, {});
}

void message::ack_confirmed() {
    client_core::value_or_throw(client_core::wait_for<void>(
        [this](auto done) { message_access::confirm(*this, std::move(done)); }));
}

void message::nack(std::string_view reason) noexcept {
    nack(std::chrono::microseconds{-1}, reason);
}

void message::nack(std::chrono::microseconds delay, std::string_view reason) noexcept {
    message_access::answer_with(*this, settle_action::nack, delay, reason);
}

void message::reject(std::string_view reason) noexcept {
    message_access::answer_with(*this, settle_action::reject, std::chrono::microseconds{-1},
                                reason);
}

void message::release() noexcept {
    message_access::answer_with(*this, settle_action::release, std::chrono::microseconds{-1}, {});
}

void message::extend(std::chrono::microseconds duration) noexcept {
    client_core::answer what;
    what.action = settle_action::extend;
    what.delay = duration;
    if (open_) {
        message_access::give(*this, what);
    }
}

namespace client_core {

message message_access::make(handed_message taken) {
    message out;
    // Verified when it arrived: it has the form of a record.
    const codec::record_view record = *codec::parse_record(taken.record);
    const lease_run lease = taken.from->lease_of(taken.index);
    out.record_ = as_text(record.bytes);
    out.key_ = record.key;
    out.payload_ = as_text(record.payload);
    out.offset_ = lease.first_offset;
    out.time_ = taken.from->append_time;
    out.lease_ = {lease.epoch.value(), lease.first_lease};
    out.attempt_ = taken.from->attempt;
    out.delivery_ = std::move(taken.from);
    out.open_ = true;
    return out;
}

bool message_access::give(message& of, answer& what) {
    delivery& from = *of.delivery_;
    const std::shared_ptr<core> owner = from.origin->owner.lock();
    return owner != nullptr && owner->settle(from, index_of(of), what);
}

void message_access::answer_with(message& of, settle_action action, std::chrono::microseconds delay,
                                 std::string_view reason) noexcept {
    if (!std::exchange(of.open_, false)) {
        return;
    }
    answer what;
    what.action = action;
    what.delay = delay;
    what.reason = clean_reason(reason);
    give(of, what);
}

void message_access::confirm(message& of, callback<void> done) {
    answer what;
    what.confirmed = std::move(done);
    if (std::exchange(of.open_, false) && give(of, what)) {
        return;
    }
    what.confirmed(std::unexpected(make_error(failure{
        error_code::lease_gone,
        "the lease of " + to_string(of.at()) + " is no longer held: it may be delivered again"})));
}

void message_access::settle_handled(message& of, const std::exception_ptr& thrown) noexcept {
    if (!thrown) {
        of.ack();
        return;
    }
    try {
        std::rethrow_exception(thrown);
    } catch (const reject_message& why) {
        of.reject(why.what());
    } catch (const std::exception& why) {
        of.nack(why.what());
    } catch (...) {
        of.nack("the handler threw something that is no std::exception");
    }
}

}  // namespace client_core
}  // namespace brokerd
