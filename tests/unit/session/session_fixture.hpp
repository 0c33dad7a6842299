// A session on the stack: frames in, commands, questions and frames out. Manual time.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "broker/session/session.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/frame.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::session {

using namespace std::chrono_literals;

struct sent_frame {
    codec::frame_type type{};
    std::uint32_t request = 0;
    byte_buffer body;
};

class session_fixture : public testing::Test {
protected:
    session_fixture() { settings.broker_version = "1.2.3"; }

    session& machine() {
        if (!machine_) {
            machine_.emplace(settings, connection_id{7}, now);
        }
        return *machine_;
    }

    session_io io() {
        return {.now = now,
                .epoch = broker_epoch{3},
                .outbox = outbox,
                .outbox_pending = pending,
                .commands = commands,
                .asks = asks};
    }

    void receive(byte_view bytes) {
        auto with = io();
        machine().received(bytes, with);
        note_tags();
    }
    void receive_text(std::string_view text) { receive(as_bytes(text)); }
    template <codec::frame_message T>
    void receive(std::uint32_t request, const T& message) {
        byte_buffer bytes;
        codec::encode_frame(bytes, request, message);
        receive(bytes);
    }
    void receive_publish(std::uint32_t request, byte_view batch, std::string_view topic = "t") {
        byte_buffer bytes;
        codec::encode_publish(bytes, request, topic, batch);
        receive(bytes);
    }
    // Opens the session and forgets what that left behind.
    void open(std::uint64_t features = 0) {
        codec::hello hello;
        hello.features_offered = features;
        hello.client_name = "worker@host:1";
        receive(1, hello);
        ASSERT_EQ(machine().state(), session_state::open);
        (void)take();
        commands.clear();
    }
    // What the engine says to the request that came last with this id, or a push.
    void output(std::uint32_t request, domain::output_body body) {
        const auto tag = tags_.find(request);
        output_as(tag == tags_.end() ? request : tag->second, std::move(body));
    }
    void output_as(std::uint64_t tag, domain::output_body body) {
        auto with = io();
        machine().output({connection_id{7}, tag, {}, std::move(body)}, with);
    }
    void outputs_end() {
        auto with = io();
        machine().outputs_end(with);
        note_tags();
    }
    void pump() {
        auto with = io();
        machine().pump(with);
        note_tags();
    }
    mono_time tick() {
        auto with = io();
        return machine().tick(with);
    }
    void pass(duration_us time) { now.mono += time; }

    // Takes the frames sent so far.
    std::vector<sent_frame> take() {
        std::vector<sent_frame> frames;
        codec::frame_parser parser(limits::frame_bytes_max);
        parser.feed(outbox);
        for (auto next = parser.next(); next && *next; next = parser.next()) {
            frames.push_back({static_cast<codec::frame_type>((*next)->type),
                              (*next)->request_id,
                              {(*next)->body.begin(), (*next)->body.end()}});
        }
        outbox.clear();
        return frames;
    }
    // The one frame sent, which must be a T.
    template <codec::frame_message T>
    T take_one(std::uint32_t request = 0) {
        frames_ = take();
        if (frames_.size() != 1 || frames_[0].type != T::type) {
            ADD_FAILURE() << frames_.size() << " frames, the first of type "
                          << (frames_.empty() ? 0 : static_cast<int>(frames_[0].type));
            return {};
        }
        EXPECT_EQ(frames_[0].request, request);
        return codec::decode<T>(frames_[0].body).value();
    }
    // The only command, which must be a C.
    template <typename C>
    C take_command() {
        if (commands.size() != 1 || !std::holds_alternative<C>(commands[0])) {
            ADD_FAILURE() << commands.size() << " commands";
            return {};
        }
        auto command = std::get<C>(std::move(commands[0]));
        commands.clear();
        return command;
    }
    template <typename Body>
    Body take_request(std::uint32_t id) {
        auto request = take_command<domain::request>();
        EXPECT_EQ(static_cast<std::uint32_t>(request.id), id);
        EXPECT_EQ(request.connection, connection_id{7});
        return std::get<Body>(std::move(request.body));
    }
    void expect_closed(closed_reason reason) {
        EXPECT_TRUE(machine().closing());
        EXPECT_EQ(machine().reason(), reason) << describe(machine().reason()).name;
    }

    session_settings settings;
    instant now{mono_time{1000s}, wall_time{1'700'000'000s}};
    byte_buffer outbox;
    std::size_t pending = 0;
    std::vector<domain::command> commands;
    std::vector<ask> asks;

private:
    // The session may give requests other ids for the engine: what answers bring back.
    void note_tags() {
        for (const auto& command : commands) {
            const auto* request = std::get_if<domain::request>(&command);
            if (request != nullptr &&
                !std::holds_alternative<domain::publish_request>(request->body)) {
                tags_[static_cast<std::uint32_t>(request->id)] = request->id;
            }
        }
    }

    std::map<std::uint32_t, std::uint64_t> tags_;
    std::optional<session> machine_;
    std::vector<sent_frame> frames_;
};

inline byte_buffer batch_of(std::uint32_t count, std::size_t payload_bytes = 10) {
    codec::batch_builder builder;
    const std::string payload(payload_bytes, 'x');
    for (std::uint32_t i = 0; i < count; ++i) {
        builder.add({.key = {}, .headers = {}, .payload = as_bytes(payload)});
    }
    return builder.take({}, 0);
}

}  // namespace brokerd::session
