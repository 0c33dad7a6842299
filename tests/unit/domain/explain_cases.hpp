// The cases of explain_test: of each sentence that explain has, how to come to it and what is said.
#pragma once

#include <ostream>
#include <span>
#include <string>

namespace brokerd::domain::test {

struct explain_case {
    const char* name;
    std::string (*said)();
    std::string sentence;
};

inline void PrintTo(const explain_case& each, std::ostream* out) {
    *out << each.name;
}

using explain_cases = std::span<const explain_case>;

// explain_queue_cases.cpp: of a queue, and why it gives out nothing at all.
explain_cases cases_of_queues();
explain_cases cases_of_standstill();
// explain_order_cases.cpp: why something else is given out.
explain_cases cases_of_keys();
explain_cases cases_of_order();
explain_cases cases_of_levels();
// explain_message_cases.cpp: of the state of a message.
explain_cases cases_of_states();

}  // namespace brokerd::domain::test
