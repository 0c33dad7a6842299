// The application's side of client_state: handing in, waiting, closing. The connection's side is in
// client_state_frames.cpp.
#include "client/src/client_state.hpp"

#include <algorithm>
#include <utility>

#include "client/src/client_limits.hpp"
#include "client/src/deadline.hpp"

namespace brokerd::client_core {

client_state::client_state(std::string server, client_options options, std::uint64_t seed,
                           mono_time now)
    : options_(std::move(options)),
      server_(std::move(server)),
      random_(seed | 1U),
      connection_(server_, options_, random(), now),
      pipeline_(random(), options_.batch_messages),
      requests_(options_.request_timeout),
      transactions_(producer_id(random()), [this](consumer_id id) { return find_consumer(id); }),
      asks_(options_) {}

std::uint64_t client_state::random() {
    random_ ^= random_ << 13U;
    random_ ^= random_ >> 7U;
    random_ ^= random_ << 17U;
    return random_;
}

error client_state::closed_error() {
    return make_error(client_errc::closed, "the client is closed");
}

void client_state::wait_connected(callback<void> done, calls& out) {
    if (closing_) {
        finish<void>(out, done, std::unexpected(closed_error()));
    } else if (connection_.ready()) {
        finish<void>(out, done, {});
    } else {
        connected_waiters_.push_back(std::move(done));
    }
}

void client_state::fail_connected_waiters(const error& why, calls& out) {
    for (callback<void>& each : std::exchange(connected_waiters_, {})) {
        finish<void>(out, each, std::unexpected(why));
    }
}

void client_state::tell(connection_event::kind what, std::string text, calls& out) const {
    if (options_.on_event) {
        out.emplace_back([on_event = options_.on_event,
                          event = connection_event{what, std::move(text)}] { on_event(event); });
    }
}

// ---- publishing

bool client_state::fits(std::size_t record_bytes) const {
    const std::uint64_t messages = pipeline_.messages_in_flight();
    return messages == 0 ||
           (messages < options_.in_flight_messages &&
            pipeline_.bytes_in_flight() + record_bytes <= options_.in_flight_bytes);
}

client_state::admission client_state::submit(std::string_view topic, byte_view record,
                                             publish_callback done, callback<void> admitted,
                                             calls& out, const std::optional<schedule_time>& when) {
    if (closing_) {
        waiting_publish refused{0,   std::string(topic), {}, std::move(done), std::move(admitted),
                                when};
        fail_waiting(refused, closed_error(), out);
        return {};
    }
    if (has_room(record.size())) {
        finish<void>(out, admitted, {});
        return {.wake = pipeline_.submit(topic, record, std::move(done), when)};
    }
    waiting_.push_back({++last_ticket_,
                        std::string(topic),
                        {record.begin(), record.end()},
                        std::move(done),
                        std::move(admitted),
                        when});
    return {.ticket = last_ticket_};
}

bool client_state::cancel_submit(std::uint64_t ticket) {
    return std::erase_if(waiting_,
                         [&](const waiting_publish& each) { return each.ticket == ticket; }) > 0;
}

void client_state::admit(calls& out) {
    while (!waiting_.empty() && fits(waiting_.front().record.size())) {
        waiting_publish first = std::move(waiting_.front());
        waiting_.pop_front();
        pipeline_.submit(first.topic, first.record, std::move(first.done), first.when);
        finish<void>(out, first.admitted, {});
    }
}

void client_state::fail_waiting(waiting_publish& what, const error& why, calls& out) {
    if (what.admitted) {
        finish<void>(out, what.admitted, std::unexpected(why));
    } else if (what.done) {
        out.emplace_back([done = std::move(what.done), topic = std::move(what.topic), why] {
            done(publish_result{.topic = topic, .failure = &why});
        });
    }
}

void client_state::wait_flushed(callback<void> done, calls& out) {
    flushes_.push_back(std::move(done));
    finish_flushes(out);
}

void client_state::finish_flushes(calls& out) {
    if (pipeline_.messages_in_flight() == 0 && waiting_.empty() && transactions_.empty()) {
        for (callback<void>& each : std::exchange(flushes_, {})) {
            finish<void>(out, each, {});
        }
    }
}

void client_state::commit(std::shared_ptr<transaction_parts> what, callback<committed> done,
                          calls& out) {
    if (closing_) {
        transaction_outbox::refuse(std::move(what), std::move(done), closed_error(), out);
    } else {
        transactions_.add(std::move(what), std::move(done), out);
    }
}

// ---- services

std::uint64_t client_state::ask(std::string service, byte_buffer record, duration_us timeout,
                                mono_time now, callback<service_reply> done, calls& out) {
    if (closing_) {
        finish<service_reply>(out, done, std::unexpected(closed_error()));
        return 0;
    }
    return asks_.add(std::move(service), std::move(record), later(now, timeout), std::move(done),
                     out);
}

responder_id client_state::open_responder(std::string service, std::uint32_t prefetch,
                                          callback<void> opened, calls& out) {
    const responder_id id(++last_responder_);
    if (closing_) {
        finish<void>(out, opened, std::unexpected(closed_error()));
        return id;
    }
    auto fresh = std::make_unique<responder_state>(
        responder_state::setup{.id = id,
                               .service = std::move(service),
                               .prefetch = prefetch,
                               .request_timeout = options_.request_timeout},
        std::move(opened));
    if (connection_.ready()) {
        fresh->on_ready(connection_.terms(), out);
    }
    responders_.emplace(id, owned_responder{std::move(fresh)});
    return id;
}

responder_state* client_state::find_responder(responder_id id) {
    const auto found = responders_.find(id);
    return found == responders_.end() ? nullptr : found->second.state.get();
}

void client_state::release_responder(responder_id id, calls& out) {
    if (const auto found = responders_.find(id); found != responders_.end()) {
        found->second.released = true;
        found->second.state->abandon(out);
        reap_responders();
    }
}

void client_state::reap_responders() {
    std::erase_if(responders_, [](const auto& each) {
        return each.second.released && each.second.state->ended();
    });
}

// ---- consumers and readers

consumer_id client_state::open_consumer(std::string queue, const consume_options& options,
                                        std::weak_ptr<core> owner, callback<void> opened,
                                        calls& out) {
    const consumer_id id(++last_consumer_);
    if (closing_) {
        finish<void>(out, opened, std::unexpected(closed_error()));
        return id;
    }
    auto fresh = std::make_unique<consumer_state>(
        consumer_state::setup{.id = id,
                              .queue = std::move(queue),
                              .options = options,
                              .producer = producer_id(random()),
                              .request_timeout = options_.request_timeout,
                              .owner = std::move(owner)},
        std::move(opened));
    if (connection_.ready()) {
        fresh->on_ready(connection_.terms(), out);
    }
    consumers_.emplace(id, owned_consumer{std::move(fresh)});
    return id;
}

consumer_state* client_state::find_consumer(consumer_id id) {
    const auto found = consumers_.find(id);
    return found == consumers_.end() ? nullptr : found->second.state.get();
}

void client_state::close_consumer(consumer_id id, callback<settle_counts> done, calls& out) {
    const auto found = consumers_.find(id);
    if (found == consumers_.end()) {
        finish<settle_counts>(out, done, settle_counts());
        return;
    }
    found->second.released = true;
    found->second.state->close(std::move(done), out);
    reap_consumers();
}

void client_state::reap_consumers() {
    std::erase_if(consumers_, [](const auto& each) {
        return each.second.released && each.second.state->ended();
    });
}

std::uint64_t client_state::open_reader(std::string topic, log_position from,
                                        const reader_options& options) {
    const std::uint64_t id = ++last_reader_;
    if (!closing_) {
        readers_.emplace(
            id, std::make_unique<reader_state>(requests_, std::move(topic), from, options));
    }
    return id;
}

reader_state* client_state::find_reader(std::uint64_t id) {
    const auto found = readers_.find(id);
    return found == readers_.end() ? nullptr : found->second.get();
}

void client_state::close_reader(std::uint64_t id, calls& out) {
    if (reader_state* found = find_reader(id); found != nullptr) {
        found->close(out);
        readers_.erase(id);
    }
}

// ---- the end

void client_state::close(mono_time now, callback<void> done, calls& out) {
    if (ended_) {
        finish<void>(out, done, {});
        return;
    }
    closed_.push_back(std::move(done));
    if (closing_) {
        return;
    }
    closing_ = true;
    close_until_ =
        options_.close_timeout >= mono_never - now ? mono_never : now + options_.close_timeout;
    fail_connected_waiters(closed_error(), out);
    for (waiting_publish& each : std::exchange(waiting_, {})) {
        fail_waiting(each, closed_error(), out);
    }
    for (auto& [id, each] : consumers_) {
        each.released = true;
        each.state->close(nullptr, out);
    }
    for (auto& [id, each] : readers_) {
        each->close(out);
    }
    readers_.clear();
    for (auto& [id, each] : responders_) {
        each.state->stop(out);
    }
    continue_closing(now, out);
}

void client_state::abandon(mono_time now, calls& out) {
    if (!closing_) {
        close(now, nullptr, out);
    }
    close_until_ = std::min(close_until_, now + client_limits::abandon_grace);
    continue_closing(now, out);
}

bool client_state::settled_down() const {
    return pipeline_.messages_in_flight() == 0 && transactions_.empty() && asks_.empty() &&
           std::ranges::all_of(responders_,
                               [](const auto& each) { return each.second.state->ended(); }) &&
           std::ranges::none_of(consumers_, [](const auto& each) {
               return each.second.state->has_unsent() || each.second.state->has_unconfirmed();
           });
}

// Goodbye as soon as nothing is in flight, or when that took too long. Without a connection plain
// answers have nowhere to go, so only what somebody waits for is worth the time.
void client_state::continue_closing(mono_time now, calls& out) {
    const auto at = connection_.current();
    if (!closing_ || at == connection_state::phase::leaving ||
        at == connection_state::phase::closed) {
        return;
    }
    const bool unconnected_and_idle =
        !connection_.ready() && pipeline_.messages_in_flight() == 0 && transactions_.empty() &&
        std::ranges::none_of(consumers_,
                             [](const auto& each) { return each.second.state->has_unconfirmed(); });
    if (!settled_down() && !unconnected_and_idle && now < close_until_) {
        return;
    }
    connection_.leave(now);
    end_everything(out);
    if (connection_.current() == connection_state::phase::closed) {
        drop("the client is closed");
    }
}

void client_state::end_everything(calls& out) {
    const error why = closed_error();
    pipeline_.on_lost();
    pipeline_.fail_all(why, out);
    requests_.fail_all(why, out);
    transactions_.fail_all(why, out);
    for (auto& [id, each] : consumers_) {
        each.state->end(why, out);
    }
    consumers_.clear();
    routes_.clear();
    asks_.fail_all(why, out);
    for (auto& [id, each] : responders_) {
        each.state->end(why, out);
    }
    responders_.clear();
    finish_flushes(out);
}

void client_state::on_stopped(calls& out) {
    ended_ = true;
    tell(connection_event::kind::closed, server_ + ": closed", out);
    for (callback<void>& each : std::exchange(closed_, {})) {
        finish<void>(out, each, {});
    }
}

void client_state::give_up(const error& why, calls& out) {
    const error unknown = make_error(client_errc::outcome_unknown, why.what());
    pipeline_.fail_all(why, out);
    for (waiting_publish& each : std::exchange(waiting_, {})) {
        fail_waiting(each, why, out);
    }
    requests_.fail_all(why, out);
    transactions_.fail_all(why, out);
    for (auto& [id, each] : consumers_) {
        each.state->give_up(why, unknown, out);
    }
    asks_.fail_all(why, out);
    for (auto& [id, each] : responders_) {
        each.state->give_up(why, out);
    }
    fail_connected_waiters(why, out);
    finish_flushes(out);
    reap_consumers();
    reap_responders();
}

}  // namespace brokerd::client_core
