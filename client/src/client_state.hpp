// Everything of a client that needs no executor: connection, publishing, requests, consumers,
// readers, services, and the one place where frames go to the machine they belong to.
// Sans-I/O: bytes and events in, bytes and calls out, time as a parameter.
//
// Owner: the holder of core's lock; application threads and the network thread call it in turns.
// Calls (callbacks of operations) are made by who holds the lock, after giving it up.
//
// Invariants: on_connection_lost() is the one place where the fate of all that was in flight is
// decided, once per loss. What was handed in is bounded by client_options::in_flight_*; who comes
// beyond waits in waiting_, one message each. The requests of services that wait have the same
// bounds of their own; those beyond fail.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "brokerd/options.hpp"
#include "client/src/connection_state.hpp"
#include "client/src/consumer_state.hpp"
#include "client/src/frame_intake.hpp"
#include "client/src/outgoing.hpp"
#include "client/src/publish_pipeline.hpp"
#include "client/src/reader_state.hpp"
#include "client/src/request_table.hpp"
#include "client/src/responder_state.hpp"
#include "client/src/result.hpp"
#include "client/src/service_outbox.hpp"
#include "client/src/transaction_outbox.hpp"
#include "protocol/codec/frame.hpp"

namespace brokerd::client_core {

class client_state {
public:
    // `seed` picks producer ids and jitter.
    client_state(std::string server, client_options options, std::uint64_t seed, mono_time now);

    // ---- the driver
    [[nodiscard]] connection_state::step next_step(mono_time now);
    void on_connected(mono_time now);
    // Takes what arrived. When it is unacceptable, dropped() says why and the rest is ignored.
    void on_arrivals(const arrivals& what, mono_time now, calls& out);
    void on_connection_lost(const std::string& why, mono_time now, calls& out);
    // Appends what is to be written now.
    void write(byte_buffer& bytes, mono_time now, calls& out);
    [[nodiscard]] bool wants_write(mono_time now) const;
    // Does what is due; returns when to call again at the latest.
    mono_time tick(mono_time now, calls& out);
    // Why the connection is to be dropped, if it is.
    [[nodiscard]] const std::optional<std::string>& dropped() const { return dropped_; }

    // ---- the application
    // Calls when there is a connection, or with the reason why there is none.
    void wait_connected(callback<void> done, calls& out);

    // Whether a message would be taken at once.
    [[nodiscard]] bool has_room(std::size_t record_bytes) const {
        return waiting_.empty() && fits(record_bytes);
    }
    // What became of a message that was handed in.
    struct admission {
        bool wake = false;         // something is to be written now
        std::uint64_t ticket = 0;  // not 0: it waits for room
    };
    // `admitted` (if any) is called when there is room, or with the failure, in which case `done`
    // is not. Without `admitted` a failure goes to `done`. With `when` it is scheduled.
    admission submit(std::string_view topic, byte_view record, publish_callback done,
                     callback<void> admitted, calls& out,
                     const std::optional<schedule_time>& when = std::nullopt);
    // Whether the message still waited for room; its callbacks are dropped then.
    bool cancel_submit(std::uint64_t ticket);
    void wait_flushed(callback<void> done, calls& out);
    // Published, without answer.
    [[nodiscard]] std::uint64_t bytes_in_flight() const { return pipeline_.bytes_in_flight(); }
    [[nodiscard]] std::uint64_t messages_in_flight() const {
        return pipeline_.messages_in_flight();
    }

    template <typename Reply, codec::frame_message Request, typename Convert, typename T>
    std::uint64_t request(Request what, repeat kind, Convert convert, callback<T> done, calls& out,
                          duration_us wait = duration_us{0}) {
        if (closing_) {
            finish<T>(out, done, std::unexpected(closed_error()));
            return 0;
        }
        return requests_.add<Reply>(std::move(what), kind, std::move(convert), std::move(done),
                                    wait);
    }
    void cancel_request(std::uint64_t ticket) { requests_.cancel(ticket); }

    // Carries out what `what` holds; `done` gets the outcome.
    void commit(std::shared_ptr<transaction_parts> what, callback<committed> done, calls& out);

    // Asks a service; a ticket for cancel_ask().
    std::uint64_t ask(std::string service, byte_buffer record, duration_us timeout, mono_time now,
                      callback<service_reply> done, calls& out);
    void cancel_ask(std::uint64_t ticket) { asks_.cancel(ticket); }

    // The responder's id; `opened` is called when it is attached.
    responder_id open_responder(std::string service, std::uint32_t prefetch, callback<void> opened,
                                calls& out);
    [[nodiscard]] responder_state* find_responder(responder_id id);
    // Its last handle has gone.
    void release_responder(responder_id id, calls& out);

    // The consumer's id; `opened` is called when it is attached.
    consumer_id open_consumer(std::string queue, const consume_options& options,
                              std::weak_ptr<core> owner, callback<void> opened, calls& out);
    [[nodiscard]] consumer_state* find_consumer(consumer_id id);
    void close_consumer(consumer_id id, callback<settle_counts> done, calls& out);

    std::uint64_t open_reader(std::string topic, log_position from, const reader_options& options);
    [[nodiscard]] reader_state* find_reader(std::uint64_t id);
    void close_reader(std::uint64_t id, calls& out);

    // Ends in order, see client::close(); `done` is called by on_stopped().
    void close(mono_time now, callback<void> done, calls& out);
    // As close() when nobody waits any more: only what is ready to be sent is sent before goodbye.
    void abandon(mono_time now, calls& out);
    // The driver has ended: next_step() said stop.
    void on_stopped(calls& out);

    [[nodiscard]] const codec::hello_ok& terms() const { return connection_.terms(); }
    [[nodiscard]] bool connected() const { return connection_.ready(); }
    [[nodiscard]] bool closing() const { return closing_; }
    [[nodiscard]] static error closed_error();

private:
    struct waiting_publish {
        std::uint64_t ticket = 0;
        std::string topic;
        byte_buffer record;
        publish_callback done;
        callback<void> admitted;
        std::optional<schedule_time> when;
    };
    using frame = codec::frame;

    void drop(std::string why);
    void on_frame(const arrived_frame& each, mono_time now, calls& out);
    void on_greeting(const frame& what, mono_time now, calls& out);
    bool note_database(const std::string& id, calls& out);
    void on_push(const arrived_frame& each, mono_time now, calls& out);
    void on_delivery(const arrived_frame& each, mono_time now, calls& out);
    void on_answer(const frame& what, mono_time now, calls& out);
    void on_error(const frame& what, mono_time now, calls& out);
    void on_transacted(const frame& what, calls& out);
    void on_pattern_queues(const frame& what, mono_time now, calls& out);
    void on_requested(const arrived_frame& each, mono_time now, calls& out);
    void on_replied(const frame& what, calls& out);
    void write_unserved(outgoing& to);
    void on_consumer_answer(consumer_state& to, const frame& what, mono_time now, calls& out);
    void drop_damaged(const frame& what, const failure& why);
    template <typename T>
    [[nodiscard]] std::optional<T> decoded(const frame& what);
    consumer_state* consumer_of(std::uint32_t request);
    responder_state* responder_of(std::uint32_t request);

    [[nodiscard]] bool fits(std::size_t record_bytes) const;
    void admit(calls& out);
    static void fail_waiting(waiting_publish& what, const error& why, calls& out);
    void give_up(const error& why, calls& out);
    void finish_flushes(calls& out);
    void fail_connected_waiters(const error& why, calls& out);
    void tell(connection_event::kind what, std::string text, calls& out) const;
    void continue_closing(mono_time now, calls& out);
    [[nodiscard]] bool settled_down() const;
    void end_everything(calls& out);
    void reap_consumers();
    void reap_responders();
    [[nodiscard]] std::uint64_t random();

    client_options options_;
    std::string server_;
    std::uint64_t random_;
    connection_state connection_;
    publish_pipeline pipeline_;
    request_table requests_;
    transaction_outbox transactions_;
    struct owned_consumer {
        std::unique_ptr<consumer_state> state;
        bool released = false;  // the application has closed it
    };
    std::map<consumer_id, owned_consumer> consumers_;
    service_outbox asks_;
    struct owned_responder {
        std::unique_ptr<responder_state> state;
        bool released = false;
    };
    std::map<responder_id, owned_responder> responders_;
    std::vector<request_token> unserved_;  // of requests nobody here replies to; of this connection
    std::map<std::uint64_t, std::unique_ptr<reader_state>> readers_;
    std::unordered_map<std::uint32_t, consumer_id> routes_;  // requests of consumers, in flight

    request_ids ids_;
    std::optional<std::string> dropped_;
    std::optional<std::string> database_;  // of the last hello_ok
    std::optional<error> refused_;         // what the broker said before it closed

    std::deque<waiting_publish> waiting_;
    std::uint64_t last_ticket_ = 0;
    std::vector<callback<void>> flushes_;
    std::vector<callback<void>> connected_waiters_;
    std::uint32_t last_consumer_ = 0;
    std::uint32_t last_responder_ = 0;
    std::uint64_t last_reader_ = 0;

    bool told_lost_ = false;  // since the last connection
    bool closing_ = false;
    mono_time close_until_ = mono_never;
    std::vector<callback<void>> closed_;
    bool ended_ = false;
};

}  // namespace brokerd::client_core
