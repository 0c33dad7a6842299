// Services, their responders and the requests without a reply, as far as they exist: in memory
// only. What follows from a change (who is told what) is decided by services.cpp. Owner: the engine
// strand.
//
// Invariants (check() holds them)
//   * a service exists while it has a responder; a request waits only where one may still take it;
//   * a request either waits or is in progress with one responder, never with two;
//   * nothing waits while a responder of its service has room;
//   * what nobody is attached for and nobody asks for leaves nothing behind.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "protocol/types/bytes.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

struct service;

// One attachment of a connection to a service.
struct responder {
    connection_id connection;
    responder_id id;
    std::string name;  // name@host:pid of its connection
    service* of = nullptr;
    std::uint32_t prefetch = 1;
    std::set<request_token> in_progress{};
    std::size_t bytes = 0;                           // of their records
    std::uint64_t used = 0;                          // when it last began or ended one; ascending
    bool leaving = false;                            // gets nothing new
    std::optional<std::uint64_t> unserve_request{};  // answered when nothing is in progress

    [[nodiscard]] bool has_room() const;
};

struct service {
    // Who is next: fewest in progress, then longest idle.
    struct turn_key {
        std::size_t in_progress = 0;
        std::uint64_t used = 0;
        auto operator<=>(const turn_key&) const = default;
    };

    std::string name;
    std::set<responder*> responders{};  // only to count and find; never iterated for an order
    std::size_t staying = 0;            // responders that are not leaving
    std::map<turn_key, responder*> with_room{};
    std::set<request_token> waiting{};  // in the order they came
    std::size_t waiting_bytes = 0;
    std::size_t in_progress = 0;
    std::uint64_t answered = 0;
    std::uint64_t failed = 0;
};

struct open_request {
    connection_id connection;  // who asked
    std::uint64_t request = 0;
    bool asker_gone = false;
    service* of = nullptr;
    responder* with = nullptr;  // null: it waits
    mono_time deadline{};
    std::size_t bytes = 0;  // of its record
    shared_bytes record{};  // while it waits
};

class service_table {
public:
    // ---- finding; null: there is none ----
    [[nodiscard]] service* find(std::string_view name);
    [[nodiscard]] responder* find_responder(connection_id of, responder_id id);
    [[nodiscard]] open_request* find_request(request_token token);
    [[nodiscard]] std::size_t responders_of(connection_id of) const;
    // Of all responders of a connection together.
    [[nodiscard]] std::uint64_t prefetch_of(connection_id of) const;
    // Of a connection, ascending.
    [[nodiscard]] std::vector<responder*> all_responders(connection_id of);
    [[nodiscard]] std::vector<request_token> all_requests(connection_id of) const;
    [[nodiscard]] bool holds_requests(connection_id of) const;
    // Services behind a name, in order.
    [[nodiscard]] const std::map<std::string, std::unique_ptr<service>, std::less<>>& all() const {
        return services_;
    }
    [[nodiscard]] std::size_t waiting_bytes() const { return waiting_bytes_; }

    // ---- responders ----
    responder& add_responder(responder fresh, const std::string& service_name);
    void stop_giving(responder& to);
    // Nothing is in progress with it. The last one takes its service along, where nothing waits.
    void remove_responder(responder& gone);

    // ---- requests ----
    request_token add_waiting(open_request fresh);
    request_token add_in_progress(open_request fresh, responder& with);
    // The first that waits and who shall have it; none: nobody has room, or nothing waits.
    [[nodiscard]] std::optional<std::pair<request_token, responder*>> next_match(service& of) const;
    [[nodiscard]] responder* next_with_room(const service& of) const;
    // A waiting request goes to a responder; returns its record.
    [[nodiscard]] shared_bytes hand_out(request_token token, responder& to);
    void forget_asker(request_token token);
    // It is over, whatever became of it: its responder has room again. Returns what it was.
    open_request end(request_token token);

    // ---- time ----
    [[nodiscard]] mono_time next_deadline() const {
        return deadlines_.empty() ? mono_never : deadlines_.begin()->first;
    }
    [[nodiscard]] std::optional<request_token> next_overdue(mono_time now) const;

    // The first invariant that does not hold.
    [[nodiscard]] std::optional<std::string> check() const;

private:
    // What a connection has here; gone with its last part.
    struct member {
        std::map<responder_id, std::unique_ptr<responder>> responders;
        std::set<request_token> requests;
        std::uint64_t prefetch = 0;  // of its responders together
    };

    request_token add(open_request fresh);
    void begin(request_token token, open_request& what, responder& with);
    // Around every change of what its turn depends on.
    void leave_turn(responder& of);
    void enter_turn(responder& of);
    void drop_if_empty(connection_id of);
    [[nodiscard]] std::optional<std::string> check_service(const service& of) const;
    [[nodiscard]] std::optional<std::string> check_requests() const;
    [[nodiscard]] std::optional<std::string> check_members() const;

    std::map<std::string, std::unique_ptr<service>, std::less<>> services_;
    std::map<connection_id, member> members_;
    std::unordered_map<request_token, open_request> requests_;
    std::set<std::pair<mono_time, request_token>> deadlines_;
    std::size_t waiting_bytes_ = 0;  // of all services
    std::uint64_t last_token_ = 0;
    std::uint64_t last_use_ = 0;
};

}  // namespace brokerd::domain
