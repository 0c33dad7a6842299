// brokerd as a program: options from every source, exit codes, what it prints.
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "tests/integration/broker_fixture.hpp"

namespace brokerd::integration {
namespace {

using support::broker_process;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

class program : public broker_fixture {
protected:
    std::string write_config(const std::string& text) {
        const auto path = directory.path() / "broker.conf";
        std::ofstream(path) << text;
        return path.string();
    }

    // Topic t with queue t/q, and a message in them.
    static void publish_one(std::uint16_t port) {
        raw_client publisher(port);
        (void)publisher.hello("publisher@here:1");
        create_queue(publisher);
        EXPECT_EQ(publish(publisher, {"stored"}), 0U);
    }

    test::temp_dir directory;
};

TEST_F(program, help_and_version_say_what_they_should) {
    const auto help = broker_process::run_to_end({"--help"});
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_THAT(help.out,
                AllOf(HasSubstr("--data-dir"), HasSubstr("BROKERD_DATA_DIR"),
                      HasSubstr("--print-config"), HasSubstr("us, ms, s, min (or m), h or d")));
    const auto version = broker_process::run_to_end({"--version"});
    EXPECT_EQ(version.exit_code, 0);
    EXPECT_THAT(version.out, testing::MatchesRegex("brokerd [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST_F(program, options_come_from_line_environment_and_file_in_this_order) {
    const auto file =
        write_config("# a comment\ndrain = 1s\nheartbeat = \"2s\"\nlog-level = error\n");
    const auto printed = broker_process::run_to_end(
        {"--config", file, "--print-config", "--drain", "3s", "--dead-after", "5min"},
        {"BROKERD_HEARTBEAT=4s", "BROKERD_DRAIN=5s"});
    EXPECT_EQ(printed.exit_code, 0) << printed.err;
    EXPECT_THAT(printed.out,
                AllOf(HasSubstr("From: command line.\ndrain = 3s\n"),
                      HasSubstr("From: command line.\ndead-after = 5min\n"),
                      HasSubstr("From: environment BROKERD_HEARTBEAT.\nheartbeat = 4s\n"),
                      HasSubstr("From: " + file + ":4.\nlog-level = \"error\"\n"),
                      HasSubstr("From: default.\nlisten = \"127.0.0.1:4650\"\n")));
    // What it prints it also reads.
    const auto again = write_config(printed.out);
    const auto reread = broker_process::run_to_end({"--config", again, "--print-config"});
    EXPECT_EQ(reread.exit_code, 0) << reread.err;
    EXPECT_THAT(reread.out, AllOf(HasSubstr("\ndrain = 3s\n"), HasSubstr("\nheartbeat = 4s\n")));
}

struct bad_usage {
    std::vector<std::string> arguments;
    std::vector<std::string> environment;
    const char* said;
};

class bad_usages : public testing::TestWithParam<bad_usage> {};

// Promise: limits.loopback
TEST_P(bad_usages, exit_64_before_anything_is_touched) {
    const test::temp_dir directory;
    const auto data = directory.path() / "data";
    std::vector<std::string> arguments{"--data-dir", data.string()};
    arguments.insert(arguments.end(), GetParam().arguments.begin(), GetParam().arguments.end());
    const auto ended = broker_process::run_to_end(arguments, GetParam().environment);
    EXPECT_EQ(ended.exit_code, 64);
    EXPECT_THAT(ended.err, HasSubstr(GetParam().said));
    EXPECT_THAT(ended.out, IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(data));
}

INSTANTIATE_TEST_SUITE_P(
    table, bad_usages,
    testing::Values(
        bad_usage{{"--no-such-option"}, {}, "--no-such-option"},
        bad_usage{{"surplus"}, {}, "surplus"}, bad_usage{{"--heartbeat"}, {}, "--heartbeat"},
        bad_usage{{"--heartbeat", "1ms"}, {}, "heartbeat (from command line): out of bounds"},
        bad_usage{{"--listen", "0.0.0.0:0"}, {}, "no authentication"},
        bad_usage{{"--config", "/nonexistent/broker.conf"}, {}, "/nonexistent/broker.conf"},
        bad_usage{{}, {"BROKERD_HEARTBEAT=soon"}, "environment BROKERD_HEARTBEAT"},
        bad_usage{{}, {"BROKERD_LISTEN=here"}, "the port is missing"}));

struct bad_file {
    const char* text;
    const char* said;
};

class bad_files : public program, public testing::WithParamInterface<bad_file> {};

// Promise: limits.configuration
TEST_P(bad_files, exit_64_and_name_the_file) {
    const auto file = write_config(GetParam().text);
    const auto ended = broker_process::run_to_end({"--config", file, "--print-config"});
    EXPECT_EQ(ended.exit_code, 64) << ended.out;
    EXPECT_THAT(ended.err, AllOf(HasSubstr(GetParam().said), HasSubstr(file)));
}

INSTANTIATE_TEST_SUITE_P(
    table, bad_files,
    testing::Values(bad_file{"hartbeat = 15s\n", "unknown option \"hartbeat\""},
                    bad_file{"[limits]\nheartbeat = 15s\n", "\"[limits]\" is not of the form"},
                    bad_file{"heartbeat = 1ms\n", "out of bounds"},
                    bad_file{"heartbeat = [1s, 2s]\n", "cannot be \"[1s, 2s]\""},
                    bad_file{"ephemeral = maybe\n", "true or false"},
                    bad_file{"config = other.conf\n", "unknown option"},
                    bad_file{"heartbeat\n", "is not of the form NAME = VALUE"}));

TEST_F(program, a_directory_is_no_configuration_file) {
    const auto ended =
        broker_process::run_to_end({"--config", directory.path().string(), "--print-config"});
    EXPECT_EQ(ended.exit_code, 64) << ended.out;
    EXPECT_THAT(ended.err, AllOf(HasSubstr("cannot read the configuration file"),
                                 HasSubstr(directory.path().string())));
}

TEST_F(program, an_address_in_use_is_exit_69_and_touches_no_data) {
    const auto other = directory.path() / "other";
    const auto ended =
        broker_process::run_to_end({"--data-dir", other.string(), "--listen", broker().address()});
    EXPECT_EQ(ended.exit_code, 69);
    EXPECT_THAT(ended.err, HasSubstr("cannot listen on " + broker().address()));
    EXPECT_FALSE(std::filesystem::exists(other));
}

// Promise: durability.directory
TEST_F(program, a_second_brokerd_on_the_directory_is_exit_75) {
    (void)broker();
    const auto ended =
        broker_process::run_to_end({"--data-dir", data_dir().string(), "--listen", "127.0.0.1:0"});
    EXPECT_EQ(ended.exit_code, 75);
    EXPECT_THAT(ended.err, HasSubstr(data_dir().string()));
    (void)client();
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

// Each entry below a directory, files with a hash of what they hold.
std::map<std::string, std::size_t> contents(const std::filesystem::path& of) {
    std::map<std::string, std::size_t> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(of)) {
        const auto text = entry.is_directory() ? std::string() : read_file(entry.path());
        all[std::filesystem::relative(entry.path(), of).string()] = std::hash<std::string>()(text);
    }
    return all;
}

// Promise: durability.directory
TEST_F(program, a_directory_of_another_program_is_exit_78_and_stays_as_it_was) {
    const auto foreign = directory.path() / "foreign";
    std::filesystem::create_directory(foreign);
    std::ofstream(foreign / "precious") << "data";
    const auto before = contents(foreign);
    const auto ended =
        broker_process::run_to_end({"--data-dir", foreign.string(), "--listen", "127.0.0.1:0"});
    EXPECT_EQ(ended.exit_code, 78);
    EXPECT_THAT(ended.err, AllOf(HasSubstr("precious"), HasSubstr("Nothing was changed")));
    EXPECT_EQ(contents(foreign), before);
}

// Promise: durability.directory
TEST_F(program, a_directory_of_a_newer_format_is_exit_78_and_stays_as_it_was) {
    publish_one(broker().port());
    EXPECT_EQ(broker().terminate(), 0);
    auto text = read_file(data_dir() / "BROKERD");
    text.replace(text.find("format 1\n"), 9, "format 2\n");
    std::ofstream(data_dir() / "BROKERD") << text;
    const auto before = contents(data_dir());
    const auto ended =
        broker_process::run_to_end({"--data-dir", data_dir().string(), "--listen", "127.0.0.1:0"});
    EXPECT_EQ(ended.exit_code, 78);
    EXPECT_THAT(ended.err, AllOf(HasSubstr("has format 2"), HasSubstr("Nothing was changed"),
                                 HasSubstr(data_dir().string())));
    EXPECT_EQ(contents(data_dir()), before);
}

// Promise: durability.loss_is_refused
TEST_F(program, damage_of_what_was_acknowledged_is_exit_78_and_said) {
    publish_one(broker().port());
    // What lies behind the damage tells, without the marker, that it had been synced.
    EXPECT_EQ(publish(*client(), {"behind it"}), 1U);
    broker().kill();
    int damaged = 0;
    for (const auto& entry : std::filesystem::directory_iterator(data_dir() / "db")) {
        auto text = read_file(entry.path());
        const auto found = text.find("stored");
        if (entry.path().extension() == ".log" && found != std::string::npos) {
            text[found] = 'S';
            std::ofstream(entry.path(), std::ios::binary) << text;
            ++damaged;
        }
    }
    ASSERT_EQ(damaged, 1);
    const auto ended =
        broker_process::run_to_end({"--data-dir", data_dir().string(), "--listen", "127.0.0.1:0"});
    EXPECT_EQ(ended.exit_code, 78);
    EXPECT_THAT(ended.err, AllOf(HasSubstr("acknowledged messages are missing"),
                                 HasSubstr(data_dir().string())));
}

// Promise: durability.full_disk
TEST_F(program, below_the_disk_reserve_publishes_are_refused_and_the_rest_goes_on) {
    if (std::filesystem::space(directory.path()).available >= 1ULL << 40U) {
        GTEST_SKIP() << "the disk has more free space than the largest reserve";
    }
    publish_one(broker().port());
    EXPECT_EQ(broker().terminate(), 0);
    broker_process full({.program = {},
                         .data_dir = data_dir(),
                         .arguments = {"--disk-reserve", "1TiB"},
                         .environment = {}});
    raw_client worker(full.port());
    (void)worker.hello("worker@here:1");
    worker.publish(1, "t", make_batch({"too much"}));
    const auto refused = worker.expect_error();
    EXPECT_EQ(refused.code, error_code::resource_disk);
    EXPECT_THAT(refused.text, AllOf(HasSubstr("MiB free"), HasSubstr("1048576 MiB"),
                                    HasSubstr("--disk-reserve")));
    (void)worker.expect<codec::credit>();  // what the refused publish had taken
    const auto attached = attach(worker);
    const auto delivered = worker.expect<codec::deliver>();
    ASSERT_EQ(delivered.runs.size(), 1U);
    const auto settled = worker.ask<codec::settled>(codec::settle{
        .queue = attached.queue, .confirm = true, .runs = {delivered.runs[0].leases}});
    EXPECT_EQ(settled.accepted, 1U);
    EXPECT_EQ(queue_state(worker).done, 1U);
    EXPECT_EQ(full.terminate(), 0);
}

// Promise: durability.drain
TEST_F(program, sigterm_ends_it_with_0_and_its_log_has_a_start_and_an_end) {
    broker({"--log-format", "json"});
    EXPECT_EQ(broker().terminate(), 0);
    EXPECT_THAT(broker().log(),
                AllOf(HasSubstr(R"("module":"broker","text":"brokerd )"),
                      HasSubstr("epoch 1, 0 topics, 0 queues"), HasSubstr("\"text\":\"stopped\"")));
}

TEST_F(program, connections_that_say_goodbye_are_logged_for_debugging_only) {
    broker();
    (void)client("polite@here:1")->ask<codec::ok>(codec::goodbye{});
    client("rude@here:1")->drop();
    const auto observer = client();
    while (observer->ask<codec::connections>(codec::connection_list{}).items.size() > 1) {
    }
    EXPECT_EQ(broker().terminate(), 0);
    EXPECT_THAT(broker().log(),
                AllOf(HasSubstr("rude@here:1 from 127.0.0.1:"), HasSubstr("closed: peer_closed\n"),
                      testing::Not(HasSubstr("polite"))));
}

// Promise: durability.ephemeral
TEST_F(program, ephemeral_data_goes_with_the_broker) {
    support::broker_options options;
    options.data_dir = directory.path() / "unused";
    options.arguments = {"--ephemeral"};
    options.environment = {"TMPDIR=" + directory.path().string()};
    broker_process running(options);
    const auto entries = [&] {
        std::size_t directories = 0;
        for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
            directories += entry.is_directory() ? 1U : 0U;
        }
        return directories;
    };
    EXPECT_EQ(entries(), 1U);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory.path())) {
        EXPECT_NE(entry.path().filename(), "ballast");
    }
    EXPECT_EQ(running.terminate(), 0);
    EXPECT_EQ(entries(), 0U);
}

}  // namespace
}  // namespace brokerd::integration
