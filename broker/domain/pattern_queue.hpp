// A pattern queue: the rule, the queues that are its own at the moment, and who is attached to all
// of them. Owner: the engine strand.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "broker/domain/mutation.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

class queue;
class consumer_group;

struct pattern_queue {
    pattern_put rule;
    commit_number changed;                // of creation and settings
    std::map<queue_id, queue*> queues;    // of its name and mode, in topics it means
    std::vector<consumer_group*> groups;  // in order of attachment

    [[nodiscard]] std::string path() const { return rule.topics + "/" + rule.queue; }
};

}  // namespace brokerd::domain
