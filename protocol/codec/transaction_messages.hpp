// The protocol's messages for transactions. Same rules as messages.hpp. Pure; no thread affinity.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "protocol/codec/messages.hpp"

namespace brokerd::codec {

struct transact_publish {
    std::string topic{};
    bool scheduled = false;
    wall_time due{};
    duration_us delay{0};
    bytes_field batch{};
    bool operator==(const transact_publish&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"topic", &transact_publish::topic, "name of the topic"},
            field{"scheduled", &transact_publish::scheduled,
                  "append the batch later, as schedule does"},
            field{"due", &transact_publish::due, "with scheduled: as in schedule; else 0"},
            field{"delay", &transact_publish::delay, "with scheduled: as in schedule; else 0"},
            field{"batch", &transact_publish::batch, "one record batch without a producer"}};
    }
};

struct transact_settle {
    queue_id queue{};
    settle_action action = settle_action::ack;
    duration_us delay{-1};
    std::string reason{};
    std::vector<lease_run> runs{};
    bool operator==(const transact_settle&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"queue", &transact_settle::queue, "identity of the queue, from attached"},
            field{"action", &transact_settle::action, "1 ack, 2 nack, 3 reject"},
            field{"delay", &transact_settle::delay,
                  "nack: until the retry, -1 = the queue's back-off; else -1"},
            field{"reason", &transact_settle::reason, "nack and reject: kept in the history"},
            field{"runs", &transact_settle::runs, "the leases; all of them must be held"}};
    }
};

struct transact {
    static constexpr frame_type type = frame_type::transact;
    static constexpr const char* doc =
        "Publishes, schedules and settles over any topics and queues, all of them or nothing. "
        "Takes as many sequences as it has publishes, at least one. Answered by transacted once "
        "all of it is durable, or by error: then nothing of it was done.";
    producer_id producer{};
    std::uint64_t first_sequence = 0;
    std::vector<transact_publish> publishes{};
    std::vector<transact_settle> settles{};
    bool operator==(const transact&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"producer", &transact::producer,
                  "whose sequences these are; not 0; transactions have sequences of their own"},
            field{"first_sequence", &transact::first_sequence,
                  "ascending per producer, from 1; a resend repeats the whole frame"},
            field{"publishes", &transact::publishes, "in this order"},
            field{"settles", &transact::settles, "carried out before the publishes"}};
    }
};

struct transacted_item {
    offset_t base_offset = 0;
    bool operator==(const transacted_item&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"base_offset", &transacted_item::base_offset,
                                "offset of the first message; of what is scheduled: the id"}};
    }
};

struct transacted {
    static constexpr frame_type type = frame_type::transacted;
    static constexpr const char* doc = "Answers a transact.";
    bool duplicate = false;
    std::vector<transacted_item> publishes{};
    bool operator==(const transacted&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"duplicate", &transacted::duplicate, "a resend: this was the first outcome"},
            field{"publishes", &transacted::publishes, "one for each publish, in its order"}};
    }
};

}  // namespace brokerd::codec
