// A consumer of the scripted peer: what the application would do, and what the broker sends it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocol/codec/delivery.hpp"
#include "tests/unit/client/scripted_peer.hpp"

namespace brokerd::client_core {

class consumer_script {
public:
    explicit consumer_script(scripted_peer& peer, const consume_options& options = {},
                             const std::string& name = "orders/billing")
        : peer_(peer) {
        id = peer_.with([&](calls& out) {
            return peer_.state.open_consumer(
                name, options, {},
                [this](const result<void>& done) {
                    if (done) {
                        opened = true;
                    } else {
                        open_failure = done.error();
                    }
                },
                out);
        });
    }

    [[nodiscard]] consumer_state& state() const { return *peer_.state.find_consumer(id); }

    // Connects and attaches.
    void attach() {
        if (!peer_.state.connected()) {
            peer_.greet();
        }
        accept(peer_.write_one());
        ASSERT_TRUE(opened);
    }
    void accept(const sent_frame& attach, std::vector<lease_run> gone = {}) {
        codec::attached reply;
        reply.queue = queue;
        reply.lease = 30s;
        reply.attempts = 16;
        reply.gone = std::move(gone);
        peer_.say(attach.request, reply);
    }

    static byte_buffer records_of(const std::vector<std::string>& payloads) {
        byte_buffer records;
        for (const std::string& payload : payloads) {
            codec::record_fields fields;
            fields.payload = as_bytes(payload);
            codec::encode_record(records, fields);
        }
        return records;
    }
    void deliver(offset_t first, std::uint64_t lease, const std::vector<std::string>& payloads) {
        const auto count = static_cast<std::uint32_t>(payloads.size());
        deliver_bytes({first, count, broker_epoch(1), lease}, records_of(payloads));
    }
    void deliver_bytes(const lease_run& leases, const byte_buffer& records) {
        codec::deliver push;
        push.consumer = id;
        push.runs.push_back({leases, wall_time{}, 1, {records}});
        peer_.say(0, push);
    }

    std::optional<handed_message> take() {
        auto next = state().take(peer_.now);
        if (next) {
            handed.push_back(*next);
        }
        return next;
    }
    static offset_t offset(const handed_message& of) {
        return of.from->leases.first_offset + of.index;
    }
    std::uint64_t wait(duration_us timeout = duration_us::max()) {
        const mono_time until = timeout == duration_us::max() ? mono_never : peer_.now + timeout;
        return state().wait(until, [this](result<std::optional<handed_message>> got) {
            if (got) {
                waited.push_back(std::move(*got));
            } else {
                wait_failure = got.error();
            }
        });
    }
    // Answers the message that was taken as the `index`th.
    bool settle_index(std::size_t index, settle_action action, duration_us delay = duration_us(-1),
                      const std::string& reason = {}, callback<void> confirmed = nullptr) {
        answer what{action, delay, reason, std::move(confirmed)};
        return state().settle(*handed.at(index).from, handed.at(index).index, what, peer_.now);
    }
    // The settles that are sent once they have waited for company.
    std::vector<codec::settle> flush() {
        peer_.pass(1ms);
        return settles(peer_.write());
    }
    static std::vector<codec::settle> settles(const std::vector<sent_frame>& frames) {
        std::vector<codec::settle> out;
        for (const auto& frame : frames) {
            if (frame.type == codec::frame_type::settle) {
                out.push_back(frame.as<codec::settle>());
            }
        }
        return out;
    }
    static std::vector<codec::settle> renewals(const std::vector<sent_frame>& frames) {
        auto out = settles(frames);
        std::erase_if(out, [](const auto& each) { return each.action != settle_action::extend; });
        return out;
    }
    void close() {
        peer_.with([&](calls& out) {
            peer_.state.close_consumer(
                id,
                [this](const result<settle_counts>& done) {
                    closed = true;
                    if (done) {
                        counts = *done;
                    } else {
                        close_failure = done.error();
                    }
                },
                out);
        });
    }

    consumer_id id;
    queue_id queue{77};
    bool opened = false;
    bool closed = false;
    std::optional<error> open_failure;
    std::optional<error> wait_failure;
    std::optional<error> close_failure;
    settle_counts counts;
    std::vector<std::optional<handed_message>> waited;
    std::vector<handed_message> handed;

private:
    scripted_peer& peer_;
};

}  // namespace brokerd::client_core
