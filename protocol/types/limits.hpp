// Every limit of the protocol and the model, with its default and its hard maximum. Both ends use
// these constants; PROTOCOL.md prints them; tests hold each at the limit and one beyond.
// Header only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace brokerd::limits {

using namespace std::chrono_literals;

inline constexpr std::size_t kib = 1024;
inline constexpr std::size_t mib = 1024 * kib;

// Names.
inline constexpr std::size_t topic_name_bytes_max = 255;
inline constexpr std::size_t topic_name_words_max = 16;
inline constexpr std::size_t queue_name_bytes_max = 255;
inline constexpr std::size_t client_name_bytes_max = 255;

// Messages.
inline constexpr std::size_t message_bytes_default = 1 * mib;
inline constexpr std::size_t message_bytes_max = 64 * mib;
inline constexpr std::size_t key_bytes_max = 4 * kib;
inline constexpr std::size_t headers_max = 64;
inline constexpr std::size_t headers_bytes_max = 16 * kib;  // names and values of one message
inline constexpr std::size_t reason_bytes_max = 256;
inline constexpr std::uint8_t priorities_max = 10;  // levels of a topic; messages have 0 to 9

// Frames and batches.
inline constexpr std::size_t frame_bytes_default = 4 * mib;
inline constexpr std::size_t frame_bytes_max = 72 * mib;
inline constexpr std::size_t hello_bytes_max = 4 * kib;
inline constexpr std::uint32_t batch_records_default = 4096;
inline constexpr std::uint32_t batch_records_max = 16384;
inline constexpr std::size_t chunk_bytes_max = 256 * kib;  // or one batch
inline constexpr std::uint32_t settle_runs_max = 16384;    // lease runs in one settle request
// Leases that the runs of one settle or of held name together: twice what a consumer may hold. The
// answer may have to name each of them again and has to fit into a frame.
inline constexpr std::uint64_t settle_leases_max = 131072;
// Publishes of one transaction, and settles of one; the leases they name together are bounded like
// those of one settle. A producer's window holds the last four transactions of this size.
inline constexpr std::uint32_t transaction_parts_max = 1000;
inline constexpr std::uint32_t list_items_max = 10000;    // items of one listing reply
inline constexpr std::uint64_t read_bytes_max = 3 * mib;  // of one reply to a read, or one message
inline constexpr auto read_wait_max = 30s;
inline constexpr std::uint32_t waiting_reads_max = 16;  // per connection

// Connections.
inline constexpr std::uint32_t connections_default = 10000;
inline constexpr std::uint32_t connections_per_ip_default = 1000;
inline constexpr std::uint32_t connections_unauthenticated_default = 256;
inline constexpr std::uint32_t connections_unauthenticated_per_ip_default = 32;
inline constexpr auto handshake_default = 10s;
inline constexpr auto handshake_max = 30s;
inline constexpr auto frame_base_deadline = 10s;  // plus size over this rate:
inline constexpr std::size_t frame_bytes_per_second_min = 64 * kib;
inline constexpr auto heartbeat_default = 15s;  // ping after this silence
inline constexpr auto heartbeat_max = 300s;
inline constexpr auto dead_after_default = 30s;           // closed after this silence
inline constexpr std::size_t outbox_bytes_max = 8 * mib;  // per connection
inline constexpr std::size_t outbox_unauthenticated_bytes_max = 64 * kib;

inline constexpr auto drain_default = 10s;  // at shut-down, to settle what is held
inline constexpr auto drain_max = 30s;

// Flow control.
inline constexpr std::uint32_t publish_credit_messages_default = 16384;
inline constexpr std::uint32_t publish_credit_messages_max = 65536;
inline constexpr std::uint64_t publish_credit_bytes_default = 8 * mib;
inline constexpr std::uint64_t publish_credit_bytes_max = 64 * mib;
inline constexpr std::uint32_t prefetch_messages_default = 256;
inline constexpr std::uint32_t prefetch_messages_max = 65536;
inline constexpr std::uint64_t prefetch_bytes_default = 8 * mib;
inline constexpr std::uint64_t prefetch_bytes_max = 64 * mib;
inline constexpr std::uint32_t consumers_per_connection_default = 1000;
inline constexpr std::uint32_t consumers_per_connection_max = 100000;
inline constexpr std::uint32_t queues_per_topic_default = 1000;
inline constexpr std::uint32_t queues_per_topic_max = 100000;

// Pattern queues. As many rules as a topic may have queues at most, so that a new topic has room
// for those of all rules.
inline constexpr std::uint32_t pattern_queues_max = 1000;
// Queues of one rule that one request makes, changes or removes, as one commit does it; and those
// that one consumer of a rule, and all such consumers of a connection, are attached to.
inline constexpr std::uint32_t pattern_topics_max = 10000;
inline constexpr std::uint32_t pattern_members_per_connection_max = 100000;
inline constexpr std::uint32_t pattern_page_max = 1000;  // items of one list in pattern_queues
inline constexpr std::uint32_t patterns_page_max = 500;  // items of one listing reply

// Leases and retries.
inline constexpr auto lease_default = 30s;
inline constexpr auto lease_min = 100ms;
inline constexpr auto lease_max = 12h;
inline constexpr std::uint32_t attempts_default = 16;
inline constexpr std::uint32_t attempts_max = 1000;
inline constexpr std::size_t attempts_history_max = 16;  // kept per message: first and last 15
inline constexpr auto backoff_initial_default = 1s;
inline constexpr auto backoff_max_default = 10min;
inline constexpr std::uint32_t backoff_jitter_percent = 20;  // default; at most 100
inline constexpr auto nack_delay_max = 365 * 24h;
inline constexpr std::uint64_t retrying_default = 100000;  // per queue; dispatch pauses beyond
inline constexpr std::uint64_t runs_default = 100000;      // intervals per queue; likewise
inline constexpr std::uint64_t retrying_max = 10000000;
inline constexpr std::uint64_t runs_max = 10000000;
inline constexpr auto expires_min = 1s;  // of a temporary queue
inline constexpr auto expires_max = 365 * 24h;
inline constexpr std::chrono::microseconds expires_after_start_min = 10s;  // of the broker
inline constexpr auto keep_done_max = 100 * 365 * 24h;
inline constexpr std::uint64_t topic_bytes_min = 4 * kib;  // of max_bytes, if it is set
inline constexpr auto max_age_min = 1s;                    // if it is set
inline constexpr auto max_age_max = 100 * 365 * 24h;

// Filters.
inline constexpr std::size_t filter_bytes_max = 4 * kib;  // as given, and written out in full
inline constexpr std::size_t filter_terms_max = 64;
inline constexpr std::size_t filter_depth_max = 16;        // parentheses and nots inside each other
inline constexpr std::size_t filter_list_items_max = 256;  // of one list

// Producers.
inline constexpr std::uint64_t producer_window = 4096;  // sequences remembered per topic
inline constexpr std::size_t producers_max = 10000;     // windows kept, least recently used go

// Message ids.
inline constexpr std::size_t message_id_bytes_max = 255;
inline constexpr std::chrono::microseconds message_id_window_default = 24h;
inline constexpr auto message_id_window_max = 365 * 24h;
// However long the window: ids of messages so far behind the end of their topic are forgotten.
inline constexpr std::uint64_t message_id_distance_max = 16 * mib;

// Schedules.
inline constexpr auto ttl_max = 100 * 365 * 24h;  // of a topic; a message's own beyond it: never
inline constexpr auto schedule_ahead_max = 100 * 365 * 24h;
inline constexpr std::uint32_t schedules_page_max = 1000;    // items of one listing reply
inline constexpr std::uint32_t schedules_cancel_max = 1000;  // ids of one request

// Services: requests and replies, in memory only.
inline constexpr auto request_timeout_min = 1ms;
inline constexpr auto request_timeout_default = 30s;  // of clients; the wire has none
inline constexpr auto request_timeout_max = 1h;
inline constexpr std::uint32_t service_prefetch_max = 65536;  // requests of one responder at once
// Requests handed to one responder and not answered; one may always exceed it.
inline constexpr std::size_t responder_bytes_max = 8 * mib;
inline constexpr std::size_t responders_per_connection_max = 1000;
// Of all responders of a connection: an open request costs the engine memory wherever it waits.
inline constexpr std::uint32_t service_prefetch_per_connection_max = 65536;
inline constexpr std::size_t requests_per_connection_max = 1024;  // without an answer
// Requests that wait for a responder with room: of one service, and the bytes of all services.
inline constexpr std::size_t service_waiting_max = 1000;
inline constexpr std::size_t service_waiting_bytes_max = 8 * mib;
inline constexpr std::size_t services_waiting_bytes_max = 64 * mib;
// Requests that wait for a responder to read them; the connection of one that reads too slowly is
// closed. A deadline makes room for the next request, whether or not this one was read.
inline constexpr std::size_t pushes_waiting_bytes_max = 32 * mib;
// Replies that wait for a requester to read them; further ones are dropped, and it is told so.
// One may always wait.
inline constexpr std::size_t replies_waiting_bytes_max = 32 * mib;
inline constexpr std::uint32_t services_page_max = 1000;  // items of one listing reply

// Durability.
inline constexpr auto plain_ack_sync_max = 100ms;
// What topics of durability os have acknowledged is synced within this.
inline constexpr auto os_sync_default = 10ms;
inline constexpr auto os_sync_max = 1s;
// How far ahead they reserve offsets, so that none is used twice after a power cut.
inline constexpr std::uint64_t offsets_reserved_ahead = 16384;
// Exceptions that a clone of a queue may copy, and the bytes of the records kept for them.
inline constexpr std::uint64_t clone_exceptions_max = 100000;
inline constexpr std::size_t clone_bytes_max = 32 * mib;

}  // namespace brokerd::limits
