// The connection's side of client_state: bytes to frames to the machine they belong to, writing,
// time, and what happens when a connection is lost.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "client/src/client_limits.hpp"
#include "client/src/client_state.hpp"
#include "client/src/convert.hpp"
#include "protocol/codec/registry.hpp"

namespace brokerd::client_core {
namespace {

using codec::frame_type;

frame_type type_of(const codec::frame& what) {
    return static_cast<frame_type>(what.type);
}

// Trying again will not help: another program, or one of another time, is at the other end.
bool is_pointless(error_code code) {
    return code == error_code::version_unsupported || code == error_code::feature_unsupported;
}

}  // namespace

connection_state::step client_state::next_step(mono_time now) {
    dropped_.reset();
    return connection_.next_step(now);
}

void client_state::on_connected(mono_time now) {
    connection_.on_connected(now);
    refused_.reset();
    ids_ = {};
}

void client_state::drop(std::string why) {
    if (!dropped_) {
        dropped_ = std::move(why);
    }
}

void client_state::on_arrivals(const arrivals& what, mono_time now, calls& out) {
    if (dropped_) {
        return;
    }
    connection_.on_received(now);
    for (const arrived_frame& each : what.frames) {
        on_frame(each, now, out);
        if (dropped_) {
            break;
        }
    }
    if (what.failed && !dropped_) {
        const error why = make_error(
            client_errc::protocol_error,
            fmt::format("what answers at {} is no brokerd: {}", server_, what.failed->text));
        if (connection_.current() == connection_state::phase::greeting) {
            fail_connected_waiters(why, out);
        }
        drop(why.what());
    }
    admit(out);
    finish_flushes(out);
    reap_consumers();
    reap_responders();
    continue_closing(now, out);
}

void client_state::drop_damaged(const frame& what, const failure& why) {
    drop(fmt::format("the broker sent a damaged {} frame: {}",
                     codec::frame_type_name(type_of(what)), why.text));
}

template <typename T>
std::optional<T> client_state::decoded(const frame& what) {
    outcome<T> message = codec::decode<T>(what.body);
    if (!message) {
        drop_damaged(what, message.error());
        return std::nullopt;
    }
    return std::move(*message);
}

void client_state::on_frame(const arrived_frame& each, mono_time now, calls& out) {
    const frame& what = each.what;
    if (!codec::is_known_type(what.type) || what.flags != 0) {
        drop(fmt::format("the broker sent a frame of unknown type {}", what.type));
        return;
    }
    switch (connection_.current()) {
        case connection_state::phase::greeting: on_greeting(what, now, out); break;
        case connection_state::phase::ready:
        case connection_state::phase::leaving: on_push(each, now, out); break;
        case connection_state::phase::waiting:
        case connection_state::phase::connecting:
        case connection_state::phase::closed: break;
    }
}

void client_state::on_greeting(const frame& what, mono_time now, calls& out) {
    if (type_of(what) == frame_type::error) {
        on_error(what, now, out);
        return;
    }
    if (type_of(what) != frame_type::hello_ok) {
        drop("the broker did not answer the hello");
        return;
    }
    const auto terms = decoded<codec::hello_ok>(what);
    if (!terms) {
        return;
    }
    if (const auto fine = connection_.on_hello_ok(*terms, now); !fine) {
        fail_connected_waiters(fine.error(), out);
        drop(fine.error().what());
        return;
    }
    const bool other_database = note_database(terms->database_id, out);
    pipeline_.on_ready(*terms);
    requests_.on_ready(*terms);
    transactions_.on_ready(*terms);
    for (auto& [id, each] : consumers_) {
        each.state->on_ready(*terms, out);
    }
    asks_.on_ready(*terms);
    for (auto& [id, each] : responders_) {
        each.state->on_ready(*terms, out);
    }
    for (callback<void>& each : std::exchange(connected_waiters_, {})) {
        finish<void>(out, each, {});
    }
    told_lost_ = false;
    tell(connection_event::kind::connected,
         fmt::format("{}: connected, brokerd {}{}", server_, terms->broker_version,
                     other_database ? ", which has other data than before: leases and answers "
                                      "from before are dropped, readers end"
                                    : ""),
         out);
}

// Whether the broker has other data than the one of the connection before. Offsets, leases and
// epochs name other things there: an answer to what was delivered before could end a message that
// nobody has seen. Publishes go on as after any loss: their sequences are new to that broker.
bool client_state::note_database(const std::string& id, calls& out) {
    const bool other = database_ && *database_ != id;
    database_ = id;
    if (other) {
        for (auto& [consumer, each] : consumers_) {
            each.state->on_other_database(out);
        }
        transactions_.on_other_database(out);
        for (auto& [reader, each] : readers_) {
            each->on_other_database(out);
        }
    }
    return other;
}

// What comes without being asked for.
void client_state::on_push(const arrived_frame& each, mono_time now, calls& out) {
    const frame& what = each.what;
    switch (type_of(what)) {
        case frame_type::ping: connection_.on_ping(what.request_id); return;
        case frame_type::pong: return;
        case frame_type::draining:
            pipeline_.on_draining();
            tell(connection_event::kind::draining, server_ + ": the broker shuts down", out);
            return;
        case frame_type::published:
            if (const auto push = decoded<codec::published>(what);
                push && !pipeline_.on_published(*push, out) &&
                connection_.current() == connection_state::phase::ready) {
                drop("the broker acknowledged what was not published");
            }
            return;
        case frame_type::credit:
            if (const auto push = decoded<codec::credit>(what)) {
                pipeline_.on_credit(*push);
            }
            return;
        case frame_type::deliver: on_delivery(each, now, out); return;
        case frame_type::detached:
            if (const auto push = decoded<codec::detached>(what)) {
                if (consumer_state* const to = find_consumer(push->consumer); to != nullptr) {
                    to->on_detached(*push, out);
                }
            }
            return;
        case frame_type::pattern_queues: on_pattern_queues(what, now, out); return;
        case frame_type::requested: on_requested(each, now, out); return;
        default: on_answer(what, now, out); return;
    }
}

void client_state::on_delivery(const arrived_frame& each, mono_time now, calls& out) {
    const outcome<codec::deliver>& push = *each.delivery;
    if (!push) {
        drop_damaged(each.what, push.error());
    } else if (consumer_state* const to = find_consumer(push->consumer);
               to != nullptr && !to->on_deliver(each, now, out)) {
        drop("the broker delivered damaged messages, or more than was asked for");
    }
}

// The answer to an attach, or news of one that was answered.
void client_state::on_pattern_queues(const frame& what, mono_time now, calls& out) {
    if (what.request_id != 0) {
        on_answer(what, now, out);
        return;
    }
    const auto push = decoded<codec::pattern_queues>(what);
    consumer_state* const to = push ? find_consumer(push->consumer) : nullptr;
    if (to != nullptr && !to->on_pattern_queues(*push, now)) {
        drop("the broker told a consumer of a single queue of others");
    }
}

void client_state::on_requested(const arrived_frame& each, mono_time now, calls& out) {
    const auto push = decoded<codec::requested>(each.what);
    responder_state* const to = push ? find_responder(push->responder) : nullptr;
    if (push && (to == nullptr || !to->serves())) {
        // Whoever asked need not wait for the deadline.
        if (unserved_.size() < client_limits::requests_unserved_max) {
            unserved_.push_back(push->token);
        }
    } else if (to != nullptr && !to->on_requested(*push, each.body, now, out)) {
        drop("the broker passed on a damaged request");
    }
}

void client_state::write_unserved(outgoing& to) {
    for (const request_token each : std::exchange(unserved_, {})) {
        codec::reply refusal;
        refusal.token = each;
        refusal.failed = true;
        refusal.text = "nobody serves it here any more";
        codec::encode_frame(to.bytes, to.ids.next(), refusal);
    }
}

consumer_state* client_state::consumer_of(std::uint32_t request) {
    const auto found = routes_.find(request);
    if (found == routes_.end()) {
        return nullptr;
    }
    const consumer_id id = found->second;
    routes_.erase(found);
    return find_consumer(id);
}

responder_state* client_state::responder_of(std::uint32_t request) {
    const auto found = std::ranges::find_if(
        responders_, [request](const auto& each) { return each.second.state->owns(request); });
    return found == responders_.end() ? nullptr : found->second.state.get();
}

void client_state::on_answer(const frame& what, mono_time now, calls& out) {
    if (connection_.is_goodbye(what.request_id)) {
        connection_.on_goodbye_answered();
        drop("goodbye");
    } else if (type_of(what) == frame_type::error) {
        on_error(what, now, out);
    } else if (consumer_state* const to = consumer_of(what.request_id); to != nullptr) {
        on_consumer_answer(*to, what, now, out);
    } else if (transactions_.owns(what.request_id)) {
        on_transacted(what, out);
    } else if (asks_.owns(what.request_id)) {
        on_replied(what, out);
    } else if (responder_state* const of = responder_of(what.request_id);
               of != nullptr && type_of(what) == frame_type::ok) {
        of->on_ok(out);
    } else {
        requests_.on_answer(what, out);  // or, if nobody waits any more, nothing
    }
}

void client_state::on_replied(const frame& what, calls& out) {
    const auto reply = type_of(what) == frame_type::replied ? decoded<codec::replied>(what)
                                                            : std::optional<codec::replied>();
    if (!reply || !asks_.on_replied(what.request_id, *reply, out)) {
        drop("the broker answered a request of a service with something that is no reply");
    }
}

void client_state::on_transacted(const frame& what, calls& out) {
    if (type_of(what) != frame_type::transacted) {
        drop("the broker did not answer a transaction with what became of it");
        return;
    }
    const auto reply = decoded<codec::transacted>(what);
    if (reply && !transactions_.on_transacted(what.request_id, *reply, out)) {
        drop("the broker answered a transaction with the outcome of another one");
    }
}

void client_state::on_consumer_answer(consumer_state& to, const frame& what, mono_time now,
                                      calls& out) {
    bool fine = true;
    if (type_of(what) == frame_type::attached) {
        const auto reply = decoded<codec::attached>(what);
        fine = reply && to.on_attached(what.request_id, *reply, now, out);
    } else if (type_of(what) == frame_type::pattern_queues) {
        const auto reply = decoded<codec::pattern_queues>(what);
        fine = reply && to.on_pattern_attached(what.request_id, *reply, now, out);
    } else if (type_of(what) == frame_type::settled) {
        if (const auto reply = decoded<codec::settled>(what)) {
            to.on_settled(what.request_id, *reply, out);
        }
    } else if (type_of(what) == frame_type::ok) {
        to.on_ok(what.request_id, out);
    } else {
        fine = false;
    }
    if (!fine) {
        drop("the broker answered a consumer with something that was not asked for");
    }
}

void client_state::on_error(const frame& what, mono_time now, calls& out) {
    const auto message = decoded<codec::error>(what);
    if (!message) {
        return;
    }
    const failure why{message->code, message->text};
    const bool greeting = connection_.current() == connection_state::phase::greeting;
    if (greeting || what.request_id == 0) {
        refused_ = make_error(why);
        if (greeting && is_pointless(why.code)) {
            fail_connected_waiters(*refused_, out);
        }
        if (greeting) {
            drop(refused_->what());
        }
    } else if (pipeline_.owns(what.request_id)) {
        pipeline_.on_refused(what.request_id, why, out);
    } else if (consumer_state* const to = consumer_of(what.request_id); to != nullptr) {
        to->on_refused(what.request_id, why, now, out);
    } else if (transactions_.owns(what.request_id)) {
        transactions_.on_refused(what.request_id, why, out);
    } else if (asks_.owns(what.request_id)) {
        asks_.on_refused(what.request_id, why, out);
    } else if (responder_state* const of = responder_of(what.request_id); of != nullptr) {
        of->on_refused(why, now, out);
    } else {
        requests_.on_answer(what, out);  // or of an answer that wanted no confirmation
    }
}

// The one place that decides about everything in flight; each machine knows what may be repeated.
void client_state::on_connection_lost(const std::string& why, mono_time now, calls& out) {
    const std::string reason = refused_ ? refused_->what() : why;
    refused_.reset();
    const bool was_closing = connection_.current() == connection_state::phase::leaving ||
                             connection_.current() == connection_state::phase::closed;
    const std::string text = connection_.on_lost(reason, now);
    pipeline_.on_lost();
    requests_.on_lost(out);
    transactions_.on_lost();
    for (auto& [id, each] : consumers_) {
        each.state->on_lost(out);
    }
    routes_.clear();
    reap_consumers();
    asks_.on_lost(out);
    unserved_.clear();
    for (auto& [id, each] : responders_) {
        each.state->on_lost(out);
    }
    reap_responders();
    if (!was_closing && !told_lost_) {
        told_lost_ = true;
        tell(connection_event::kind::lost, text, out);
    }
    continue_closing(now, out);
}

bool client_state::wants_write(mono_time now) const {
    if (connection_.wants_write(now)) {
        return true;
    }
    return connection_.ready() &&
           (pipeline_.wants_write() || requests_.wants_write() || transactions_.wants_write() ||
            asks_.wants_write() || !unserved_.empty() ||
            std::ranges::any_of(
                responders_,
                [now](const auto& each) { return each.second.state->wants_write(now); }) ||
            std::ranges::any_of(consumers_, [now](const auto& each) {
                return each.second.state->wants_write(now);
            }));
}

void client_state::write(byte_buffer& bytes, mono_time now, calls& out) {
    outgoing to{bytes, ids_, now};
    if (connection_.ready()) {
        // Answers first: they are small, and the broker always reads them.
        for (auto& [id, each] : consumers_) {
            const std::uint32_t before = ids_.last();
            each.state->write(to);
            for (std::uint32_t request = before; request != ids_.last();) {
                if (each.state->owns(++request)) {
                    routes_.emplace(request, id);
                }
            }
        }
        for (auto& [id, each] : responders_) {
            each.state->write(to);
        }
        reap_responders();
        write_unserved(to);
        requests_.write(to, out);
        asks_.write(to, out);
        transactions_.write(to, out);
        pipeline_.write(to, out);
        admit(out);
        finish_flushes(out);
    }
    connection_.write(to);
    if (!bytes.empty()) {
        connection_.on_sent(now);
    }
    continue_closing(now, out);
}

mono_time client_state::tick(mono_time now, calls& out) {
    if (auto why = connection_.overdue(now)) {
        drop(std::move(*why));
    }
    if (connection_.take_give_up(now)) {
        give_up(make_error(client_errc::not_connected, connection_.trouble()), out);
    }
    continue_closing(now, out);
    mono_time next =
        std::min({connection_.deadline(), requests_.tick(now, out), asks_.tick(now, out)});
    for (auto& [id, each] : responders_) {
        next = std::min(next, each.state->tick(now, out));
    }
    for (auto& [id, each] : consumers_) {
        next = std::min(next, each.state->tick(now, out));
    }
    for (auto& [id, each] : readers_) {
        next = std::min(next, each->tick(now, out));
    }
    reap_consumers();
    reap_responders();
    const bool waits_to_close =
        closing_ && connection_.current() != connection_state::phase::closed;
    return std::min(next, waits_to_close ? close_until_ : mono_never);
}

}  // namespace brokerd::client_core
