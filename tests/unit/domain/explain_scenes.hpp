// Queues in the states that explain has sentences for.
#pragma once

#include <string>
#include <vector>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {

inline const queue_settings slow_retries{.backoff = 1h, .backoff_max = 1h, .jitter_percent = 0};
inline const queue_settings quick_retries{.backoff = 0s, .jitter_percent = 0};

queue_settings with(queue_settings settings, auto queue_settings::* which, auto value) {
    settings.*which = value;
    return settings;
}

// The queue t/q, with a consumer or none.
struct scene {
    explicit scene(queue_settings settings = slow_retries, queue_mode mode = queue_mode::shared,
                   domain_options options = {})
        : h(options) {
        h.make_queue("t/q", settings, mode);
        q = h.queue_info("t/q").id;
    }
    connection_id attach(const std::string& name = "one@host:1", std::uint32_t prefetch = 100,
                         std::vector<lease_run> held = {}) {
        const connection_id made = h.connect(name);
        h.attach(made, "t/q", prefetch, std::move(held));
        return made;
    }
    // A consumer that asks for at most so many messages in all, or bytes at once.
    connection_id attach_limited(std::uint64_t limit, std::uint64_t bytes) {
        const connection_id made = h.connect("one@host:1");
        h.ask<codec::attached>(made, codec::attach{.queue = "t/q",
                                                   .consumer = consumer_id{1},
                                                   .prefetch_bytes = bytes,
                                                   .limit = limit});
        return made;
    }
    void publish(std::size_t count) { h.publish("t", std::vector<std::string>(count, "x")); }
    void publish_keys(const std::vector<std::string>& keys) {
        for (const std::string& each : keys) {
            h.publish_keyed("t", {{each}});
        }
    }
    void settle_all(connection_id of, settle_action action, duration_us delay = duration_us{-1},
                    const std::string& why = {}) {
        h.settle(of, q, action, runs_of(h.deliveries(of)), delay, why);
    }
    void pause() { h.ask<codec::ok>(h.admin, codec::queue_pause{"t/q", true}); }
    void idle(duration_us span) {  // nobody looks meanwhile
        h.now.mono += span;
        h.now.wall += span;
    }
    // Commits, after which memory forgets what it may.
    void forget() {
        h.make_queue("other/q");
        for (int i = 0; i < 3; ++i) {
            h.publish("other", {"x"});
        }
    }
    std::string explain() { return h.explain("t/q"); }
    std::string explain(offset_t offset) { return h.explain("t/q", offset); }
    // While whatever else is read stays under way.
    std::string explain_beside_reads(offset_t offset) {
        const auto id = h.send(h.admin, codec::queue_explain{"t/q", true, offset});
        for (int reads = 0; reads < 5; ++reads) {
            if (const auto answer = h.answer_to(h.admin, id)) {
                return std::get<codec::explained>(answer->body).sentence;
            }
            const fetch newest = h.out.fetches.back();
            h.out.fetches.pop_back();
            h.apply(fetched{newest.id, h.store.read(newest.body)});
        }
        return "no answer";
    }

    harness h;
    queue_id q;
};

struct keyed_scene : scene {
    explicit keyed_scene(queue_settings settings = slow_retries)
        : scene(settings, queue_mode::keyed) {}
};

struct single_scene : scene {
    explicit single_scene(queue_settings settings = slow_retries)
        : scene(settings, queue_mode::single) {}
};

// A backlog that memory has not any more.
struct backlog_scene : scene {
    explicit backlog_scene(queue_mode mode = queue_mode::shared)
        : scene(slow_retries, mode, {.cache_bytes_max = 0, .read_ahead_bytes = 1}) {}
};

// Of three messages of each of twenty keys the first was given out, and more waits than is kept.
struct keyed_backlog_scene : backlog_scene {
    keyed_backlog_scene() : backlog_scene(queue_mode::keyed) {
        for (int i = 0; i < 60; ++i) {
            publish_keys({std::to_string(i % 20)});
        }
        one = attach();
        got = h.deliveries(one);
    }
    connection_id one;
    std::vector<received> got;
};

// Message 0 is to be given out alone, to two@host:2, which holds message 1.
struct alone_scene : scene {
    explicit alone_scene(queue_mode mode = queue_mode::shared) : scene(quick_retries, mode) {
        const auto lost = attach("one@host:1", 1);
        publish_keys({"a"});
        attach("two@host:2");
        publish_keys({"b"});
        h.close(lost);
        h.pass(1ms);
    }
};

// The queue t/q of a topic with two levels of priority: a low message, a high one, a low one, a
// high one, which are read when dispatch asks for them.
struct levels_scene {
    explicit levels_scene(queue_settings settings = slow_retries)
        : h({.cache_bytes_max = 0, .read_ahead_bytes = 1}) {
        h.ask<codec::topic_created>(
            h.admin, codec::topic_create{.topic = "t", .settings = {.priorities = 2}});
        h.make_queue("t/q", settings);
        for (const bool urgent : {false, true, false, true}) {
            h.publish_keyed("t", {{.priority = std::uint8_t{urgent}}});
        }
    }
    harness h;
};

}  // namespace brokerd::domain::test
