// Requests that have one answer, by request id: everything but publishes and what belongs to a
// consumer. Sans-I/O. Owner: the holder of the client's lock.
//
// Invariants: each request gets its callback exactly once; a request that changes something is
// never sent twice unless doing it twice is doing it once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <utility>

#include "client/src/outgoing.hpp"
#include "client/src/result.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/pattern_messages.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::client_core {

// What becomes of a request that was sent when its connection is lost or its answer does not come.
enum class repeat : std::uint8_t {
    look,      // changes nothing: asked again; no answer in time is timed_out
    harmless,  // doing it twice is doing it once: done again; no answer is outcome_unknown
    never,     // outcome_unknown
};

// What a broker has to be able to do to take a request, and how to call it; see hello_ok.
struct needed_feature {
    std::uint64_t bit = 0;
    const char* name = "";
};
inline constexpr needed_feature needs_patterns{codec::feature::pattern_queues, "pattern queues"};
inline constexpr needed_feature needs_priorities{codec::feature::priorities, "priorities"};

template <typename Request>
inline constexpr needed_feature feature_for{};
template <>
inline constexpr needed_feature feature_for<codec::pattern_create> = needs_patterns;
template <>
inline constexpr needed_feature feature_for<codec::pattern_list> = needs_patterns;
template <>
inline constexpr needed_feature feature_for<codec::pattern_remove> = needs_patterns;
template <>
inline constexpr needed_feature feature_for<codec::queue_levels> = needs_priorities;

class request_table {
public:
    explicit request_table(duration_us timeout) : timeout_(timeout) {}

    // Queues a request; `done` gets the answer as `convert` makes it of the decoded reply (whose
    // views die with its frame), or the broker's refusal. `wait` = how long the broker itself may
    // take by the request's own terms. Returns a ticket for cancel().
    template <typename Reply, codec::frame_message Request, typename Convert, typename T>
    std::uint64_t add(Request request, repeat kind, Convert convert, callback<T> done,
                      duration_us wait = duration_us{0}) {
        return add_raw(
            std::move(request), kind,
            [convert = std::move(convert), done = std::move(done)](
                const result<codec::frame>& answer, calls& out) mutable {
                if (!answer) {
                    finish<T>(out, done, std::unexpected(answer.error()));
                    return;
                }
                const result<Reply> reply = decode_answer<Reply>(*answer);
                if (!reply) {
                    finish<T>(out, done, std::unexpected(reply.error()));
                } else if constexpr (std::is_void_v<T>) {
                    finish<T>(out, done, {});
                } else {
                    finish<T>(out, done, convert(*reply));
                }
            },
            wait);
    }

    // As add(), for a machine: `done` is called at once, under the lock, with the answer's frame,
    // which it reads with decode_answer().
    using raw_callback = std::move_only_function<void(const result<codec::frame>&, calls&)>;
    template <codec::frame_message Request>
    std::uint64_t add_raw(Request request, repeat kind, raw_callback done, duration_us wait) {
        entry fresh;
        fresh.kind = kind;
        fresh.wait = wait;
        fresh.needs = feature_for<Request>;
        fresh.encode = [request = std::move(request)](byte_buffer& out, std::uint32_t id) {
            codec::encode_frame(out, id, request);
        };
        fresh.done = std::move(done);
        waiting_.emplace(++last_ticket_, std::move(fresh));
        return last_ticket_;
    }

    // Reads the answer `frame` as what was asked for; an error frame as the refusal it is.
    template <typename Reply>
    static result<Reply> decode_answer(const codec::frame& frame);

    // The caller no longer wants the answer; `done` is dropped without a call. What was sent may
    // be done nevertheless.
    void cancel(std::uint64_t ticket);

    void on_ready(const codec::hello_ok& terms) {
        ready_ = true;
        features_ = terms.features;
    }
    // The one place that decides about requests in flight: those that may be are sent again over
    // the next connection, the others end with outcome_unknown.
    void on_lost(calls& out);

    // What this broker is too old for fails here.
    void write(outgoing& out, calls& done);
    [[nodiscard]] bool wants_write() const { return ready_ && !waiting_.empty(); }

    [[nodiscard]] bool owns(std::uint32_t request) const { return sent_.contains(request); }
    void on_answer(const codec::frame& frame, calls& out);

    // Ends what had no answer in time; returns when to look again.
    mono_time tick(mono_time now, calls& out);

    // Ends everything: what was sent and changes something with outcome_unknown, the rest with
    // `why`.
    void fail_all(const error& why, calls& out);

    [[nodiscard]] bool empty() const { return waiting_.empty() && sent_.empty(); }

private:
    struct entry {
        repeat kind = repeat::never;
        duration_us wait{0};
        needed_feature needs;
        mono_time deadline = mono_never;  // while sent
        std::uint64_t ticket = 0;         // once sent
        std::function<void(byte_buffer&, std::uint32_t)> encode;
        raw_callback done;
    };

    static result<void> unexpected_answer(const codec::frame& frame);
    static void refuse_as_too_new(entry& what, calls& out);
    static void end_unanswered(entry& what, const std::string& because, calls& out);

    std::map<std::uint64_t, entry> waiting_;  // by ticket: in the order they came
    std::map<std::uint32_t, entry> sent_;     // by request id
    std::uint64_t last_ticket_ = 0;
    duration_us timeout_;
    bool ready_ = false;
    std::uint64_t features_ = 0;  // of this broker
};

template <typename Reply>
result<Reply> request_table::decode_answer(const codec::frame& frame) {
    if (frame.type != static_cast<std::uint8_t>(Reply::type)) {
        return std::unexpected(unexpected_answer(frame).error());
    }
    outcome<Reply> reply = codec::decode<Reply>(frame.body);
    if (!reply) {
        return std::unexpected(make_error(client_errc::protocol_error,
                                          "the broker's answer is damaged: " + reply.error().text));
    }
    return std::move(*reply);
}

}  // namespace brokerd::client_core
