// The protocol's messages for requests and replies: services, their responders and requesters. Same
// rules as messages.hpp. Pure; no thread affinity.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "protocol/codec/messages.hpp"

namespace brokerd::codec {

struct serve {
    static constexpr frame_type type = frame_type::serve;
    static constexpr const char* doc =
        "Attaches a responder to a service, which exists while it has one. Answered by ok.";
    std::string service{};
    responder_id responder{};
    std::uint32_t prefetch = 1;
    bool operator==(const serve&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"service", &serve::service, "name of the service; the form of a topic name"},
            field{"responder", &serve::responder, "chosen by the client, unique on its connection"},
            field{"prefetch", &serve::prefetch, "most requests in progress at once, at least 1"}};
    }
};

struct unserve {
    static constexpr frame_type type = frame_type::unserve;
    static constexpr const char* doc =
        "The responder gets no more requests, and ends once none is in progress any more. Answered "
        "by ok when it has ended.";
    responder_id responder{};
    bool at_once = false;
    bool operator==(const unserve&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"responder", &unserve::responder, "the responder"},
                          field{"at_once", &unserve::at_once,
                                "do not wait: requests in progress end with responder_gone"}};
    }
};

struct service_request {
    static constexpr frame_type type = frame_type::service_request;
    static constexpr const char* doc =
        "Asks a service. Answered by replied, or by error; at latest when the time is over.";
    std::string service{};
    duration_us timeout{0};
    rest_bytes record{};
    bool operator==(const service_request&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"service", &service_request::service, "name of the service"},
                          field{"timeout", &service_request::timeout,
                                "how long to wait for the reply, from its arrival at the broker"},
                          field{"record", &service_request::record, "one record: the request"}};
    }
};

struct requested {
    static constexpr frame_type type = frame_type::requested;
    static constexpr const char* doc =
        "Pushed: a request for a responder, to be answered with a reply.";
    responder_id responder{};
    request_token token{};
    std::string service{};
    std::string requester{};
    duration_us remaining{0};
    rest_bytes record{};
    bool operator==(const requested&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"responder", &requested::responder, "the responder it is for"},
            field{"token", &requested::token, "names the request in its reply"},
            field{"service", &requested::service, "name of the service"},
            field{"requester", &requested::requester, "client name of who asks"},
            field{"remaining", &requested::remaining, "time left until nobody waits any more"},
            field{"record", &requested::record, "one record: the request, as it was sent"}};
    }
};

struct reply {
    static constexpr frame_type type = frame_type::reply;
    static constexpr const char* doc =
        "Answers a request, over the connection it was pushed to. Not answered, but by error if it "
        "is not acceptable: then the requester gets request_failed. Dropped if the request is "
        "over.";
    request_token token{};
    bool failed = false;
    std::string text{};
    rest_bytes record{};
    bool operator==(const reply&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"token", &reply::token, "of the request"},
            field{"failed", &reply::failed, "the requester gets request_failed with this text"},
            field{"text", &reply::text, "with failed: why, at most 256 bytes; else empty"},
            field{"record", &reply::record, "one record: the reply; with failed nothing"}};
    }
};

struct replied {
    static constexpr frame_type type = frame_type::replied;
    static constexpr const char* doc = "Answers a service_request.";
    std::string responder{};
    rest_bytes record{};
    bool operator==(const replied&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"responder", &replied::responder, "client name of who replied"},
            field{"record", &replied::record, "one record: the reply, as it was sent"}};
    }
};

struct service_list {
    static constexpr frame_type type = frame_type::service_list;
    static constexpr const char* doc = "Lists services in order of name. Answered by services.";
    std::string after{};
    std::uint32_t limit = limits::services_page_max;
    bool operator==(const service_list&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"after", &service_list::after, "start behind this name"},
                          field{"limit", &service_list::limit, "most items wanted"}};
    }
};

struct service_item {
    std::string service{};
    std::uint32_t responders = 0;
    std::uint64_t in_progress = 0;
    std::uint64_t waiting = 0;
    std::uint64_t answered = 0;
    std::uint64_t failed = 0;
    bool operator==(const service_item&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"service", &service_item::service, "name of the service"},
            field{"responders", &service_item::responders, "attached"},
            field{"in_progress", &service_item::in_progress, "requests with a responder"},
            field{"waiting", &service_item::waiting, "requests that wait for one with room"},
            field{"answered", &service_item::answered, "since the service exists"},
            field{"failed", &service_item::failed,
                  "likewise: answered with a failure, by nobody in time, or by nobody"}};
    }
};

struct services {
    static constexpr frame_type type = frame_type::services;
    static constexpr const char* doc = "A page of services.";
    bool more = false;
    std::vector<service_item> items{};
    bool operator==(const services&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"more", &services::more, "there are further ones"},
                          field{"items", &services::items, ""}};
    }
};

}  // namespace brokerd::codec
