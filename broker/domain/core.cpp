// Finding, answering, emitting, reading.
#include "broker/domain/core.hpp"

#include <fmt/format.h>

#include "protocol/types/names.hpp"

namespace brokerd::domain {

core::core(domain_options wanted)
    : options(wanted),
      jitter(wanted.seed),
      producers(wanted.producers_max),
      cache(wanted.cache_bytes_max) {}

topic* core::topic_by_id(topic_id id) {
    const auto at = topics.find(id);
    return at == topics.end() ? nullptr : at->second.get();
}

queue* core::queue_by_id(queue_id id) {
    const auto at = queues.find(id);
    return at == queues.end() ? nullptr : at->second;
}

outcome<topic*> core::find_topic(std::string_view name) {
    const auto at = topics_by_name.find(name);
    if (at != topics_by_name.end()) {
        return at->second;
    }
    if (auto valid = check_topic_name(name); !valid) {
        return std::unexpected(valid.error());
    }
    return brokerd::refuse(
        error_code::topic_not_found,
        fmt::format("topic {0} does not exist; create it: brokerctl topic create {0}", name));
}

outcome<queue*> core::find_queue(std::string_view path) {
    const auto parsed = parse_queue_path(path);
    if (!parsed) {
        return std::unexpected(parsed.error());
    }
    const auto at = topics_by_name.find(parsed->topic);
    if (at != topics_by_name.end()) {
        const auto found = at->second->queues.find(parsed->queue);
        if (found != at->second->queues.end()) {
            return found->second.get();
        }
    }
    return brokerd::refuse(
        error_code::queue_not_found,
        fmt::format("queue {0} does not exist; create it: brokerctl queue create {0}", path));
}

connection* core::find_connection(connection_id id) {
    const auto at = connections.find(id);
    return at == connections.end() ? nullptr : &at->second;
}

void core::answer(turn& t, asker who, commit_number depends_on, output_body body,
                  bool when_applied) const {
    t.out.outputs.push_back({.connection = who.connection,
                             .request = who.request,
                             .depends_on = depend(depends_on, when_applied),
                             .body = std::move(body),
                             .when_applied = when_applied});
}

void core::refuse(turn& t, asker who, failure why) const {
    answer(t, who, {}, codec::error{.code = why.code, .text = std::move(why.text)});
}

void core::emit(turn& t, mutation m, bool urgent) {
    t.out.mutations.push_back(std::move(m));
    t.out.urgent = t.out.urgent || urgent;
    dirty = true;
}

void core::note_change(turn& t, queue& q, bool urgent) {
    t.out.urgent = t.out.urgent || urgent;
    dirty = true;
    if (!q.change_noted) {
        q.change_noted = true;
        changed_queues.push_back(&q);
    }
}

void core::wake(queue& q) {
    if (!q.woken) {
        q.woken = true;
        woken.push_back(&q);
    }
}

void core::note_exceptions(queue& q) {
    if (!q.exceptions_noted) {
        q.exceptions_noted = true;
        queues_with_exceptions.push_back(&q);
    }
}

void core::note_trim(topic& t) {
    if (!t.trim_noted) {
        t.trim_noted = true;
        topics_to_trim.push_back(&t);
    }
}

void core::note_trim_later(topic& t, mono_time when) {
    if (when < t.trim_at) {
        topics_to_trim_later.erase({t.trim_at, t.id});
        topics_to_trim_later.emplace(when, t.id);
        t.trim_at = when;
    }
}

void core::forget_trim(topic& t) {
    if (t.trim_noted) {
        std::erase(topics_to_trim, &t);
        t.trim_noted = false;
    }
    topics_to_trim_later.erase({t.trim_at, t.id});
    t.trim_at = mono_never;
}

void core::arm(queue& q, mono_time when) {
    if (when >= q.timer) {
        return;
    }
    if (q.timer != mono_never) {
        timers.erase({q.timer, q.id});
    }
    q.timer = when;
    timers.emplace(when, q.id);
}

void core::read(turn& t, fetch_body what, fetch_handler then) {
    // Never the same number again, not even after a reload: a late answer must find nothing.
    const std::uint64_t id = (static_cast<std::uint64_t>(epoch.value()) << 40) | next_fetch++;
    fetches.emplace(id, pending_fetch{std::move(then), dispatching});
    if (dispatching && dispatch_reads == dispatch_reads_max) {
        dispatch_reads_waiting.push_back({id, std::move(what)});
        return;
    }
    dispatch_reads += dispatching ? 1U : 0U;
    t.out.fetches.push_back({id, std::move(what)});
}

void core::take_answer(turn& t, std::uint64_t id, fetch_result& result) {
    const auto at = fetches.find(id);
    if (at == fetches.end()) {
        return;  // asked before the state was reloaded
    }
    const pending_fetch asked = std::move(at->second);
    fetches.erase(at);
    asked.then(t, result);
    if (!asked.of_dispatch) {
        return;
    }
    --dispatch_reads;
    if (!dispatch_reads_waiting.empty()) {
        fetch next = std::move(dispatch_reads_waiting.front());
        dispatch_reads_waiting.pop_front();
        if (auto* log = std::get_if<fetch_log>(&next.body); log != nullptr && !may_read_ahead()) {
            log->bytes_max = 0;  // others have filled theirs meanwhile
        }
        ++dispatch_reads;
        t.out.fetches.push_back(std::move(next));
    }
}

}  // namespace brokerd::domain
