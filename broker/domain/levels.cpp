// Counting the ready messages of a queue by their level of priority. One request looks at one slice
// of the log, so that a question about a long backlog holds nobody up: from memory as far as that
// reaches, else at some of what the store has. Every message is counted as it is in the turn that
// answers, so the sum over the slices is exact for a queue in which nothing happens meanwhile.
//
// A chunk holds messages of one level, so it is looked at as a whole, and what lies between the
// ready messages is not read. Those that failed before are not told apart by level, as their
// records may lie anywhere: how many are ready is told beside it.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

constexpr std::size_t levels_read_bytes = limits::mib;  // of the log, in one slice
constexpr std::uint64_t levels_steps_max = 10000;       // parts of runs and chunks in one slice
constexpr std::uint64_t levels_reader = std::uint64_t{5} << 61U;  // its own kept iterator

codec::queue_levels_counted nothing_counted(const queue& q, offset_t from) {
    codec::queue_levels_counted result{.levels = {}, .due = q.due(), .next = from, .more = false};
    for (std::uint8_t level = 0; level < q.owner.settings.priorities; ++level) {
        result.levels.push_back({.level = level, .ready = 0});
    }
    return result;
}

// Counts the ready messages from result.next on, as long as `chunk_with` has their chunks.
template <typename ChunkWith>
void count_ready(const queue& q, codec::queue_levels_counted& result, ChunkWith&& chunk_with) {
    const auto highest = result.levels.size() - 1;
    for (std::uint64_t steps = 0; steps < levels_steps_max; ++steps) {
        const auto run = q.next_ready_run(result.next);
        if (!run) {
            result.next = q.owner.end;
            break;
        }
        const chunk* data = chunk_with(run->first);
        if (data == nullptr) {
            result.next = run->first;
            break;
        }
        const offset_t stop = std::min(run->end(), data->end_offset());
        result.levels[std::min<std::size_t>(data->lane(), highest)].ready += stop - run->first;
        result.next = stop;
    }
    result.more = q.next_ready(result.next) != offset_end;
}

// Answers with what chunks from the store say, from the first ready message on, `first`.
void count_read(core& c, turn& t, asker who, const queue& q, offset_t first,
                const std::vector<chunk_ptr>& chunks) {
    const auto chunk_with = [&](offset_t offset) -> const chunk* {
        const auto at = std::ranges::upper_bound(
            chunks, offset, {}, [](const chunk_ptr& each) { return each->last_offset() + 1; });
        return at == chunks.end() || !(*at)->contains(offset) ? nullptr : at->get();
    };
    if (chunk_with(first) == nullptr && q.next_ready(first) == first) {
        c.refuse(
            t, who,
            {error_code::storage_failed,
             fmt::format("{} is not in the log", to_string(message_address{q.owner.name, first}))});
        return;
    }
    codec::queue_levels_counted result = nothing_counted(q, first);
    count_ready(q, result, chunk_with);
    c.answer(t, who, q.changed, std::move(result));
}

}  // namespace

void count_levels(core& c, turn& t, asker who, const codec::queue_levels& what) {
    const auto found = c.find_queue(what.queue);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    queue& q = **found;
    if (!catch_up(c, t, q)) {
        read_due(c, t, q, [&c, who, what](turn& later) { count_levels(c, later, who, what); });
        return;
    }
    codec::queue_levels_counted result = nothing_counted(q, what.from);
    if (result.levels.size() == 1) {
        result.levels.front().ready = q.ready() - q.due();
        result.next = q.owner.end;
        c.answer(t, who, q.changed, std::move(result));
        return;
    }
    const offset_t first = q.next_ready(what.from);
    if (first == offset_end || q.owner.tail.find(first) != nullptr) {
        count_ready(q, result, [&](offset_t offset) -> const chunk* {
            const chunk_tail::entry* entry = q.owner.tail.find(offset);
            return entry == nullptr ? nullptr : entry->data.get();
        });
        c.answer(t, who, q.changed, std::move(result));
        return;
    }
    c.read(t, fetch_log{q.owner.id, first, levels_read_bytes, q.id.value() | levels_reader},
           [&c, who, first, id = q.id](turn& later, fetch_result& result_of_read) {
               queue* of = c.queue_by_id(id);
               if (of == nullptr) {
                   c.refuse(later, who,
                            {error_code::queue_removed, "the queue was removed meanwhile"});
                   return;
               }
               if (const auto* failed = std::get_if<failure>(&result_of_read)) {
                   c.refuse(later, who, *failed);
                   return;
               }
               (void)catch_up(c, later, *of);  // what has become due meanwhile, as far as is known
               count_read(c, later, who, *of, first, std::get<log_fetched>(result_of_read).chunks);
           });
}

}  // namespace brokerd::domain
