// Leases end in many ways: settled over this or another connection, expired, detached, taken away
// by a seek or with the queue. So nobody counts; the consumers are looked at, at the end of each
// turn while a shut-down goes on.
#include "broker/domain/drain.hpp"

#include <algorithm>

#include "broker/domain/operations.hpp"

namespace brokerd::domain {
namespace {

bool holds_leases(const connection& one) {
    return std::ranges::any_of(one.consumers,
                               [](const auto& each) { return each.second->leased > 0; }) ||
           std::ranges::any_of(one.groups, [](const auto& each) {
               return each.second->room.leased > each.second->room.ended;
           });
}

}  // namespace

void drain_connection(core& c, turn& t, const connection_draining& what) {
    connection* one = c.find_connection(what.connection);
    if (one == nullptr) {
        return;  // it has left
    }
    one->draining = true;
    for (const auto& [id, each] : one->consumers) {
        each->own.prefetch_messages = 0;
    }
    for (const auto& [id, each] : one->groups) {
        each->room.prefetch_messages = 0;
        each->wanted_messages = 0;
    }
    drain_services(c, t, what.connection);
    c.draining.push_back(what.connection);
}

void answer_draining(core& c, turn& t) {
    std::erase_if(c.draining, [&](connection_id id) {
        const connection* one = c.find_connection(id);
        if (one == nullptr) {
            return true;  // it has left
        }
        if (holds_leases(*one) || c.services.holds_requests(id)) {
            return false;
        }
        c.answer(t, {id, 0}, {}, holds_nothing{});
        return true;
    });
}

}  // namespace brokerd::domain
