// Sending requests of services, and what ends them.
#include "client/src/service_outbox.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "client/src/client_limits.hpp"
#include "client/src/convert.hpp"
#include "client/src/deadline.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/record.hpp"

namespace brokerd::client_core {
namespace {

error request_outcome_unknown(const std::string& text) {
    return make_error(client_errc::outcome_unknown, text);
}

}  // namespace

std::uint64_t service_outbox::add(std::string service, byte_buffer record, mono_time deadline,
                                  callback<service_reply> done, calls& out) {
    if (!fits(record.size())) {
        finish<service_reply>(
            out, done,
            std::unexpected(make_error(
                client_errc::timed_out,
                fmt::format("too many requests wait to be sent for one more, of service {}; "
                            "nothing was done; wait for replies, or raise in_flight_messages and "
                            "in_flight_bytes",
                            service))));
        return 0;
    }
    const std::uint64_t ticket = ++last_ticket_;
    waiting_until_.emplace(deadline, ticket);
    waiting_bytes_ += record.size();
    waiting_.emplace(
        ticket, entry{ticket, std::move(service), std::move(record), deadline, std::move(done)});
    return ticket;
}

bool service_outbox::fits(std::size_t record_bytes) const {
    return waiting_.empty() ||
           (waiting_.size() < waiting_max_ && waiting_bytes_ + record_bytes <= waiting_bytes_max_);
}

// `ticket` is of one that waits.
service_outbox::entry service_outbox::take_waiting(std::uint64_t ticket) {
    entry taken = std::move(waiting_.extract(ticket).mapped());
    waiting_until_.erase({taken.deadline, ticket});
    waiting_bytes_ -= taken.record.size();
    return taken;
}

void service_outbox::cancel(std::uint64_t ticket) {
    if (waiting_.contains(ticket)) {
        (void)take_waiting(ticket);
        return;
    }
    // It still counts as one that has no answer.
    const auto sent =
        std::ranges::find_if(sent_, [&](const auto& each) { return each.second.ticket == ticket; });
    if (sent != sent_.end()) {
        sent->second.done = nullptr;
    }
}

void service_outbox::on_ready(const codec::hello_ok& terms) {
    ready_ = true;
    takes_requests_ = (terms.features & codec::feature::services) != 0;
    frame_bytes_max_ = terms.frame_bytes_max;
}

void service_outbox::on_lost(calls& out) {
    ready_ = false;
    for (auto& [request, each] : std::exchange(sent_, {})) {
        finish<service_reply>(
            out, each.done,
            std::unexpected(request_outcome_unknown(
                fmt::format("the connection was lost before service {} replied: the request may "
                            "have been handled or not",
                            each.service))));
    }
}

bool service_outbox::wants_write() const {
    return ready_ && !waiting_.empty() && sent_.size() < limits::requests_per_connection_max;
}

// What no broker of these terms can take is not sent: it would close the connection.
result<void> service_outbox::check(const codec::service_request& frame) const {
    if (!takes_requests_) {
        return std::unexpected(
            make_error(failure{error_code::feature_unsupported,
                               "the broker is too old for requests of services; update brokerd"}));
    }
    if (const std::size_t bytes = codec::body_size(frame); bytes > frame_bytes_max_) {
        return std::unexpected(make_error(
            client_errc::invalid_argument,
            fmt::format("a request of {} bytes does not fit into the {} bytes of a frame that this "
                        "broker accepts; ask with less, or start brokerd with a larger "
                        "--max-frame-bytes",
                        bytes, frame_bytes_max_)));
    }
    return {};
}

void service_outbox::write(outgoing& out, calls& done) {
    while (wants_write() && out.bytes.size() < client_limits::write_bytes_max) {
        entry next = take_waiting(waiting_.begin()->first);
        const duration_us left = next.deadline - out.now;
        codec::service_request frame;
        frame.service = next.service;
        frame.timeout = std::max<duration_us>(left, limits::request_timeout_min);
        frame.record.view = next.record;
        result<void> fine = check(frame);
        if (fine && left <= duration_us{0}) {
            fine = std::unexpected(late(next));
        }
        if (!fine) {
            finish<service_reply>(done, next.done, std::unexpected(fine.error()));
            continue;
        }
        const std::uint32_t request = out.ids.next();
        codec::encode_frame(out.bytes, request, frame);
        next.record = {};
        look_at_ = std::min(look_at_, answer_by(next));
        sent_.emplace(request, std::move(next));
    }
}

bool service_outbox::on_replied(std::uint32_t request, const codec::replied& reply, calls& out) {
    const auto record = codec::check_record(reply.record.view);
    auto found = sent_.extract(request);
    if (found.empty() || !record || record->bytes.size() != reply.record.view.size()) {
        if (!found.empty()) {
            sent_.insert(std::move(found));  // its fate is that of the connection
        }
        return false;
    }
    finish<service_reply>(out, found.mapped().done, to_reply(reply.responder, *record));
    return true;
}

void service_outbox::on_refused(std::uint32_t request, const failure& why, calls& out) {
    auto found = sent_.extract(request);
    if (!found.empty()) {
        finish<service_reply>(out, found.mapped().done, std::unexpected(make_error(why)));
    }
}

error service_outbox::late(const entry& of) const {
    return make_error(ready_ ? client_errc::timed_out : client_errc::not_connected,
                      fmt::format("the request of service {} could not be sent in time: {}; "
                                  "nothing was done",
                                  of.service,
                                  ready_ ? "too many others wait for their replies"
                                         : "there is no connection to the broker"));
}

// The broker ends it at its deadline, so this is for one that does not answer at all.
mono_time service_outbox::answer_by(const entry& of) const {
    return later(of.deadline, answer_timeout_);
}

mono_time service_outbox::tick(mono_time now, calls& out) {
    while (!waiting_until_.empty() && waiting_until_.begin()->first <= now) {
        entry over = take_waiting(waiting_until_.begin()->second);
        finish<service_reply>(out, over.done, std::unexpected(late(over)));
    }
    if (look_at_ <= now) {
        end_unanswered(now, out);
    }
    return waiting_until_.empty() ? look_at_ : std::min(look_at_, waiting_until_.begin()->first);
}

void service_outbox::end_unanswered(mono_time now, calls& out) {
    look_at_ = mono_never;
    for (auto each = sent_.begin(); each != sent_.end();) {
        entry& of = each->second;
        if (answer_by(of) > now) {
            look_at_ = std::min(look_at_, answer_by(of));
            ++each;
            continue;
        }
        finish<service_reply>(
            out, of.done,
            std::unexpected(request_outcome_unknown(fmt::format(
                "the broker said nothing of a request of service {} in time", of.service))));
        each = sent_.erase(each);
    }
}

void service_outbox::fail_all(const error& unsent, calls& out) {
    for (auto& [request, each] : std::exchange(sent_, {})) {
        finish<service_reply>(out, each.done,
                              std::unexpected(request_outcome_unknown(unsent.what())));
    }
    while (!waiting_.empty()) {
        entry next = take_waiting(waiting_.begin()->first);
        finish<service_reply>(out, next.done, std::unexpected(unsent));
    }
}

}  // namespace brokerd::client_core
