// The command line: what is usage and what is not, help with examples, texts that say what to do.
// No broker is needed: nothing here gets as far as connecting.
#include <sstream>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/brokerctl/exit_code.hpp"
#include "tools/brokerctl/run.hpp"

namespace brokerd::ctl {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

struct result {
    int code;
    std::string out;
    std::string err;
};

result brokerctl(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "brokerctl");
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    const int code = run(static_cast<int>(arguments.size()), arguments.data(),
                         {.in = in, .out = out, .err = err});
    return {code, out.str(), err.str()};
}

constexpr int done = 0;
constexpr int usage = 2;

TEST(command_line, help_goes_to_standard_output) {
    const auto help = brokerctl({"--help"});
    EXPECT_EQ(help.code, done);
    EXPECT_THAT(help.out, AllOf(HasSubstr("topic"), HasSubstr("BROKERD_SERVER"),
                                HasSubstr("us, ms, s, min (or m), h or d")));
    EXPECT_EQ(help.err, "");
}

TEST(command_line, version_without_a_broker) {
    const auto version = brokerctl({"--version"});
    EXPECT_EQ(version.code, done);
    EXPECT_THAT(version.out, StartsWith("brokerctl "));
}

TEST(command_line, every_verb_has_help_with_examples) {
    const std::vector<std::pair<const char*, std::vector<const char*>>> nouns{
        {"topic", {"ls", "create", "info", "set", "rm"}},
        {"queue",
         {"ls", "create", "clone", "info", "set", "rm", "pause", "resume", "seek", "purge",
          "explain"}},
        {"message", {"publish", "consume", "forward", "get", "peek", "find", "show", "tail"}},
        {"dead", {"ls", "redrive", "purge"}},
        {"schedule", {"ls", "cancel"}},
        {"service", {"ls", "call", "answer"}},
        {"consumer", {"ls"}},
        {"connection", {"ls", "close"}},
        {"bench", {"publish", "consume", "latency", "fanout", "rpc"}},
    };
    for (const auto& [noun, verbs] : nouns) {
        for (const char* verb : verbs) {
            const auto help = brokerctl({noun, verb, "--help"});
            EXPECT_EQ(help.code, done) << noun << ' ' << verb;
            const auto name = std::string("brokerctl ") + noun + " " + verb;
            EXPECT_THAT(help.out, AllOf(HasSubstr("Usage: " + name), HasSubstr("Examples:\n  ")));
        }
    }
    for (const char* verb : {"health", "stats", "version"}) {
        EXPECT_THAT(brokerctl({verb, "--help"}).out, HasSubstr("Examples:\n  brokerctl"));
    }
}

TEST(command_line, mutations_of_many_messages_have_a_dry_run) {
    for (const auto& [noun, verb] :
         std::vector<std::pair<const char*, const char*>>{{"topic", "rm"},
                                                          {"queue", "rm"},
                                                          {"queue", "seek"},
                                                          {"queue", "purge"},
                                                          {"dead", "redrive"},
                                                          {"dead", "purge"},
                                                          {"schedule", "cancel"}}) {
        EXPECT_THAT(brokerctl({noun, verb, "--help"}).out, HasSubstr("--dry-run"))
            << noun << ' ' << verb;
    }
}

TEST(command_line, says_what_it_has) {
    EXPECT_THAT(brokerctl({}).err, HasSubstr("needs a command: topic, queue, message"));
    EXPECT_THAT(brokerctl({"topic"}).err, HasSubstr("needs a verb: ls, create"));
    EXPECT_THAT(brokerctl({"topic", "list"}).err, HasSubstr("has no verb 'list'; it has ls,"));
    EXPECT_THAT(brokerctl({"topics"}).err, HasSubstr("has no command 'topics'"));
}

TEST(command_line, mistakes_are_usage) {
    const std::vector<std::pair<std::vector<const char*>, const char*>> mistakes{
        {{}, "needs a command"},
        {{"topic", "create"}, "TOPIC is required"},
        {{"topic", "create", "a", "b"}, "does not know 'b'"},
        {{"topic", "ls", "--colour"}, "does not know '--colour'"},
        {{"topic", "create", "a", "--keep-done", "7"}, "has no unit"},
        {{"topic", "set", "a"}, "nothing to set"},
        {{"topic", "set", "a", "--ttl", "-1s"}, "--ttl"},
        {{"topic", "create", "a", "--ttl", "60"}, "has no unit"},
        {{"topic", "create", "a", "--durability", "memory"}, "expected one of disk|os"},
        {{"topic", "set", "a", "--message-id-window", "24"}, "has no unit"},
        {{"topic", "set", "a", "--max-messages", "many"}, "is no bound"},
        {{"topic", "create", "a", "--max-bytes", "10 GiB"}, "is no size"},
        {{"topic", "create", "a", "--when-full", "drop_oldest"}, "one of refuse|drop-oldest"},
        {{"topic", "set", "a", "--max-age", "7"}, "has no unit"},
        {{"topic", "create", "a", "--priorities", "11"}, "is no number of levels; write 1 to 10"},
        {{"topic", "set", "a", "--priorities", "0"}, "is no number of levels"},
        {{"queue", "set", "a/b"}, "nothing to set"},
        {{"queue", "clone", "a/b"}, "NEW_QUEUE is required"},
        {{"queue", "clone", "a/b", "c/d"}, "give its name alone, or a/d"},
        {{"queue", "seek", "a/b"}, "--to is required"},
        {{"queue", "seek", "a/b", "--to", "then"}, "no position"},
        {{"queue", "explain", "orders"}, "TOPIC/QUEUE"},
        {{"queue", "create", "a/b", "--attempts", "-1"}, "--attempts"},
        {{"queue", "create", "a/b", "--on-expiry", "gone"}, "expected one of done|dead"},
        {{"queue", "create", "a/b", "--filter", "colour = 'red'"}, "column 1: "},
        {{"queue", "create", "a/b", "--filter", "key = 'a' und has key"}, "\n          ^\n"},
        {{"queue", "create", "a/b", "--filter", " "}, "column 2: "},
        {{"queue", "create", "a/b", "--until", "soon"}, "is no end"},
        {{"queue", "create", "a/b", "--until", "0"}, "there is nothing before it"},
        {{"queue", "create", "a/b", "--until", "earliest"}, "there is nothing before it"},
        {{"queue", "create", "a/b", "--until", "2999-01-01T00:00:00Z"},
         "is still to come; a queue can end at an offset or at a time that has passed"},
        {{"queue", "create", "a/b", "--from", "5", "--until", "5"}, "would get nothing"},
        {{"queue", "create", "a/b", "--from", "-1h", "--until", "-2h"}, "would get nothing"},
        {{"queue", "set", "a/b", "--filter", "key ="}, "column 6: "},
        {{"queue", "set", "a/b", "--until", "-1h"}, "no offset"},
        {{"queue", "set", "a/b", "--until", "latest"}, "no offset"},
        {{"queue", "ls", "-o", "xml"}, "table, json or ndjson"},
        {{"--server", "nowhere", "queue", "ls"}, "HOST:PORT"},
        {{"message", "get", "orders"}, "TOPIC@OFFSET"},
        {{"message", "publish", "a", "x", "--header", "trace"}, "NAME=VALUE"},
        {{"message", "publish", "a", "x", "--lines"}, "leave out PAYLOAD"},
        {{"message", "publish", "a", "--lines", "--in-flight", "0"}, "--in-flight"},
        {{"message", "publish", "a", "x", "--priority", "10"}, "is no priority; write 0 to 9"},
        {{"message", "publish", "a", "--lines", "--priority", "high"}, "is no priority"},
        {{"message", "publish", "a", "x", "--delay", "10"}, "has no unit"},
        {{"message", "publish", "a", "x", "--delay", "-1s"}, "--delay"},
        {{"message", "publish", "a", "x", "--at", "tomorrow"}, "2026-03-01T12:00:00Z"},
        {{"message", "publish", "a", "x", "--delay", "1s", "--at", "2026-03-01T12:00:00Z"},
         "not both"},
        {{"message", "publish", "a", "--lines", "--delay", "1s", "--at", "2026-03-01T12:00:00Z"},
         "not both"},
        {{"message", "publish", "a", "x", "--ttl", "10"}, "has no unit"},
        {{"message", "publish", "a", "x", "--ttl", "0"}, "longer than 0"},
        {{"message", "publish", "a", "--lines", "--ttl", "0s"}, "longer than 0"},
        {{"message", "publish", "a", "x", "--id", ""}, "must not be empty"},
        {{"message", "publish", "a", "--lines", "--id", "m-1"}, "names one message"},
        {{"message", "find", "a", "--since", "12"}, "no time"},
        {{"message", "peek", "a", "--limit", "0"}, "from 1 on"},
        {{"message", "consume", "a/b"}, "one of --ack, --nack, --reject, --release"},
        {{"message", "consume", "a/b", "--ack", "--nack"}, "one of --ack"},
        {{"message", "consume", "a/b", "--ack", "--count", "0"}, "from 1 on"},
        {{"message", "consume", "a/b", "--ack", "--delay", "5s"}, "--delay is for --nack"},
        {{"message", "consume", "a/b", "--ack", "--reason", "x"}, "--reason is for"},
        {{"message", "consume", "a/b", "--ack", "--wait", "-1"}, "--wait"},
        {{"message", "forward", "a/b"}, "TO_TOPIC is required"},
        {{"message", "forward", "a/b", "a"}, "would never end"},
        {{"message", "forward", "a/b", "c", "--count", "0"}, "from 1 on"},
        {{"dead", "ls", "--by", "key"}, "--by"},
        {{"dead", "redrive", "a/b@1", "--reason", "x"}, "not both"},
        {{"schedule", "ls"}, "TOPIC is required"},
        {{"service", "call"}, "SERVICE is required"},
        {{"service", "call", "a", "--timeout", "soon"}, "--timeout"},
        {{"service", "answer", "a"}, "either --echo or --reply"},
        {{"service", "answer", "a", "--echo", "--reply", "x"}, "either --echo or --reply"},
        {{"schedule", "cancel", "a"}, "or give --all"},
        {{"schedule", "cancel", "a", "1", "--all"}, "not both"},
        {{"schedule", "cancel", "a", "1", "x"}, "brokerctl schedule ls TOPIC"},
        {{"connection", "close"}, "CONNECTION is required"},
    };
    for (const auto& [arguments, text] : mistakes) {
        const auto answer = brokerctl(arguments);
        EXPECT_EQ(answer.code, usage) << answer.err;
        EXPECT_THAT(answer.err, AllOf(StartsWith("brokerctl: "), HasSubstr(text), EndsWith("\n")));
        EXPECT_EQ(answer.out, "");
    }
}

// Promise: explain.exit_codes
TEST(exit_codes, tell_refusal_from_failure) {
    EXPECT_EQ(exit_code_of({broker_errc::topic_not_found, ""}), exit_code::refused);
    EXPECT_EQ(exit_code_of({broker_errc::storage_failed, ""}), exit_code::outcome_unknown);
    EXPECT_EQ(exit_code_of({client_errc::not_connected, ""}), exit_code::no_connection);
    EXPECT_EQ(exit_code_of({client_errc::timed_out, ""}), exit_code::no_connection);
    EXPECT_EQ(exit_code_of({client_errc::protocol_error, ""}), exit_code::no_connection);
    EXPECT_EQ(exit_code_of({client_errc::outcome_unknown, ""}), exit_code::outcome_unknown);
    EXPECT_EQ(exit_code_of({client_errc::invalid_argument, ""}), exit_code::usage);
    EXPECT_EQ(exit_code_of({client_errc::other_data, ""}), exit_code::refused);
    EXPECT_EQ(exit_code_of({broker_errc::invalid_name, ""}), exit_code::usage);
    EXPECT_EQ(exit_code_of({broker_errc::invalid_argument, ""}), exit_code::usage);
}

TEST(command_line, a_pattern_queue_has_no_place_in_one_topic) {
    for (const char* from : {"812", "2026-03-01T12:00:00Z", "-1h"}) {
        const auto refused = brokerctl({"queue", "create", "orders.*/billing", "--from", from});
        EXPECT_EQ(refused.code, usage);
        EXPECT_THAT(refused.err, HasSubstr("--from of a pattern queue is earliest or latest"));
    }
    for (const char* verb : {"create", "set"}) {
        const auto refused = brokerctl({"queue", verb, "orders.*/billing", "--until", "812"});
        EXPECT_EQ(refused.code, usage);
        EXPECT_THAT(refused.err, HasSubstr("a pattern queue has no --until"));
    }
    EXPECT_THAT(brokerctl({"queue", "rm", "orders/billing", "--queues"}).err,
                HasSubstr("--queues is for a pattern queue"));
    EXPECT_THAT(brokerctl({"queue", "ls", "orders", "--patterns"}).err,
                HasSubstr("leave out the topic"));
}

}  // namespace
}  // namespace brokerd::ctl
