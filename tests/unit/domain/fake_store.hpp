// A store in maps. Owner: the test; what it holds is there to be looked at and changed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "broker/domain/broker_state.hpp"

namespace brokerd::domain::test {

// Checks that what it is told fits what it holds.
class fake_store {
public:
    void apply(commit_number number, const std::vector<mutation>& batch);
    [[nodiscard]] fetch_result read(const fetch_body& what) const;
    [[nodiscard]] loaded_state load() const;

    struct kept_record {
        wall_time append_time{};
        std::string record;
    };
    using place = std::pair<queue_id, offset_t>;

    std::vector<mutation> history;                          // of topics and queues
    std::map<topic_id, std::map<offset_t, chunk_ptr>> log;  // last offset -> chunk
    std::map<topic_id, offset_t> next_offset;
    std::map<topic_id, offset_t> trim;
    std::map<place, exception_state> exceptions;
    std::map<place, kept_record> kept;
    std::map<std::tuple<topic_id, queue_id, producer_id, std::uint32_t>, producer_put> producers;
    std::map<topic_id, std::map<schedule_key, scheduled_batch>> schedules;
    std::map<topic_id, schedule_totals> totals;
    std::map<topic_id, std::map<std::pair<wall_time, offset_t>, std::uint32_t>> expiring;
    std::map<topic_id, expiry_watched> watched;
    std::map<topic_id, std::map<std::string, message_id_entry>> message_ids;
    std::map<topic_id, message_ids_forgotten> forgotten_ids;
    std::map<topic_id, log_marked> marks;
    std::map<topic_id, messages_dropped> dropped;
    broker_epoch epoch;
    commit_number last_commit;
    std::uint64_t next_id = 1;
    wall_time retry_clock{};
    bool failing = false;   // every read fails
    bool log_lost = false;  // reads of the log find nothing

private:
    [[nodiscard]] fetch_result read_log(const fetch_log& what) const;
    [[nodiscard]] fetch_result read_exceptions(const fetch_exceptions& what) const;
    [[nodiscard]] fetch_result read_due(const fetch_due& what) const;
    [[nodiscard]] fetch_result read_schedules(const fetch_schedules& what) const;
    [[nodiscard]] fetch_result find(const find_schedules& what) const;
    [[nodiscard]] fetch_result read_expiring(const fetch_expiring& what) const;
    // Bytes of batches behind the last mark.
    [[nodiscard]] std::uint64_t unmarked(topic_id topic) const;
    // The totals are those of what is there.
    void check_totals() const;
    [[nodiscard]] const chunk_ptr* chunk_with(topic_id topic, offset_t offset) const;
};

}  // namespace brokerd::domain::test
