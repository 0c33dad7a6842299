// The two bodies that carry runs of records, `deliver` and `messages`: writers that encode straight
// into an outbox with one copy of the records, and their codec for the generic functions of
// encode.hpp. Pure; a writer belongs to the thread of its outbox.
//
//     deliver_writer writer(outbox, consumer);
//     writer.append_run(leases, append_time, attempt, records);
//     writer.finish();
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "protocol/codec/admin_messages.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/codec/wire_reader.hpp"
#include "protocol/types/bytes.hpp"

namespace brokerd::codec {

// Bytes of a run in front of its records, without queue and history.
inline constexpr std::size_t delivery_run_bytes = 24 + 8 + 4 + 4;
inline constexpr std::size_t message_run_bytes = 8 + 4 + 8 + 4;
// Bytes of a run's history; none if it is empty.
[[nodiscard]] std::size_t history_bytes(const std::vector<attempt>& history);

// Appends one deliver frame to `out`. Nothing else may be appended before finish().
class deliver_writer {
public:
    deliver_writer(byte_buffer& out, consumer_id consumer);

    // Records of leases.count messages, in one piece or several that belong together.
    void append_run(const lease_run& leases, wall_time append_time, std::uint32_t attempt,
                    byte_view records);
    void append_run(const lease_run& leases, wall_time append_time, std::uint32_t attempt,
                    std::span<const byte_view> records);
    // With the queue, 0 = none, for a consumer of a pattern queue; and with how earlier attempts
    // failed, for a peer with the feature attempt_history.
    void append_run(const lease_run& leases, wall_time append_time, std::uint32_t attempt,
                    queue_id queue, const std::vector<brokerd::attempt>& history,
                    byte_view records);
    // So far; the peer's limit is the caller's to keep.
    [[nodiscard]] std::size_t body_bytes() const;
    // Completes the frame's header.
    void finish();

private:
    byte_buffer& out_;
    std::size_t start_;
};

// Appends one messages frame, the answer to a read, to `out`; as deliver_writer.
class messages_writer {
public:
    messages_writer(byte_buffer& out, std::uint32_t request_id, topic_id incarnation,
                    offset_t first_offset, offset_t next_offset);

    void append_run(offset_t first_offset, std::uint32_t count, wall_time append_time,
                    byte_view records);
    [[nodiscard]] std::size_t body_bytes() const;
    // `position`: where the reader continues.
    void finish(offset_t position);

private:
    byte_buffer& out_;
    std::size_t start_;
    std::uint32_t request_id_;
};

// Codec of a whole body; what encode.hpp uses.
template <typename Message>
struct runs_codec {
    static std::size_t size(const Message& message);
    static std::byte* put(std::byte* to, const Message& message);
    static bool get(wire_reader& reader, Message& message);
};
extern template struct runs_codec<deliver>;
extern template struct runs_codec<messages>;

}  // namespace brokerd::codec
