// What the database says about itself and its topics, read at start.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "broker/domain/broker_state.hpp"
#include "broker/storage/rocks_handles.hpp"
#include "broker/storage/topic_table.hpp"
#include "broker/storage/values.hpp"
#include "protocol/types/error.hpp"

namespace brokerd::storage {

// Of the shard as a whole.
struct shard_facts {
    identity_value identity;  // empty database id: the database is new
    commit_value commit;
    broker_epoch epoch;
    std::uint64_t next_id = 1;
    domain::retry_clock retry_clock;
};
[[nodiscard]] outcome<shard_facts> read_shard_facts(const rocks_database& database);

// Fills the topic table with trim points and ends; costs one seek per topic, and one for each
// further of its lanes that has chunks. Returns the topics
// that were removed but may still have chunks in the log.
[[nodiscard]] outcome<std::vector<topic_id>> read_topics(const rocks_database& database,
                                                         topic_table& topics);

// The state as the domain wants it; see loaded_state for the order.
[[nodiscard]] outcome<domain::loaded_state> read_state(const rocks_database& database,
                                                       const topic_table& topics);

// Bytes of the log on disk in tables for ranges of its keys; with `memtables` also those not
// flushed yet. An estimate.
[[nodiscard]] std::uint64_t log_bytes(const rocks_database& database,
                                      std::span<const rocksdb::Range> ranges, bool memtables);

}  // namespace brokerd::storage
