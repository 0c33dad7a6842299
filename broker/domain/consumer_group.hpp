// One attachment of a connection to a pattern queue: a consumer of each of its queues, which have
// one room together. A queue whose consumer finds no room stands in line, and is dispatched when
// room comes; each takes a small part and queues up again. Owner: the engine strand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/domain/consumer.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::domain {

struct pattern_queue;
struct pending_attach;  // attach_pattern.cpp

class consumer_group {
public:
    // `looked_at`: the groups that dispatch has to look at.
    explicit consumer_group(std::vector<consumer_group*>& looked_at) : looked_at_(looked_at) {}

    connection_id connection;
    consumer_id id;
    std::string name;
    pattern_queue* of = nullptr;
    consumer_room room;
    std::map<queue_id, std::unique_ptr<consumer>> members;
    // The latest commit whose sync one of its answers and pushes waits for, or did.
    commit_number told;
    // While leases of before are being taken up: until the attach is answered nothing is given out,
    // and the prefetch it asked for stays here.
    std::shared_ptr<pending_attach> attaching;
    std::uint32_t wanted_messages = 0;

    // ---- the line ----

    // The member finds no room, or has had its part.
    void stand_in_line(consumer& one);
    // The next one that may take something; nullptr: there is none, or no room.
    [[nodiscard]] consumer* take_first();
    // Nobody else is given anything until this one is: it needs more room than is left. A message
    // that must be alone waits until nothing is held, a large one until it fits.
    void claim(consumer& one, bool until_alone);
    void end_claim(const consumer& one);
    [[nodiscard]] const consumer* claimed_by() const { return claimed_by_; }
    [[nodiscard]] bool until_alone() const { return claimed_by_ != nullptr && until_alone_; }
    // Its queue is dispatched, and claims again if it must; who asks notes the group if it did not.
    void suspend_claim() { set_claim(nullptr, false); }
    // There is more room, or may be: dispatch looks at the line.
    void note();
    // The member leaves; all of them do.
    void forget(consumer& one);
    void disband();

    bool noted = false;  // in the list of those

    [[nodiscard]] bool somebody_waits() const { return !line_.empty(); }
    [[nodiscard]] std::size_t waiting() const { return line_.size(); }

private:
    void set_claim(consumer* one, bool until_alone);

    std::vector<consumer_group*>& looked_at_;
    std::list<consumer*> line_;
    consumer* claimed_by_ = nullptr;
    bool until_alone_ = false;
};

inline bool consumer::held_up() const {
    return group != nullptr && group->claimed_by() != nullptr && group->claimed_by() != this;
}

}  // namespace brokerd::domain
