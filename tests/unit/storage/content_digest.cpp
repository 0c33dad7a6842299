// Reads everything a loaded state names and writes a line for each piece.
#include "tests/unit/storage/content_digest.hpp"

#include <variant>

#include <fmt/format.h>

#include "broker/domain/mutation.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/crc32c.hpp"
#include "protocol/types/limits.hpp"
#include "tests/unit/storage/random_workload.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd::test {

namespace {

constexpr std::uint32_t everything = 1'000'000;

class digest {
public:
    explicit digest(storage::store& of) : store_(of) {}

    std::string take() {
        const auto state = store_.load();
        if (!state) {
            return "cannot load: " + state.error().text;
        }
        line("commit {} epoch {} next id {}", state->last_commit.value(), state->epoch.value(),
             state->next_id);
        for (const auto& m : state->mutations) {
            byte_buffer bytes;
            domain::encode_batch(bytes, {m});
            line("mutation {} crc {:x}", m.index(), crc32c(0, bytes));
        }
        for (const auto& tail : state->tails) {
            line("topic {} ends at {}, {}", tail.topic.value(), tail.next_offset,
                 to_us(tail.last_append));
            add_log(tail.topic);
            add_schedules(tail.topic);
            add_expiry(tail.topic, trim_of(*state, tail.topic));
            add_message_ids(tail.topic, forgotten_before(*state, tail.topic));
        }
        for (const auto& m : state->mutations) {
            if (const auto* queue = std::get_if<domain::queue_created>(&m)) {
                add_queue(queue->topic, queue->queue);
            }
        }
        return std::move(text_);
    }

private:
    template <typename... Args>
    void line(fmt::format_string<Args...> format, Args&&... args) {
        text_ += fmt::format(format, std::forward<Args>(args)...) + "\n";
    }

    // The answer, or null after noting the failure.
    template <typename Answer>
    Answer read(const domain::fetch_body& what) {
        auto result = store_.read(what);
        if (const auto* failed = std::get_if<failure>(&result)) {
            line("failure: {}", failed->text);
            return {};
        }
        return std::get<Answer>(std::move(result));
    }

    void add_log(topic_id topic) {
        const auto log = read<domain::log_fetched>(domain::fetch_log{topic, 0, SIZE_MAX, 0});
        for (const auto& chunk : log.chunks) {
            line("  chunk {}+{} crc {:x}", chunk->base_offset(), chunk->count(),
                 crc32c(0, chunk->bytes()));
        }
        for (std::uint8_t lane = 0; lane < limits::priorities_max; ++lane) {
            const auto part =
                read<domain::log_fetched>(domain::fetch_log{topic, 0, SIZE_MAX, 0, lane});
            for (const auto& chunk : part.chunks) {
                line("  lane {} chunk {}+{}", lane, chunk->base_offset(), chunk->count());
            }
        }
    }

    void add_schedules(topic_id topic) {
        const auto all = read<domain::schedules_fetched>(domain::fetch_schedules{
            topic, {wall_time::min(), 0}, wall_never, everything, SIZE_MAX});
        domain::find_schedules again{topic, {}};
        for (const auto& item : all.items) {
            line("  schedule {} due {} messages {} crc {:x}", item.key.id, to_us(item.key.due),
                 item.messages, crc32c(0, item.batch.view));
            again.ids.push_back(item.key.id);
        }
        for (const auto& item : read<domain::schedules_fetched>(again).items) {
            line("  schedule {} due {} bytes {}", item.key.id, to_us(item.key.due), item.bytes);
        }
    }

    // But for what a store may have left out already.
    void add_expiry(topic_id topic, offset_t trim) {
        const auto all =
            read<domain::expiring_fetched>(domain::fetch_expiring{topic, wall_never, everything});
        for (const auto& item : all.items) {
            if (item.last >= trim) {
                line("  expiry {} of {}+{}", to_us(item.at), item.last, item.count);
            }
        }
    }

    void add_message_ids(topic_id topic, wall_time before) {
        const auto found =
            read<domain::message_ids_fetched>(domain::fetch_message_ids{topic, some_message_ids});
        for (const auto& entry : found.entries) {
            if (entry && entry->time >= before) {
                line("  message id of {} is {} {}", to_us(entry->time), entry->value,
                     entry->scheduled);
            }
        }
    }
    // Of those that are forgotten a store may have some.
    static wall_time forgotten_before(const domain::loaded_state& state, topic_id topic) {
        wall_time before{};
        for (const auto& m : state.mutations) {
            const auto* forgotten = std::get_if<domain::message_ids_forgotten>(&m);
            if (forgotten != nullptr && forgotten->topic == topic) {
                before = forgotten->before;
            }
        }
        return before;
    }

    void add_queue(topic_id topic, queue_id queue) {
        const auto due = read<domain::due_fetched>(
            domain::fetch_due{topic, queue, wall_time::min(), wall_never, everything});
        for (const auto& item : due.items) {
            line("  due {} {}", to_us(item.due), item.offset);
        }
        for (const auto state : {message_state::retrying, message_state::dead}) {
            const auto found = read<domain::exceptions_fetched>(
                domain::scan_exceptions{topic, queue, state, 0, offset_end, everything});
            domain::fetch_exceptions again{topic, queue, {}, true};
            for (const auto& entry : found.entries) {
                again.offsets.push_back(entry.offset);
            }
            for (const auto& entry : read<domain::exceptions_fetched>(again).entries) {
                line("  {} {} attempts {} at {} record crc {:x}", to_string(state), entry.offset,
                     entry.value.attempts, to_us(entry.append_time), crc32c(0, entry.record.view));
            }
        }
    }

    storage::store& store_;
    std::string text_;
};

}  // namespace

std::string content_digest(storage::store& of) {
    return digest(of).take();
}

}  // namespace brokerd::test
