// Requests and replies. A request goes at once to the responder with room that has the fewest in
// progress, the longest idle of them; where none has room it waits, in the order of arrival, for
// one that is attached: where nobody is, it is refused at once. Whoever asked gets exactly one
// answer: the reply, a failure, or why there is none.
//
// Nothing here is durable and no output depends on a commit: no request waits for one. What comes
// while publishes fill the engine up waits in its inbox like everything else; its time runs.
#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

failure no_responder(const std::string& service_name) {
    return {
        error_code::no_responder,
        fmt::format("nobody answers requests of service {} now; nothing was done", service_name)};
}

// Tells whoever asked, if it is still there. The request has been taken out of the table.
void answer_asker(core& c, turn& t, const open_request& ended, output_body body) {
    if (!ended.asker_gone) {
        c.answer(t, {ended.connection, ended.request}, {}, std::move(body));
    }
}

void refuse_asker(core& c, turn& t, const open_request& ended, failure why) {
    ++ended.of->failed;
    answer_asker(c, t, ended, codec::error{.code = why.code, .text = std::move(why.text)});
}

void push_request(core& c, turn& t, request_token token, shared_bytes record) {
    const open_request& what = *c.services.find_request(token);
    const connection* asker = c.find_connection(what.connection);
    t.out.outputs.push_back(
        {what.with->connection,
         0,
         {},
         request_push{.message = {.responder = what.with->id,
                                  .token = token,
                                  .service = what.of->name,
                                  .requester = asker == nullptr ? std::string() : asker->name},
                      .record = std::move(record),
                      .deadline = what.deadline}});
}

// The time of a request is over. Returns the responder it was with, which has room now.
responder* end_overdue(core& c, turn& t, request_token token) {
    const open_request ended = c.services.end(token);
    ++c.counters.expired_requests;
    const std::string& name = ended.of->name;
    refuse_asker(c, t, ended,
                 ended.with == nullptr
                     ? failure{error_code::busy,
                               fmt::format("no responder of service {} had room for the request in "
                                           "time; nothing was done",
                                           name)}
                     : failure{error_code::deadline_exceeded,
                               fmt::format("responder {} of service {} did not reply in time; it "
                                           "may have done what was asked, or still do it",
                                           ended.with->name, name)});
    return ended.with;
}

// What waits goes to who has room.
void give_waiting(core& c, turn& t, service& of) {
    while (const auto match = c.services.next_match(of)) {
        const auto [token, to] = *match;
        if (c.services.find_request(token)->deadline <= t.now.mono) {
            end_overdue(c, t, token);
        } else {
            push_request(c, t, token, c.services.hand_out(token, *to));
        }
    }
}

// A request in progress with this responder has ended.
void look_after(core& c, turn& t, responder& one) {
    give_waiting(c, t, *one.of);
    if (one.unserve_request && one.in_progress.empty()) {
        c.answer(t, {one.connection, *one.unserve_request}, {}, codec::ok{});
        c.services.remove_responder(one);
    }
}

// Who waits where nobody stays is told what it would be told if it came now.
void stop_giving(core& c, turn& t, responder& to) {
    service& of = *to.of;
    c.services.stop_giving(to);
    while (of.staying == 0 && !of.waiting.empty()) {
        ++c.counters.refused_requests;
        refuse_asker(c, t, c.services.end(*of.waiting.begin()), no_responder(of.name));
    }
}

void end_responder(core& c, turn& t, responder& one) {
    stop_giving(c, t, one);
    while (!one.in_progress.empty()) {
        const open_request ended = c.services.end(*one.in_progress.begin());
        if (base::seeded_fault(base::fault::hush_lost_responder)) {
            continue;
        }
        ++c.counters.failed_requests;
        refuse_asker(c, t, ended,
                     {error_code::responder_gone,
                      fmt::format("responder {} of service {} left before it replied; whether it "
                                  "did what was asked is not known",
                                  one.name, one.of->name)});
    }
    c.services.remove_responder(one);
}

outcome<void> check_serve(core& c, asker who, const codec::serve& what) {
    const connection* from = c.find_connection(who.connection);
    if (from == nullptr) {
        return refuse(error_code::unexpected, "the connection is not known to the broker any more");
    }
    if (from->draining) {
        return refuse(error_code::busy, "the broker is shutting down; serve again later");
    }
    if (auto valid = check_service_name(what.service); !valid) {
        return valid;
    }
    if (what.prefetch == 0 || what.prefetch > limits::service_prefetch_max) {
        return refuse(error_code::invalid_argument,
                      fmt::format("a responder takes 1 to {} requests at once, not {}",
                                  limits::service_prefetch_max, what.prefetch));
    }
    if (c.services.find_responder(who.connection, what.responder) != nullptr) {
        return refuse(error_code::responder_exists,
                      fmt::format("responder {} is in use on this connection; choose another id",
                                  what.responder.value()));
    }
    if (c.services.responders_of(who.connection) >= limits::responders_per_connection_max) {
        return refuse(error_code::too_many_responders,
                      fmt::format("this connection has {} responders, as many as it may; end some "
                                  "or use another connection",
                                  limits::responders_per_connection_max));
    }
    const std::uint64_t taken = c.services.prefetch_of(who.connection);
    if (taken + what.prefetch > limits::service_prefetch_per_connection_max) {
        return refuse(
            error_code::too_many_responders,
            fmt::format("the responders of this connection take {} requests at once and "
                        "may take {} in all, so there is no room for {} more; serve with "
                        "a smaller prefetch or use another connection",
                        taken, limits::service_prefetch_per_connection_max, what.prefetch));
    }
    return {};
}

outcome<void> check_request_size(const core& c, std::size_t bytes, const char* what) {
    if (bytes <= c.options.message_bytes_max) {
        return {};
    }
    return refuse(error_code::message_too_large,
                  fmt::format("a {} of {} bytes is larger than the {} bytes that this broker "
                              "accepts; make it smaller, or start brokerd with "
                              "--max-message-bytes {}",
                              what, bytes, c.options.message_bytes_max, bytes));
}

outcome<void> check_line(const core& c, const service& of, std::size_t bytes) {
    const bool full =
        of.waiting.size() >= limits::service_waiting_max ||
        (!of.waiting.empty() && of.waiting_bytes + bytes > limits::service_waiting_bytes_max);
    if (full) {
        return refuse(
            error_code::busy,
            fmt::format("{} requests of {} bytes wait for the {} responders of service "
                        "{}, as many as may; nothing was done, try again later",
                        of.waiting.size(), of.waiting_bytes, of.responders.size(), of.name));
    }
    if (c.services.waiting_bytes() + bytes > limits::services_waiting_bytes_max) {
        return refuse(error_code::busy,
                      fmt::format("requests of {} bytes wait for the responders of all services, "
                                  "as many as may; nothing was done, try again later",
                                  c.services.waiting_bytes()));
    }
    return {};
}

// The service that can take it, if one can.
outcome<service*> find_service(core& c, asker who, const service_request& what) {
    if (c.find_connection(who.connection) == nullptr) {
        return refuse(error_code::unexpected, "the connection is not known to the broker any more");
    }
    if (auto fits = check_request_size(c, what.record.view.size(), "request"); !fits) {
        return std::unexpected(std::move(fits.error()));
    }
    service* const of = c.services.find(what.service);
    if (of == nullptr) {
        if (auto valid = check_service_name(what.service); !valid) {
            return std::unexpected(std::move(valid.error()));
        }
    }
    if (of == nullptr || of->staying == 0) {
        return std::unexpected(no_responder(what.service));
    }
    if (c.services.next_with_room(*of) == nullptr) {
        if (auto room = check_line(c, *of, what.record.view.size()); !room) {
            return std::unexpected(std::move(room.error()));
        }
    }
    return of;
}

codec::service_item item_of(const service& of) {
    return {.service = of.name,
            .responders = static_cast<std::uint32_t>(of.responders.size()),
            .in_progress = of.in_progress,
            .waiting = of.waiting.size(),
            .answered = of.answered,
            .failed = of.failed};
}

}  // namespace

void serve(core& c, turn& t, asker who, const codec::serve& what) {
    if (auto checked = check_serve(c, who, what); !checked) {
        c.refuse(t, who, std::move(checked.error()));
        return;
    }
    const responder& added =
        c.services.add_responder({.connection = who.connection,
                                  .id = what.responder,
                                  .name = c.find_connection(who.connection)->name,
                                  .prefetch = what.prefetch},
                                 what.service);
    c.answer(t, who, {}, codec::ok{});
    give_waiting(c, t, *added.of);
}

void unserve(core& c, turn& t, asker who, const codec::unserve& what) {
    responder* const one = c.services.find_responder(who.connection, what.responder);
    if (one == nullptr) {
        c.refuse(
            t, who,
            {error_code::responder_not_found,
             fmt::format("there is no responder {} on this connection", what.responder.value())});
        return;
    }
    if (!what.at_once && one->unserve_request) {
        c.refuse(t, who,
                 {error_code::invalid_argument,
                  fmt::format("responder {} is leaving already", what.responder.value())});
        return;
    }
    if (what.at_once) {
        if (one->unserve_request) {
            c.answer(t, {who.connection, *one->unserve_request}, {}, codec::ok{});
        }
        end_responder(c, t, *one);
        c.answer(t, who, {}, codec::ok{});
        return;
    }
    stop_giving(c, t, *one);
    one->unserve_request = who.request;
    look_after(c, t, *one);
}

void ask_service(core& c, turn& t, asker who, const service_request& what) {
    const auto of = find_service(c, who, what);
    if (!of) {
        ++c.counters.refused_requests;
        c.refuse(t, who, of.error());
        return;
    }
    ++c.counters.requests;
    if (what.deadline <= t.now.mono) {
        ++c.counters.expired_requests;
        ++(*of)->failed;
        c.refuse(t, who,
                 {error_code::busy,
                  fmt::format("the broker was too busy to pass the request on to service {} in "
                              "time; nothing was done",
                              (*of)->name)});
        return;
    }
    open_request fresh{.connection = who.connection,
                       .request = who.request,
                       .of = *of,
                       .deadline = what.deadline,
                       .bytes = what.record.view.size()};
    if (responder* const to = c.services.next_with_room(**of)) {
        push_request(c, t, c.services.add_in_progress(std::move(fresh), *to), what.record);
        return;
    }
    // A copy of its own: what is shared is as large as all that was read with it.
    fresh.record = copy_bytes(what.record.view);
    c.services.add_waiting(std::move(fresh));
}

void reply_to_request(core& c, turn& t, asker who, const service_reply& what) {
    const open_request* known = c.services.find_request(what.token);
    if (known == nullptr || known->with == nullptr || known->with->connection != who.connection) {
        return;  // it is over, and whoever asked was told
    }
    responder& from = *known->with;
    const open_request ended = c.services.end(what.token);
    const auto fits = check_request_size(c, what.record.view.size(), "reply");
    if (what.failed || !fits) {
        ++c.counters.failed_requests;
        refuse_asker(c, t, ended,
                     {error_code::request_failed,
                      fmt::format("responder {} of service {}: {}", from.name, ended.of->name,
                                  what.failed ? what.text : fits.error().text)});
    } else {
        ++c.counters.replied_requests;
        ++ended.of->answered;
        answer_asker(c, t, ended,
                     reply_result{.message = {.responder = from.name}, .record = what.record});
    }
    if (!fits) {
        c.refuse(t, who, fits.error());
    }
    look_after(c, t, from);
}

void list_services(core& c, turn& t, asker who, const codec::service_list& what) {
    const auto limit = std::clamp<std::size_t>(what.limit, 1, limits::services_page_max);
    codec::services page;
    const auto& all = c.services.all();
    auto at = all.upper_bound(what.after);
    for (; at != all.end() && page.items.size() < limit; ++at) {
        page.items.push_back(item_of(*at->second));
    }
    page.more = at != all.end();
    c.answer(t, who, {}, std::move(page));
}

void look_at_requests(core& c, turn& t) {
    while (const auto token = c.services.next_overdue(t.now.mono)) {
        if (responder* const with = end_overdue(c, t, *token); with != nullptr) {
            look_after(c, t, *with);
        }
    }
}

void drain_services(core& c, turn& t, connection_id of) {
    for (responder* one : c.services.all_responders(of)) {
        stop_giving(c, t, *one);
    }
}

void leave_services(core& c, turn& t, connection_id of) {
    // First what it asked for: a request to itself needs no answer.
    for (const request_token token : c.services.all_requests(of)) {
        if (c.services.find_request(token)->with == nullptr) {
            c.services.end(token);
        } else {
            c.services.forget_asker(token);
        }
    }
    for (responder* one : c.services.all_responders(of)) {
        end_responder(c, t, *one);
    }
}

}  // namespace brokerd::domain
