// What the tests of the domain share: a broker_state with a manual clock, a store in maps that
// answers its fetches, and a thin way to send requests and look at what comes out.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "broker/domain/broker_state.hpp"
#include "protocol/codec/record_batch.hpp"
#include "tests/unit/domain/fake_store.hpp"

// Requests are written with the fields a test is about; the others keep their defaults.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

namespace brokerd::domain::test {

using namespace std::chrono_literals;

// Bytes of a batch with one record per payload.
[[nodiscard]] shared_bytes make_batch(const std::vector<std::string>& payloads,
                                      producer_id producer = {}, std::uint64_t sequence = 0);

// A message with a key; an empty one is none.
struct keyed_message {
    std::string key;
    std::string payload{};
    std::optional<std::uint64_t> ttl_ms{};
    std::optional<std::uint8_t> priority{};
};
[[nodiscard]] shared_bytes make_keyed_batch(const std::vector<keyed_message>& messages);

// A message as a consumer or reader got it.
struct received {
    offset_t offset = 0;
    lease_id lease;
    std::uint32_t attempt = 0;
    std::string key;
    std::string payload;
    commit_number depends_on;
    std::vector<brokerd::attempt> history;
    queue_id queue{};  // with a pattern queue
};

// Takes runs apart.
[[nodiscard]] std::vector<received> messages_of(const std::vector<record_run>& runs,
                                                commit_number depends_on);

class harness {
public:
    explicit harness(domain_options options = {});

    // ---- time ----
    instant now{mono_time{1h}, wall_time{std::chrono::sys_days{std::chrono::year{2030} / 1 / 1}}};
    // Lets time pass, tick by tick.
    void pass(duration_us span);

    // ---- turns ----
    // Applies a command, gives out, answers fetches, commits, until nothing is left to do.
    void apply(command what);
    void run();
    // One commit: seal, cut, apply to the store (late: just before the next but one is cut).
    void commit();
    void answer_fetches();
    // What the store does not have yet is lost; the broker starts again from the store.
    void restart();
    // So is what was applied without a sync.
    void power_cut();
    // A clean stop before it.
    void stop_and_start();

    // ---- connections ----
    connection_id connect(const std::string& name = "tester@host:1");
    void close(connection_id connection, bool goodbye = false);

    // ---- requests; each returns its request number ----
    std::uint32_t send(connection_id connection, request_body body);
    // Sends and returns the answer, which must be of this type.
    template <typename Answer, typename Body>
    Answer ask(connection_id connection, Body body) {
        const std::uint32_t id = send(connection, std::move(body));
        auto answer = answer_to(connection, id);
        if (!answer) {
            ADD_FAILURE() << "no answer";
            return {};
        }
        if (const auto* error = std::get_if<codec::error>(&answer->body)) {
            last_error = *error;
        }
        if (auto* wanted = std::get_if<Answer>(&answer->body)) {
            last_depends_on = answer->depends_on;
            return std::move(*wanted);
        }
        ADD_FAILURE() << "another answer than expected: index " << answer->body.index() << " "
                      << (last_error ? last_error->text : "");
        return {};
    }
    template <typename Body>
    codec::error ask_refused(connection_id connection, Body body) {
        return ask<codec::error>(connection, std::move(body));
    }
    std::optional<output> answer_to(connection_id connection, std::uint32_t request);

    // ---- shorthands ----
    void make_queue(const std::string& path, queue_settings settings = {},
                    queue_mode mode = queue_mode::shared);
    // Returns the offset of the first.
    offset_t publish_keyed(const std::string& topic, const std::vector<keyed_message>& messages);
    offset_t publish(const std::string& topic, const std::vector<std::string>& payloads);
    output publish_as(const std::string& topic, const std::vector<std::string>& payloads,
                      producer_id producer, std::uint64_t sequence,
                      std::optional<schedule_time> later = {});
    codec::attached attach(connection_id connection, const std::string& queue,
                           std::uint32_t prefetch = 100, std::vector<lease_run> held = {},
                           consumer_id id = consumer_id{1});
    // What was delivered to a connection since the last call.
    std::vector<received> deliveries(connection_id connection);
    codec::settled settle(connection_id connection, queue_id queue, settle_action action,
                          std::vector<lease_run> runs, duration_us delay = duration_us{-1},
                          const std::string& reason = {});
    codec::queue_item queue_info(const std::string& path);
    codec::topic_item topic_info(const std::string& name);
    std::string explain(const std::string& path, std::optional<offset_t> offset = {});
    // State of a message in the only queue of its topic.
    codec::queue_state_item state_of(const std::string& topic, offset_t offset);

    broker_state state;
    fake_store store;
    effects out;
    std::deque<output> outputs;  // not yet looked at
    commit_number gathering{1};
    commit_number durable;      // in the store, and synced
    bool late_store = false;    // commits reach the store as late as they may
    bool hold_fetches = false;  // fetches wait in out.fetches
    std::uint64_t fetches_answered = 0;
    std::optional<codec::error> last_error;
    commit_number last_depends_on;
    connection_id admin;

private:
    struct commit_batch {
        commit_number number;
        std::vector<mutation> batch;
        bool synced = true;
    };

    void collect();
    void check();

    domain_options options_;
    std::uint64_t next_connection_ = 1;
    std::uint32_t next_request_ = 1;
    std::deque<commit_batch> not_applied_;
    std::optional<fake_store> on_disk_;  // without what was not synced; none: all was
};

[[nodiscard]] lease_run run_of(const received& message);
[[nodiscard]] std::vector<lease_run> runs_of(const std::vector<received>& messages);
[[nodiscard]] std::vector<offset_t> offsets_of(const std::vector<received>& messages);
[[nodiscard]] std::vector<std::string> payloads_of(const std::vector<received>& messages);

}  // namespace brokerd::domain::test
