// Requests and replies of the simulated clients, and a model of what has to come of them: each
// request has one outcome, the right one, at once or at its deadline; who serves gets no more than
// it may; nothing is left. It has random numbers of its own, so that the rest of a run is the same
// with and without it. Single thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/base/random.hpp"
#include "broker/domain/command.hpp"
#include "broker/domain/effects.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::sim {

class service_clients {
public:
    using noter = std::function<void(std::string_view what, std::uint64_t number)>;

    service_clients(std::uint64_t seed, noter note);

    [[nodiscard]] bool wants_step() { return random_.chance(1, 3); }
    [[nodiscard]] std::uint64_t any(std::uint64_t below) { return random_.below(below); }
    // What this client asks now, under this request number, which is larger than all before.
    [[nodiscard]] domain::request_body step(connection_id who, std::uint64_t request, instant now);

    // Before the domain hears of it.
    void connection_closed(connection_id which);
    // A crash: nothing of it is left.
    void restarted();
    // An output of the domain, in order. Throws violation.
    void observe(const domain::output& what, instant now);
    // Behind a tick of the domain. Throws violation.
    void turn_ended(instant now);

private:
    using responder_key = std::pair<connection_id, std::uint32_t>;
    struct open_responder {
        std::string service;
        std::uint32_t prefetch = 1;
        bool leaving = false;
        std::map<request_token, std::uint64_t> in_progress;  // request numbers
    };
    struct open_request {
        connection_id asker;
        std::string service;
        mono_time deadline{};
        bool asker_gone = false;
        bool responder_gone = false;  // told in this very turn
        std::optional<responder_key> with;
        request_token token;
        bool replied = false;
        bool failed = false;
        std::uint64_t reply = 0;  // its content
    };
    struct load {
        std::size_t least = 0;  // without those whose time is over and whose asker has gone
        std::size_t most = 0;
    };

    [[nodiscard]] domain::request_body serve(connection_id who);
    [[nodiscard]] domain::request_body leave(responder_key which, std::uint64_t request);
    [[nodiscard]] domain::request_body ask(connection_id who, std::uint64_t request, instant now);
    [[nodiscard]] domain::request_body reply(connection_id who);
    [[nodiscard]] std::string any_service() { return random_.chance(2, 3) ? "s" : "t"; }
    [[nodiscard]] std::vector<responder_key> responders_of(connection_id who) const;
    // In progress with this connection.
    [[nodiscard]] std::vector<request_token> tokens_of(connection_id who) const;
    [[nodiscard]] bool has_responder(const std::string& service) const;
    [[nodiscard]] load load_of(const open_responder& one, instant now) const;
    [[nodiscard]] bool waits(const open_request& one) const {
        return !one.with && !one.responder_gone;
    }

    void end_responder(responder_key which);
    void take_off(const open_request& ended);
    void observe_push(connection_id to, const domain::request_push& push, instant now);
    void check_turn(responder_key to, const open_request& given, instant now) const;
    void observe_reply(const domain::output& what, const domain::reply_result& got);
    void observe_error(const domain::output& what, const codec::error& why, instant now);
    void observe_ok(std::uint64_t request, instant now);
    void observe_list(const codec::services& list, instant now) const;
    open_request take_answered(const domain::output& what);

    base::random random_;
    noter note_;
    std::map<responder_key, open_responder> responders_;
    std::map<std::uint64_t, open_request> open_;      // by number
    std::map<std::uint64_t, responder_key> leaving_;  // unserves that are not answered
    std::set<std::uint64_t> lists_;                   // not answered
    std::set<std::uint64_t> answered_;                // requests that had their answer
    std::vector<request_token> tokens_;               // ever given
    std::uint32_t next_responder_ = 1;
};

}  // namespace brokerd::sim
