// A topic: its open chunk, its recent chunks, its trim point and its queues. Owner: the engine
// strand.
//
// Offsets: [trim, end) is readable, but for those that are skipped; [end, next_offset()) is
// accepted but not yet in a chunk.
#pragma once

#include <algorithm>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/domain/chunk.hpp"
#include "broker/domain/chunk_cache.hpp"
#include "broker/domain/expiry_watch.hpp"
#include "broker/domain/interval_set.hpp"
#include "broker/domain/log_marks.hpp"
#include "broker/domain/message_id_book.hpp"
#include "broker/domain/queue.hpp"
#include "broker/domain/rate_meter.hpp"
#include "broker/domain/schedule_book.hpp"
#include "protocol/codec/admin_messages.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/settings.hpp"

namespace brokerd::domain {

// A read that waits for something to come.
struct waiting_read {
    connection_id connection;
    std::uint64_t request = 0;
    offset_t from = 0;
    std::uint32_t messages_max = 0;
    std::uint32_t bytes_max = 0;
    mono_time until{};
};

class topic {
public:
    explicit topic(topic_id number) : id(number) {}

    const topic_id id;
    std::string name;
    topic_settings settings;
    wall_time created{};
    commit_number changed;   // that created it or changed its settings
    commit_number appended;  // that stores its last chunk

    // Of a message with this priority.
    [[nodiscard]] std::uint8_t level_of(std::uint8_t priority) const {
        return std::min(priority, static_cast<std::uint8_t>(settings.priorities - 1));
    }

    offset_t trim = 0;
    offset_t end = 0;
    std::optional<chunk_builder> open;
    wall_time last_append{};
    log_marks marks;  // bytes and times of [trim, end)
    chunk_tail tail;
    offset_t reserved = 0;  // of durability os: below this an offset may be given out unsynced
    interval_set skipped;   // no message has these offsets, and they are done in every queue
    std::map<std::string_view, std::unique_ptr<queue>> queues;  // by queue::name
    std::list<waiting_read> waiting;
    rate_meter in_rate;
    std::unique_ptr<expiry_watch> expiry;      // none: no message has a time to live
    std::unique_ptr<schedule_book> scheduled;  // none: nothing ever was, in this epoch
    std::unique_ptr<message_id_book> ids;      // none: no message had one, in this epoch

    // ---- retention.cpp ----
    // The queue with the lowest first open message, and where that is, as it was found last. Queues
    // only move on, so it is the slowest as long as it stays there; whatever brings a queue, takes
    // one or moves one back forgets it (forget_slowest).
    mutable const queue* slowest = nullptr;
    mutable offset_t slowest_at = 0;
    messages_dropped drops;             // what was dropped so far; durable, with queue::dropped
    mono_time dropped_at{};             // the last ones, if any
    offset_t dropped_below = 0;         // messages below are dropped, the trim point follows
    interval_set dropped_counted;       // those from the trim point on that are in `drops`
    bool drops_changed = false;         // in this commit
    mono_time drops_told{};             // in the log
    std::uint64_t drops_untold = 0;     // since then
    mono_time refused_at = mono_never;  // the last publish for want of room; never: none
    mono_time without_queue_since{};    // matters while it has none

    // ---- trimming ----
    struct sample {
        mono_time time{};
        offset_t candidate = 0;
    };
    std::vector<sample> samples;  // how far the queues were, for keep_done; durable
    offset_t reached = 0;         // kept long enough below this
    mono_time last_trim{};
    bool trim_fetching = false;
    bool trim_noted = false;         // in core::topics_to_trim
    mono_time trim_at = mono_never;  // in core::topics_to_trim_later; never: not there

    bool open_noted = false;  // in core::open_topics

    [[nodiscard]] offset_t next_offset() const { return open ? open->next_offset() : end; }
    // Nobody begins or goes back below it.
    [[nodiscard]] offset_t first_kept() const { return std::max(trim, dropped_below); }
    // How many messages lie within [trim, offset).
    [[nodiscard]] std::uint64_t messages_below(offset_t offset) const {
        return offset - trim - skipped.count_in(trim, offset);
    }
};

}  // namespace brokerd::domain
