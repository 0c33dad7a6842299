// Requests and the fate of those in flight.
#include "client/src/request_table.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "client/src/client_limits.hpp"
#include "protocol/codec/registry.hpp"

namespace brokerd::client_core {

result<void> request_table::unexpected_answer(const codec::frame& frame) {
    if (frame.type == static_cast<std::uint8_t>(codec::frame_type::error)) {
        const outcome<codec::error> refused = codec::decode<codec::error>(frame.body);
        if (refused) {
            return std::unexpected(make_error(failure{refused->code, refused->text}));
        }
    }
    const auto name = codec::frame_type_name(static_cast<codec::frame_type>(frame.type));
    return std::unexpected(
        make_error(client_errc::protocol_error,
                   "the broker answered with an unexpected frame: " + std::string(name)));
}

void request_table::cancel(std::uint64_t ticket) {
    if (waiting_.erase(ticket) == 0) {
        std::erase_if(sent_, [&](const auto& each) { return each.second.ticket == ticket; });
    }
}

void request_table::end_unanswered(entry& what, const std::string& because, calls& out) {
    const client_errc code =
        what.kind == repeat::look ? client_errc::timed_out : client_errc::outcome_unknown;
    what.done(std::unexpected(make_error(code, because)), out);
}

void request_table::refuse_as_too_new(entry& what, calls& out) {
    const std::string text =
        std::string("the broker is too old for ") + what.needs.name + "; update brokerd";
    if (what.ticket != 0 && what.kind != repeat::look) {
        end_unanswered(what, "another broker was asked before, and did not answer: " + text, out);
    } else {
        what.done(std::unexpected(make_error(failure{error_code::feature_unsupported, text})), out);
    }
}

void request_table::on_lost(calls& out) {
    ready_ = false;
    for (auto& [request, each] : sent_) {
        if (each.kind == repeat::never) {
            end_unanswered(each,
                           "the connection was lost before the answer came: it may have been done "
                           "or not",
                           out);
        } else {
            // Their tickets are older than those that wait, so they keep their order.
            const std::uint64_t ticket = each.ticket;
            waiting_.emplace(ticket, std::move(each));
        }
    }
    sent_.clear();
}

void request_table::write(outgoing& out, calls& done) {
    while (wants_write() && out.bytes.size() < client_limits::write_bytes_max) {
        auto first = waiting_.extract(waiting_.begin());
        entry& what = first.mapped();
        if ((features_ & what.needs.bit) != what.needs.bit) {
            refuse_as_too_new(what, done);
            continue;
        }
        const std::uint32_t request = out.ids.next();
        what.encode(out.bytes, request);
        what.ticket = first.key();
        what.deadline =
            timeout_ == duration_us::max() ? mono_never : out.now + timeout_ + what.wait;
        sent_.emplace(request, std::move(what));
    }
}

void request_table::on_answer(const codec::frame& frame, calls& out) {
    auto found = sent_.extract(frame.request_id);
    if (!found.empty()) {
        found.mapped().done(result<codec::frame>(frame), out);
    }
}

mono_time request_table::tick(mono_time now, calls& out) {
    mono_time next = mono_never;
    for (auto each = sent_.begin(); each != sent_.end();) {
        if (each->second.deadline <= now) {
            end_unanswered(each->second, "the broker did not answer in time", out);
            each = sent_.erase(each);
        } else {
            next = std::min(next, each->second.deadline);
            ++each;
        }
    }
    return next;
}

void request_table::fail_all(const error& why, calls& out) {
    for (auto& [request, each] : sent_) {
        if (each.kind == repeat::look) {
            each.done(std::unexpected(why), out);
        } else {
            end_unanswered(each, why.what(), out);
        }
    }
    for (auto& [ticket, each] : waiting_) {
        if (each.ticket != 0 && each.kind != repeat::look) {
            end_unanswered(each, why.what(), out);
        } else {
            each.done(std::unexpected(why), out);
        }
    }
    sent_.clear();
    waiting_.clear();
}

}  // namespace brokerd::client_core
