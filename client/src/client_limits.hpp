// Bounds of the client that are its own: what both ends share is in protocol/types/limits.hpp.
// Header only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "protocol/types/limits.hpp"

namespace brokerd::client_core::client_limits {

using namespace std::chrono_literals;

// A batch is closed at either; one message may exceed the bytes.
inline constexpr std::uint32_t batch_records_max = 1024;
inline constexpr std::size_t batch_bytes_max = limits::chunk_bytes_max;
// A batch that has not reached this many bytes waits while so many frames of its topic are
// unanswered: what is published meanwhile joins it.
inline constexpr std::size_t batch_bytes_worth_sending = std::size_t{64} * 1024;
inline constexpr std::uint32_t frames_unanswered_max = 4;
// Sent and unanswered sequences of one topic, and of transactions: all must fit into the broker's
// memory of a producer, or a resend could not be recognized.
inline constexpr std::uint64_t sequences_unanswered_max = limits::producer_window;
// Bytes of transactions sent and unanswered; one may exceed them.
inline constexpr std::size_t transaction_bytes_unanswered_max = limits::frame_bytes_default;
// Topics remembered although nothing is in flight.
inline constexpr std::size_t idle_topics_max = 10'000;

// Bytes appended to one write; more waits for the next.
inline constexpr std::size_t write_bytes_max = std::size_t{512} * 1024;
// Who hands something in writes it at once if no more messages than this are unanswered: with more
// in flight what the strand gathers meanwhile is worth more than the time it takes to wake.
inline constexpr std::uint64_t write_here_messages_max = 4;
inline constexpr std::uint64_t write_here_bytes_max = std::uint64_t{64} * 1024;
// Memory an idle connection keeps for its next write.
inline constexpr std::size_t idle_buffer_bytes_max = std::size_t{64} * 1024;
// Largest frame body accepted from a broker: a delivery of one largest message.
inline constexpr std::size_t frame_body_bytes_max = limits::frame_bytes_max;

// Answers wait for company no longer than this, and not at all when the consumer has nothing else
// to hand out or so many wait: a part of its prefetch within these bounds, so that the broker has
// room to deliver meanwhile.
inline constexpr auto settle_gather = 1ms;
inline constexpr std::uint32_t settle_gather_min = 64;
inline constexpr std::uint32_t settle_gather_max = 1024;
inline constexpr std::uint32_t settle_gather_part = 4;  // of the prefetch
// Confirmations awaited by one consumer; further answers are gathered meanwhile.
inline constexpr std::size_t confirms_unanswered_max = 64;
inline constexpr std::uint32_t prefetch_messages_max = limits::prefetch_messages_max;
inline constexpr std::uint64_t prefetch_bytes_max = limits::prefetch_bytes_max;
inline constexpr std::uint32_t concurrency_max = 1024;

// Requests that may have arrived beyond twice the prefetch, because those before are over at the
// broker; those with the earliest deadlines go.
inline constexpr std::size_t requests_spare_max = 64;
// Requests for responders that are none any more, to be told so; who asked with further ones learns
// it at the deadline.
inline constexpr std::size_t requests_unserved_max = 1024;
inline constexpr std::uint32_t service_prefetch_max = limits::service_prefetch_max;

// Pause before a consumer or responder that could not be attached again tries once more.
inline constexpr auto attach_pause = 1s;
// Longest wait the broker accepts in one read.
inline constexpr auto read_wait_max = 30s;
// Time for what is ready to be sent when a client is dropped without close().
inline constexpr auto abandon_grace = 100ms;
// Time for the answer to goodbye.
inline constexpr auto goodbye_timeout = 1s;

}  // namespace brokerd::client_core::client_limits
