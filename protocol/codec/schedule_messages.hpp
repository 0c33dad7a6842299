// The protocol's messages about what is scheduled: list and cancel. Same rules as messages.hpp.
// Pure; no thread affinity.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "protocol/codec/messages.hpp"

namespace brokerd::codec {

struct schedule_list {
    static constexpr frame_type type = frame_type::schedule_list;
    static constexpr const char* doc =
        "Lists what is scheduled for a topic in order of due time, then id. Answered by schedules.";
    std::string topic{};
    wall_time after_due{};
    std::uint64_t after_id = 0;
    std::uint32_t limit = limits::schedules_page_max;
    bool operator==(const schedule_list&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"topic", &schedule_list::topic, ""},
            field{"after_due", &schedule_list::after_due,
                  "start behind the schedule with this due time and id; 0 and 0: at the first"},
            field{"after_id", &schedule_list::after_id, ""},
            field{"limit", &schedule_list::limit, "most items wanted"}};
    }
};

struct schedule_item {
    std::uint64_t id = 0;
    wall_time due{};
    std::uint32_t messages = 0;
    std::uint64_t bytes = 0;
    std::string key{};
    bool operator==(const schedule_item&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"id", &schedule_item::id, "unique in its topic, never reused"},
                          field{"due", &schedule_item::due, "when it is appended to the topic"},
                          field{"messages", &schedule_item::messages, "in its batch"},
                          field{"bytes", &schedule_item::bytes, "of its batch"},
                          field{"key", &schedule_item::key, "of its first message; empty = none"}};
    }
};

struct schedules {
    static constexpr frame_type type = frame_type::schedules;
    static constexpr const char* doc = "A page of what is scheduled.";
    bool more = false;
    std::vector<schedule_item> items{};
    bool operator==(const schedules&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{
                "more", &schedules::more,
                "there are further ones, also if the page is not full; go on behind the last item"},
            field{"items", &schedules::items, ""}};
    }
};

struct schedule_cancel {
    static constexpr frame_type type = frame_type::schedule_cancel;
    static constexpr const char* doc =
        "Cancels schedules of a topic; those that were appended or cancelled are passed over. "
        "Answered by counted: how many schedules were cancelled.";
    std::string topic{};
    std::vector<std::uint64_t> ids{};
    bool operator==(const schedule_cancel&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &schedule_cancel::topic, ""},
                          field{"ids", &schedule_cancel::ids, "1 to 1,000 of them"}};
    }
};

}  // namespace brokerd::codec
