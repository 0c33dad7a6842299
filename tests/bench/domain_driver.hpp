// The domain driven by hand, as the engine does it: one topic, one queue, one consumer that acks
// all it gets. Each step is a call of its own, so that one can be measured alone. Mutations are
// made and dropped: nothing is stored. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "broker/domain/broker_state.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::bench {

inline constexpr std::uint32_t batch_messages = 64;
inline constexpr std::uint32_t payload_bytes = 100;

// Batches of batch_messages messages each, whose keys go round; without keys if there are none.
inline std::vector<shared_bytes> make_batches(std::uint64_t number, std::uint64_t keys) {
    const std::string payload(payload_bytes, 'x');
    std::vector<shared_bytes> made;
    std::uint64_t next = 0;
    for (std::uint64_t i = 0; i < number; ++i) {
        codec::batch_builder builder;
        for (std::uint32_t n = 0; n < batch_messages; ++n) {
            codec::record_fields fields{.payload = as_bytes(payload)};
            const std::string key = keys > 0 ? "k" + std::to_string(next++ % keys) : "";
            if (keys > 0) {
                fields.key = key;
            }
            builder.add(fields);
        }
        auto bytes = std::make_shared<byte_buffer>(builder.take({}, 0));
        made.push_back({bytes, *bytes});
    }
    return made;
}

class domain_driver {
public:
    // `prefetch` = messages the consumer holds at most.
    domain_driver(queue_mode mode, std::uint32_t prefetch) : state_({}) {
        state_.restore({}, gathering_, now_, out_);
        state_.apply(domain::connection_opened{connection_, "bench"}, now_, out_);
        codec::queue_create create;
        create.queue = "t/q";
        create.mode = mode;
        create.create_topic = true;
        ask(std::move(create));
        codec::attach attach;
        attach.queue = "t/q";
        attach.consumer = consumer_id{1};
        attach.prefetch_messages = prefetch;
        attach.prefetch_bytes = 64 * limits::mib;
        ask(std::move(attach));
        state_.seal(now_, out_);
        for (const domain::output& each : out_.outputs) {
            if (const auto* created = std::get_if<codec::queue_created>(&each.body)) {
                queue_ = created->queue;
            }
        }
        out_.outputs.clear();
    }

    void publish(const shared_bytes& batch) {
        ask(domain::publish_request{.topic = "t",
                                    .batch = batch,
                                    .count = batch_messages,
                                    .producer = {},
                                    .first_sequence = 0,
                                    .largest_record = 2 * payload_bytes});
    }
    // Ends the commit: mutations() is what it writes, until cut(). What the consumer has room for
    // is given out.
    void seal() { state_.seal(now_, out_); }
    [[nodiscard]] std::span<const domain::mutation> mutations() const { return out_.mutations; }
    [[nodiscard]] commit_number gathering() const { return gathering_; }
    void cut() {
        out_.mutations.clear();
        out_.urgent = false;
        out_.prompt = false;
        gathering_ = commit_number{gathering_.value() + 1};
        state_.commit_cut(gathering_);
        now_.mono += std::chrono::microseconds(100);
        now_.wall += std::chrono::microseconds(100);
        state_.tick(now_, out_);
    }
    void dispatch() { state_.dispatch(now_, out_); }

    // Takes what was given out, to be acked next; returns how many messages that are.
    std::uint64_t take_deliveries() {
        std::uint64_t messages = 0;
        for (const domain::output& each : out_.outputs) {
            if (const auto* delivered = std::get_if<domain::delivery>(&each.body)) {
                for (const domain::record_run& run : delivered->runs) {
                    held_.push_back(run.leases);
                    messages += run.leases.count;
                }
            }
        }
        out_.outputs.clear();
        if (!out_.fetches.empty()) {
            throw std::logic_error("the store is asked, which is not what is to be measured");
        }
        return messages;
    }
    // Makes ack() mean every second message that is held, or with `odd` those between; then nothing
    // is held any more.
    void choose_gaps(bool odd) {
        std::vector<lease_run> runs;
        for (const lease_run& run : held_) {
            for (std::uint32_t i = odd ? 1 : 0; i < run.count; i += 2) {
                lease_run one = run;
                one.first_offset += i;
                one.first_lease += i;
                one.count = 1;
                runs.push_back(one);
            }
        }
        if (odd) {
            held_.clear();
        }
        choose(std::move(runs));
    }
    // Makes ack() mean all that is held, in order.
    void choose_all() { choose(std::exchange(held_, {})); }
    void ack() { state_.apply(std::move(ack_), now_, out_); }

private:
    void ask(domain::request_body body) {
        state_.apply(domain::request{connection_, 1, std::move(body)}, now_, out_);
    }

    void choose(std::vector<lease_run> runs) {
        codec::settle settle;
        settle.queue = queue_;
        settle.action = settle_action::ack;
        settle.runs = std::move(runs);
        ack_ = domain::request{connection_, 1, std::move(settle)};
    }

    connection_id connection_{1};
    queue_id queue_;
    commit_number gathering_{1};
    instant now_{mono_time{std::chrono::hours(1)}, wall_time{std::chrono::hours(1)}};
    domain::effects out_;
    std::vector<lease_run> held_;
    domain::command ack_;
    domain::broker_state state_;
};

}  // namespace brokerd::bench
