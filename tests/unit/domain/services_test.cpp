// Requests and replies: who gets a request, what whoever asked is told, and that nothing is left.
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "protocol/codec/record.hpp"
#include "protocol/types/limits.hpp"
#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

shared_bytes record_of(const std::string& payload) {
    byte_buffer bytes;
    codec::encode_record(bytes, {.payload = as_bytes(payload)});
    return copy_bytes(bytes);
}

std::string payload_of(const shared_bytes& record) {
    const auto parsed = codec::check_record(record.view);
    EXPECT_TRUE(parsed) << parsed.error().text;
    return parsed ? std::string(as_text(parsed->payload)) : std::string();
}

struct services_test : testing::Test {
    void SetUp() override {
        asker = h.connect("asker@host:1");
        one = h.connect("one@host:2");
        two = h.connect("two@host:3");
    }
    void TearDown() override {
        for (const auto each : {asker, one, two}) {
            h.close(each);
        }
        EXPECT_THAT(list(), IsEmpty()) << "nobody is attached";
        EXPECT_EQ(h.state.next_deadline(), quiet_deadline) << "no request is open";
        EXPECT_TRUE(h.out.mutations.empty());
        EXPECT_EQ(h.gathering, commit_before) << "nothing of this is durable";
    }

    void serve(connection_id from, std::uint32_t prefetch = 1, std::uint32_t id = 1,
               const std::string& service = "prices") {
        h.ask<codec::ok>(from, codec::serve{service, responder_id{id}, prefetch});
    }
    std::uint32_t ask(const std::string& payload, duration_us timeout = 10s,
                      const std::string& service = "prices") {
        return h.send(asker, service_request{service, h.now.mono + timeout, record_of(payload)});
    }
    // Requests pushed to a connection since the last call.
    std::vector<request_push> pushes(connection_id to) {
        std::vector<request_push> found;
        std::erase_if(h.outputs, [&](output& each) {
            auto* push = std::get_if<request_push>(&each.body);
            if (each.connection != to || push == nullptr) {
                return false;
            }
            EXPECT_EQ(each.request, 0U);
            EXPECT_EQ(each.depends_on, commit_number{});
            found.push_back(std::move(*push));
            return true;
        });
        return found;
    }
    std::vector<std::string> payloads(connection_id to) {
        std::vector<std::string> found;
        for (const auto& push : pushes(to)) {
            found.push_back(payload_of(push.record));
        }
        return found;
    }
    void reply(connection_id from, request_token token, const std::string& payload) {
        h.send(from, service_reply{.token = token, .record = record_of(payload)});
    }
    // What came of a request, if anything did: "PAYLOAD by NAME" or the name of the error.
    std::string outcome(std::uint32_t request) {
        const auto answer = h.answer_to(asker, request);
        if (!answer) {
            return "nothing";
        }
        EXPECT_EQ(answer->depends_on, commit_number{});
        if (const auto* result = std::get_if<reply_result>(&answer->body)) {
            return payload_of(result->record) + " by " + result->message.responder;
        }
        const auto& refused = std::get<codec::error>(answer->body);
        text = refused.text;
        return std::string(describe(refused.code).name);
    }
    std::vector<std::string> list() {
        std::vector<std::string> found;
        for (const auto& each : h.ask<codec::services>(h.admin, codec::service_list{}).items) {
            found.push_back(
                fmt::format("{}: {} responders, {} in progress, {} waiting, {} "
                            "answered, {} failed",
                            each.service, each.responders, each.in_progress, each.waiting,
                            each.answered, each.failed));
        }
        return found;
    }

    harness h;
    commit_number commit_before = h.gathering;
    mono_time quiet_deadline = h.state.next_deadline();
    connection_id asker;
    connection_id one;
    connection_id two;
    std::string text;
};

// Promise: service.one_answer
TEST_F(services_test, a_request_reaches_the_responder_and_its_reply_whoever_asked) {
    serve(one);
    const auto request = ask("apples?", 7s);
    const auto got = pushes(one);
    ASSERT_THAT(got, SizeIs(1));
    EXPECT_EQ(got[0].message.service, "prices");
    EXPECT_EQ(got[0].message.requester, "asker@host:1");
    EXPECT_EQ(got[0].message.responder, responder_id{1});
    EXPECT_EQ(got[0].deadline, h.now.mono + 7s);
    EXPECT_EQ(payload_of(got[0].record), "apples?");
    EXPECT_THAT(
        list(),
        ElementsAre("prices: 1 responders, 1 in progress, 0 waiting, 0 answered, 0 failed"));
    reply(one, got[0].message.token, "42");
    EXPECT_EQ(outcome(request), "42 by one@host:2");
    EXPECT_THAT(
        list(),
        ElementsAre("prices: 1 responders, 0 in progress, 0 waiting, 1 answered, 0 failed"));
    EXPECT_EQ(h.state.counters().requests, 1U);
    EXPECT_EQ(h.state.counters().replied_requests, 1U);
}

// Promise: service.at_once
TEST_F(services_test, where_nobody_answers_that_is_said_at_once) {
    EXPECT_EQ(outcome(ask("a")), "no_responder");
    EXPECT_THAT(text, HasSubstr("service prices"));
    EXPECT_TRUE(describe(error_code::no_responder).retryable);
    EXPECT_EQ(outcome(ask("a", 1s, "no..name")), "invalid_name");
    EXPECT_EQ(outcome(ask(std::string(limits::message_bytes_default, 'x'))), "message_too_large");
    EXPECT_EQ(h.state.counters().refused_requests, 3U);
}

// Promise: service.share
TEST_F(services_test, fewest_in_progress_first_then_the_longest_idle) {
    serve(one, 10);
    serve(two, 10);
    ask("a");
    ask("b");
    const auto first = pushes(one);
    const auto second = pushes(two);
    ASSERT_THAT(first, SizeIs(1));
    ASSERT_THAT(second, SizeIs(1));
    reply(two, second[0].message.token, "done");
    ask("c");
    EXPECT_THAT(payloads(two), ElementsAre("c")) << "it has fewer in progress";
    reply(one, first[0].message.token, "done");
    ask("d");
    EXPECT_THAT(payloads(one), ElementsAre("d"));
    ask("e");
    EXPECT_THAT(payloads(two), ElementsAre("e")) << "both have one; two was idle for longer";
}

TEST_F(services_test, beyond_the_prefetch_requests_wait_in_the_order_they_came) {
    serve(one, 2);
    for (const char* each : {"a", "b", "c", "d"}) {
        ask(each);
    }
    auto got = pushes(one);
    ASSERT_THAT(got, SizeIs(2));
    EXPECT_THAT(
        list(),
        ElementsAre("prices: 1 responders, 2 in progress, 2 waiting, 0 answered, 0 failed"));
    reply(one, got[1].message.token, "b");
    EXPECT_THAT(payloads(one), ElementsAre("c"));
    serve(two, 5);
    EXPECT_THAT(payloads(two), ElementsAre("d")) << "who comes takes what waits";
}

TEST_F(services_test, the_bytes_in_progress_are_bounded_but_for_one_request) {
    domain_options large;
    large.message_bytes_max = limits::message_bytes_max;
    h.state = broker_state(large);
    h.restart();
    SetUp();
    commit_before = h.gathering;
    serve(one, 10);
    const std::string huge(limits::responder_bytes_max, 'x');
    ask(huge);
    ask("small");
    const auto got = pushes(one);
    ASSERT_THAT(got, SizeIs(1));
    reply(one, got[0].message.token, "ok");
    EXPECT_THAT(payloads(one), ElementsAre("small"));
}

// Promise: service.deadline
TEST_F(services_test, at_the_deadline_whoever_asked_is_told_and_the_responder_has_room) {
    serve(one);
    const auto first = ask("a", 1s);
    const auto second = ask("b", 2s);
    const auto third = ask("c", 10s);
    const auto got = pushes(one);
    h.pass(1s - 1us);
    EXPECT_EQ(outcome(first), "nothing");
    h.pass(1us);
    EXPECT_EQ(outcome(first), "deadline_exceeded");
    EXPECT_THAT(text, HasSubstr("may have done"));
    EXPECT_THAT(payloads(one), ElementsAre("b")) << "one is taken off its load";
    reply(one, got.at(0).message.token, "too late");
    EXPECT_EQ(outcome(first), "nothing") << "told once";
    EXPECT_EQ(outcome(second), "nothing");
    const auto waiting = ask("d", 500ms);
    h.pass(500ms);
    EXPECT_EQ(outcome(waiting), "busy");
    EXPECT_THAT(text, HasSubstr("nothing was done"));
    h.pass(500ms);
    EXPECT_EQ(outcome(second), "deadline_exceeded");
    const auto last = pushes(one);
    ASSERT_THAT(last, SizeIs(1));
    reply(one, last[0].message.token, "C");
    EXPECT_EQ(outcome(third), "C by one@host:2");
    EXPECT_THAT(
        list(),
        ElementsAre("prices: 1 responders, 0 in progress, 0 waiting, 1 answered, 3 failed"));
    EXPECT_EQ(h.state.counters().expired_requests, 3U);
}

TEST_F(services_test, a_request_whose_time_is_over_when_the_engine_sees_it_is_not_given_out) {
    serve(one);
    EXPECT_EQ(outcome(ask("was in the inbox for too long", 0us)), "busy");
    EXPECT_THAT(text, HasSubstr("nothing was done"));
    EXPECT_THAT(payloads(one), IsEmpty());
    EXPECT_EQ(h.state.counters().expired_requests, 1U);
    EXPECT_THAT(
        list(),
        ElementsAre("prices: 1 responders, 0 in progress, 0 waiting, 0 answered, 1 failed"));
}

// Promise: service.at_once
TEST_F(services_test, a_vanished_responder_is_told_at_once) {
    serve(one, 2);
    const auto first = ask("a");
    const auto second = ask("b");
    const auto waiting = ask("c");
    h.close(one);
    EXPECT_EQ(outcome(first), "responder_gone");
    EXPECT_THAT(text, HasSubstr("one@host:2"));
    EXPECT_EQ(outcome(second), "responder_gone");
    EXPECT_EQ(outcome(waiting), "no_responder") << "what waits was not done";
    EXPECT_THAT(list(), IsEmpty());
}

TEST_F(services_test, what_waits_goes_to_the_responders_that_are_left) {
    serve(one);
    serve(two);
    const auto first = ask("a");
    const auto second = ask("b");
    const auto third = ask("c");
    h.close(one, true);
    EXPECT_EQ(outcome(first), "responder_gone") << "after a goodbye it cannot reply any more";
    const auto got = pushes(two);
    ASSERT_THAT(got, SizeIs(1));
    reply(two, got[0].message.token, "B");
    EXPECT_EQ(outcome(second), "B by two@host:3");
    const auto more = pushes(two);
    ASSERT_THAT(more, SizeIs(1));
    reply(two, more[0].message.token, "C");
    EXPECT_EQ(outcome(third), "C by two@host:3");
}

TEST_F(services_test, a_failed_request_brings_the_words_of_the_responder) {
    serve(one);
    const auto request = ask("a");
    h.send(one,
           service_reply{
               .token = pushes(one).at(0).message.token, .failed = true, .text = "out of apples"});
    EXPECT_EQ(outcome(request), "request_failed");
    EXPECT_THAT(text, HasSubstr("out of apples"));
    EXPECT_EQ(h.state.counters().failed_requests, 1U);
}

TEST_F(services_test, a_reply_that_is_too_large_fails_the_request_and_is_refused) {
    serve(one);
    const auto request = ask("a");
    const auto token = pushes(one).at(0).message.token;
    const auto refused = h.ask_refused(
        one, service_reply{.token = token,
                           .record = record_of(std::string(limits::message_bytes_default, 'x'))});
    EXPECT_EQ(refused.code, error_code::message_too_large);
    EXPECT_EQ(outcome(request), "request_failed");
}

TEST_F(services_test, only_who_got_a_request_may_reply_to_it) {
    serve(one);
    const auto request = ask("a");
    const auto token = pushes(one).at(0).message.token;
    reply(two, token, "forged");
    EXPECT_EQ(outcome(request), "nothing");
    const auto waiting = ask("b");
    reply(one, request_token{token.value() + 1}, "guessed");
    EXPECT_EQ(outcome(waiting), "nothing");
    reply(one, token, "A");
    EXPECT_EQ(outcome(request), "A by one@host:2");
}

// Promise: service.nothing_left
TEST_F(services_test, what_a_vanished_requester_asked_for_is_dropped) {
    serve(one);
    ask("a");
    ask("b");
    const auto got = pushes(one);
    h.close(asker);
    EXPECT_THAT(
        list(),
        ElementsAre("prices: 1 responders, 1 in progress, 0 waiting, 0 answered, 0 failed"));
    reply(one, got.at(0).message.token, "for nobody");
    EXPECT_THAT(payloads(one), IsEmpty());
    EXPECT_THAT(
        list(),
        ElementsAre("prices: 1 responders, 0 in progress, 0 waiting, 1 answered, 0 failed"));
}

TEST_F(services_test, a_connection_may_ask_itself) {
    serve(asker);
    const auto request = ask("a");
    reply(asker, pushes(asker).at(0).message.token, "A");
    EXPECT_EQ(outcome(request), "A by asker@host:1");
    ask("b");
    ask("c");
    h.close(asker);
    EXPECT_THAT(list(), IsEmpty());
}

TEST_F(services_test, who_leaves_finishes_what_it_has) {
    serve(one, 2);
    serve(two, 1, 1);
    const auto first = ask("a");
    const auto token = pushes(one).at(0).message.token;
    const auto left = h.send(one, codec::unserve{responder_id{1}});
    EXPECT_FALSE(h.answer_to(one, left)) << "one is in progress";
    EXPECT_EQ(h.ask_refused(one, codec::unserve{responder_id{1}}).code,
              error_code::invalid_argument);
    ask("b");
    ask("c");
    EXPECT_THAT(payloads(one), IsEmpty());
    EXPECT_THAT(payloads(two), ElementsAre("b"));
    reply(one, token, "A");
    EXPECT_EQ(outcome(first), "A by one@host:2");
    EXPECT_TRUE(h.answer_to(one, left));
    EXPECT_EQ(h.ask_refused(one, codec::unserve{responder_id{1}}).code,
              error_code::responder_not_found);
}

TEST_F(services_test, who_leaves_at_once_leaves_its_requests_unanswered) {
    serve(one, 1);
    const auto request = ask("a");
    const auto left = h.send(one, codec::unserve{responder_id{1}});
    h.ask<codec::ok>(one, codec::unserve{responder_id{1}, true});
    EXPECT_TRUE(h.answer_to(one, left));
    EXPECT_EQ(outcome(request), "responder_gone");
    serve(one);  // its id is free again
}

TEST_F(services_test, the_last_to_leave_leaves_nobody_waiting) {
    serve(one);
    ask("a");
    const auto waiting = ask("b");
    h.send(one, codec::unserve{responder_id{1}});
    EXPECT_EQ(outcome(waiting), "no_responder");
    EXPECT_EQ(outcome(ask("c")), "no_responder");
}

TEST_F(services_test, drained_responders_get_nothing_new_and_may_still_reply) {
    serve(one, 5);
    const auto request = ask("a");
    h.apply(connection_draining{one});
    const auto told = [&] {
        return std::ranges::any_of(h.outputs, [&](const output& each) {
            return each.connection == one && std::holds_alternative<holds_nothing>(each.body);
        });
    };
    EXPECT_FALSE(told());
    EXPECT_EQ(outcome(ask("b")), "no_responder");
    EXPECT_EQ(h.ask_refused(one, codec::serve{"prices", responder_id{2}, 1}).code,
              error_code::busy);
    reply(one, pushes(one).at(0).message.token, "A");
    EXPECT_EQ(outcome(request), "A by one@host:2");
    EXPECT_TRUE(told());
}

// Promise: service.bounds
TEST_F(services_test, the_line_of_a_service_is_bounded) {
    serve(one);
    ask("in progress");
    std::vector<std::uint32_t> line;
    for (std::size_t i = 0; i < limits::service_waiting_max; ++i) {
        line.push_back(ask("waits"));
    }
    EXPECT_EQ(outcome(line.back()), "nothing");
    EXPECT_EQ(outcome(ask("one more")), "busy");
    EXPECT_THAT(text, HasSubstr("nothing was done"));
}

TEST_F(services_test, the_bytes_of_the_line_are_bounded) {
    serve(one);
    ask("in progress");
    const std::string mib(limits::message_bytes_default - codec::record_bytes_min, 'x');
    for (std::size_t i = 0; i < 8; ++i) {
        EXPECT_EQ(outcome(ask(mib)), "nothing");
    }
    EXPECT_EQ(outcome(ask("x")), "busy");
}

TEST_F(services_test, one_request_of_any_size_may_wait) {
    domain_options large;
    large.message_bytes_max = limits::message_bytes_max;
    h.state = broker_state(large);
    h.restart();
    SetUp();
    commit_before = h.gathering;
    serve(one);
    ask("in progress");
    EXPECT_EQ(outcome(ask(std::string(limits::service_waiting_bytes_max, 'x'))), "nothing");
    EXPECT_EQ(outcome(ask("x")), "busy");
}

TEST_F(services_test, the_bytes_of_all_lines_are_bounded) {
    const std::string mib(limits::message_bytes_default - codec::record_bytes_min, 'x');
    for (std::uint32_t i = 0; i < 9; ++i) {
        const std::string service = fmt::format("s{}", i);
        serve(one, 1, i, service);
        ask("in progress", 10s, service);
        for (std::size_t n = 0; n < 8; ++n) {
            EXPECT_EQ(outcome(ask(mib, 10s, service)), i < 8 ? "nothing" : "busy");
        }
    }
}

TEST_F(services_test, what_a_responder_may_be_is_bounded) {
    const auto refused = [&](const std::string& service, std::uint32_t id, std::uint32_t prefetch) {
        return h.ask_refused(one, codec::serve{service, responder_id{id}, prefetch}).code;
    };
    EXPECT_EQ(refused("prices", 1, 0), error_code::invalid_argument);
    EXPECT_EQ(refused("prices", 1, limits::service_prefetch_max + 1), error_code::invalid_argument);
    EXPECT_EQ(refused("a b", 1, 1), error_code::invalid_name);
    serve(one, 1, 1);
    EXPECT_EQ(refused("other", 1, 1), error_code::responder_exists);
    for (std::uint32_t i = 2; i <= limits::responders_per_connection_max; ++i) {
        serve(one, 1, i);
    }
    EXPECT_EQ(refused("prices", 5000, 1), error_code::too_many_responders);
}

TEST_F(services_test, what_the_responders_of_a_connection_take_at_once_is_bounded) {
    const auto refused = [&](std::uint32_t id, std::uint32_t prefetch) {
        const auto why = h.ask_refused(one, codec::serve{"prices", responder_id{id}, prefetch});
        text = why.text;
        return why.code;
    };
    serve(one, limits::service_prefetch_max, 1);
    EXPECT_EQ(refused(2, 1), error_code::too_many_responders);
    EXPECT_THAT(text, HasSubstr("smaller prefetch"));
    serve(two, 1);  // of another connection
    h.ask<codec::ok>(one, codec::unserve{responder_id{1}});
    serve(one, limits::service_prefetch_per_connection_max - 10, 1);
    EXPECT_EQ(refused(2, 11), error_code::too_many_responders);
    serve(one, 10, 2);
}

TEST_F(services_test, services_are_listed_in_pages) {
    for (std::uint32_t i = 0; i < 5; ++i) {
        serve(one, 1, i, fmt::format("s{}", i));
    }
    auto page = h.ask<codec::services>(h.admin, codec::service_list{"s0", 3});
    EXPECT_TRUE(page.more);
    ASSERT_THAT(page.items, SizeIs(3));
    EXPECT_EQ(page.items[0].service, "s1");
    page = h.ask<codec::services>(h.admin, codec::service_list{"s3", 3});
    EXPECT_FALSE(page.more);
    EXPECT_THAT(page.items, SizeIs(1));
}

// Promise: service.nothing_left
TEST_F(services_test, nothing_outlives_a_restart) {
    serve(one);
    ask("a");
    h.restart();
    SetUp();
    commit_before = h.gathering;
    EXPECT_THAT(list(), IsEmpty());
    EXPECT_EQ(outcome(ask("b")), "no_responder");
}

}  // namespace
}  // namespace brokerd::domain::test
