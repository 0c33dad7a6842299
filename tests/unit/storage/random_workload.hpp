// Random but valid commits, as the domain could produce them: the same seed gives the same ones.
// Knows what it wrote only as far as it needs to stay valid; the model to compare with is the
// memory store.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "broker/base/random.hpp"
#include "broker/domain/mutation.hpp"
#include "broker/storage/store.hpp"

namespace brokerd::test {

// Those that it puts.
inline const std::vector<std::string> some_message_ids{"a", "b", "c", "an id", "another one"};

class random_workload {
public:
    explicit random_workload(std::uint64_t seed, std::size_t payload_bytes_max = 2000)
        : random_(seed), payload_bytes_max_(payload_bytes_max) {}

    // The next commit: never empty.
    [[nodiscard]] std::vector<domain::mutation> next();

private:
    struct exception_facts {
        wall_time due = wall_never;
        bool kept = false;
    };
    struct queue_facts {
        queue_id id;
        std::uint64_t number = 0;
        std::uint64_t snapshot = 0;
        offset_t floor = 0;
        std::map<offset_t, exception_facts> exceptions;
    };
    struct schedule_facts {
        wall_time due{};
        std::uint64_t messages = 0;
        std::uint64_t bytes = 0;
    };
    struct expiry_facts {
        wall_time at{};
        std::uint32_t messages = 0;
    };
    struct topic_facts {
        topic_id id;
        std::uint8_t lanes = 1;
        offset_t trim = 0;
        offset_t next = 0;
        std::vector<queue_facts> queues;
        std::map<std::uint64_t, std::uint32_t> producers;  // slots
        std::map<std::uint64_t, schedule_facts> schedules;
        domain::schedule_totals scheduled;
        std::map<offset_t, expiry_facts> expiring;  // by last offset
        std::vector<domain::log_mark> marks;
    };

    void add_one(std::vector<domain::mutation>& batch);
    void create_topic(std::vector<domain::mutation>& batch);
    void create_queue(topic_facts& topic, std::vector<domain::mutation>& batch);
    void append(topic_facts& topic, std::vector<domain::mutation>& batch);
    void look_at_expiring(topic_facts& topic, std::vector<domain::mutation>& batch);
    void settle(topic_facts& topic, queue_facts& queue, std::vector<domain::mutation>& batch);
    void fail_some(topic_facts& topic, queue_facts& queue, std::vector<domain::mutation>& batch);
    void end_exception(topic_facts& topic, queue_facts& queue,
                       std::vector<domain::mutation>& batch);
    void trim(topic_facts& topic, std::vector<domain::mutation>& batch);
    void produce(topic_facts& topic, std::vector<domain::mutation>& batch);
    void schedule(topic_facts& topic, std::vector<domain::mutation>& batch);
    void remove(std::vector<domain::mutation>& batch);

    base::random random_;
    std::size_t payload_bytes_max_;
    std::vector<topic_facts> topics_;
    std::uint64_t next_id_ = 1;
    std::int64_t clock_us_ = 0;
    std::uint32_t epoch_ = 0;
};

// Fails the test where the two stores answer differently: the state, and every read of every topic
// and queue in it.
void expect_same_content(storage::store& left, storage::store& right);

}  // namespace brokerd::test
