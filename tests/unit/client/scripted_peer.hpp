// The whole client machine against a script: the test plays the broker and the clock. What the
// client writes is taken as decoded frames, what the broker says is given as structs.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "client/src/client_state.hpp"
#include "client/src/encoded.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/codec/registry.hpp"

namespace brokerd::client_core {

using namespace std::chrono_literals;

struct sent_frame {
    codec::frame_type type{};
    std::uint32_t request = 0;
    byte_buffer body;

    template <typename T>
    [[nodiscard]] T as() const {
        EXPECT_EQ(codec::frame_type_name(type), codec::frame_type_name(T::type));
        auto decoded = codec::decode<T>(body);
        if (!decoded) {
            throw std::runtime_error(decoded.error().text);
        }
        return std::move(*decoded);
    }
};

// What became of a message that was submitted.
struct publish_outcome {
    std::optional<std::uint64_t> offset;
    std::optional<error> failure;
    bool duplicate = false;
    [[nodiscard]] bool open() const { return !offset && !failure; }
};

class scripted_peer {
public:
    explicit scripted_peer(client_options options = quick_options())
        : state("broker:4650", std::move(options), 42, now) {}

    static client_options quick_options() {
        client_options options;
        options.client_name = "test@here:1";
        return options;
    }

    // Calls `what` with the calls it may leave behind, and makes them.
    template <typename F>
    auto with(F&& what) {
        calls out;
        if constexpr (std::is_void_v<std::invoke_result_t<F&, calls&>>) {
            what(out);
            make(out);
        } else {
            auto value = what(out);
            make(out);
            return value;
        }
    }

    // ---- time and connection

    void connect() {
        const auto step = state.next_step(now);
        ASSERT_EQ(step.what, connection_state::step::kind::connect);
        intake = {};
        state.on_connected(now);
    }
    // Connects and says hello under these terms.
    void greet() {
        connect();
        ASSERT_EQ(write().at(0).type, codec::frame_type::hello);
        say(1, terms);
        ASSERT_TRUE(state.connected());
    }
    void lose(const std::string& why = "reset by peer") {
        with([&](calls& out) { state.on_connection_lost(why, now, out); });
    }
    // Loses the connection and is there again.
    void reconnect(std::chrono::microseconds after = 5s) {
        lose();
        pass(after);
        greet();
    }
    void pass(std::chrono::microseconds time) {
        now += time;
        with([&](calls& out) { next_tick = state.tick(now, out); });
    }

    // ---- frames

    template <typename T>
    void say(std::uint32_t request, const T& message) {
        byte_buffer bytes;
        codec::encode_frame(bytes, request, message);
        receive(bytes);
    }
    void receive(byte_view bytes) {
        with([&](calls& out) { state.on_arrivals(intake.take(bytes), now, out); });
    }
    void refuse(std::uint32_t request, error_code code, std::string text = "refused") {
        say(request, codec::error{code, std::move(text)});
    }
    // Everything the client has to write now.
    std::vector<sent_frame> write() {
        byte_buffer bytes;
        std::vector<sent_frame> frames;
        do {
            bytes.clear();
            with([&](calls& out) { state.write(bytes, now, out); });
            codec::frame_parser parser(64 * 1024 * 1024);
            parser.feed(bytes);
            for (auto next = parser.next(); next && *next; next = parser.next()) {
                frames.push_back({static_cast<codec::frame_type>((*next)->type),
                                  (*next)->request_id,
                                  {(*next)->body.begin(), (*next)->body.end()}});
            }
        } while (!bytes.empty());
        return frames;
    }
    // The one frame the client has to write now.
    sent_frame write_one() {
        auto frames = write();
        EXPECT_EQ(frames.size(), 1U);
        return frames.empty() ? sent_frame() : std::move(frames.front());
    }

    // ---- the application

    static void make(calls& out) {
        for (auto& call : out) {
            call();
        }
    }
    // The result stays valid as long as the peer.
    publish_outcome& publish(const std::string& topic, const std::string& payload) {
        return submit(topic, payload, std::nullopt);
    }
    publish_outcome& schedule(const std::string& topic, const std::string& payload,
                              schedule_time when) {
        return submit(topic, payload, when);
    }
    publish_outcome& submit(const std::string& topic, const std::string& payload,
                            const std::optional<schedule_time>& when) {
        publish_outcome& outcome = outcomes.emplace_back();
        byte_buffer record;
        EXPECT_TRUE(encode_message(record, topic, {.payload = payload}));
        with([&](calls& out) {
            state.submit(
                topic, record,
                [&outcome](const publish_result& result) {
                    EXPECT_TRUE(outcome.open());
                    if (result) {
                        outcome.offset = result.offset;
                    } else {
                        outcome.failure = *result.failure;
                    }
                    outcome.duplicate = result.duplicate;
                },
                nullptr, out, when);
        });
        return outcome;
    }
    void acknowledge(const sent_frame& publish, std::uint64_t offset, bool duplicate = false) {
        const auto header = batch_of(publish);
        codec::published reply;
        reply.credit_messages = header.count;
        reply.credit_bytes = codec::batch_header_bytes + header.records_bytes;
        reply.items.push_back({publish.request, offset, durability::disk, duplicate});
        say(0, reply);
    }
    // Of a publish or schedule.
    static codec::batch_header batch_of(const sent_frame& frame) {
        const byte_view bytes = frame.type == codec::frame_type::schedule
                                    ? frame.as<codec::schedule>().batch.view
                                    : frame.as<codec::publish>().batch.view;
        const auto batch = codec::check_batch(bytes, 16384);
        EXPECT_TRUE(batch) << (batch ? "" : batch.error().text);
        return batch ? batch->header : codec::batch_header();
    }

    static codec::hello_ok default_terms() {
        codec::hello_ok terms;
        terms.features = codec::feature::schedules;
        terms.version = 1;
        terms.broker_version = "test";
        terms.epoch = broker_epoch(1);
        terms.connection = connection_id(1);
        terms.heartbeat_ms = 15000;
        terms.dead_after_ms = 30000;
        terms.frame_bytes_max = 4 * 1024 * 1024;
        terms.batch_records_max = 4096;
        terms.credit_messages = 16384;
        terms.credit_bytes = 8 * 1024 * 1024;
        return terms;
    }

    mono_time now{1000s};
    mono_time next_tick = mono_never;
    codec::hello_ok terms = default_terms();
    std::deque<publish_outcome> outcomes;
    client_state state;
    frame_intake intake;
};

}  // namespace brokerd::client_core
