// A small measurement of a running broker through the client library:
//
//   client_bench publish --server HOST:PORT [--pid PID] [--size 100] [--messages N] [--in-flight
//   1000] client_bench consume --server HOST:PORT [--pid PID] [--size 100] [--messages N]
//   client_bench latency --server HOST:PORT [--pid PID] [--size 100] [--messages N] --dir DIR
//
// publish: pipelined durable publishes on one connection. consume: fills a backlog, then takes it
// with an ack for each message. latency: one publish in flight, beside fdatasync of an appended
// 4 KiB block in DIR in the same run. With --pid (of brokerd) the CPU it used per million messages
// and its memory are printed as well. Bounded by --messages.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include <brokerd/client.hpp>

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

struct settings {
    std::string mode;
    std::string server = "127.0.0.1:4650";
    std::string directory;
    std::uint64_t pid = 0;
    std::uint64_t size = 100;
    std::uint64_t messages = 1'000'000;
    std::uint64_t in_flight = 1000;
};

double seconds_since(steady::time_point start) {
    return std::chrono::duration<double>(steady::now() - start).count();
}

// User and system CPU seconds of a process so far; 0 without a pid.
double cpu_seconds(std::uint64_t pid) {
    if (pid == 0) {
        return 0;
    }
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string text((std::istreambuf_iterator<char>(file)), {});
    const auto close = text.rfind(')');
    if (close == std::string::npos) {
        return 0;
    }
    std::uint64_t field = 2;
    std::uint64_t ticks = 0;
    for (std::size_t at = close + 1; at < text.size(); ++field) {
        const std::size_t begin = text.find_first_not_of(' ', at);
        const std::size_t end = text.find(' ', begin);
        if (field == 13 || field == 14) {  // utime, stime: fields 14 and 15 of proc(5)
            std::uint64_t value = 0;
            std::from_chars(text.data() + begin, text.data() + end, value);
            ticks += value;
        }
        if (end == std::string::npos || field > 14) {
            break;
        }
        at = end;
    }
    return static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double resident_mib(std::uint64_t pid) {
    std::ifstream file(fmt::format("/proc/{}/statm", pid));
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
    file >> total >> resident;
    return static_cast<double>(resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE))) /
           (1024.0 * 1024.0);
}

void report(const settings& with, std::string_view what, double seconds, double cpu) {
    const auto count = static_cast<double>(with.messages);
    fmt::print("{}: {} messages of {} B in {:.2f} s: {:.0f} msg/s, {:.1f} MB/s", what,
               with.messages, with.size, seconds, count / seconds,
               count * static_cast<double>(with.size) / seconds / 1e6);
    if (with.pid != 0) {
        fmt::print("; broker {:.2f} cpu s per million, RSS {:.1f} MiB", cpu / count * 1e6,
                   resident_mib(with.pid));
    }
    fmt::print("\n");
}

void fill(brokerd::client& client, const settings& with) {
    const brokerd::outgoing_message message{
        .key = {}, .headers = {}, .payload = std::string(with.size, 'x')};
    std::uint64_t failed = 0;
    for (std::uint64_t i = 0; i < with.messages; ++i) {
        client.submit("bench", message,
                      [&failed](const brokerd::publish_result& result) { failed += !result; });
    }
    client.flush();
    if (failed != 0) {
        throw std::runtime_error(fmt::format("{} publishes failed", failed));
    }
}

void publish(brokerd::client& client, const settings& with) {
    const double before = cpu_seconds(with.pid);
    const auto start = steady::now();
    fill(client, with);
    const double seconds = seconds_since(start);
    report(with, fmt::format("publish, {} in flight", with.in_flight), seconds,
           cpu_seconds(with.pid) - before);
}

void consume(brokerd::client& client, const settings& with) {
    client.ensure_queue("bench/work");
    fill(client, with);
    brokerd::consume_options options;
    options.limit = with.messages;
    const double before = cpu_seconds(with.pid);
    const auto start = steady::now();
    auto from = client.open_consumer("bench/work", options);
    while (auto message = from.next()) {
        message->ack();
    }
    from.close();
    const double seconds = seconds_since(start);
    report(with, "consume a backlog, single acks", seconds, cpu_seconds(with.pid) - before);
}

void print_percentiles(std::string_view what, std::vector<double>& micros) {
    std::ranges::sort(micros);
    const auto at = [&](double part) {
        return micros[static_cast<std::size_t>(part * static_cast<double>(micros.size() - 1))];
    };
    fmt::print("{}: p50 {:.0f} us, p90 {:.0f} us, p99 {:.0f} us, max {:.0f} us\n", what, at(0.5),
               at(0.9), at(0.99), micros.back());
}

// Appends 4 KiB blocks with fdatasync after each: the floor of a lone durable publish.
std::vector<double> fdatasync_times(const std::filesystem::path& directory, std::uint64_t count) {
    const auto path = directory / "client_bench.fdatasync";
    const int file = ::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    std::vector<double> micros;
    const std::vector<char> block(4096, 'x');
    for (std::uint64_t i = 0; file >= 0 && i < count; ++i) {
        const auto start = steady::now();
        if (::write(file, block.data(), block.size()) < 0 || ::fdatasync(file) != 0) {
            break;
        }
        micros.push_back(seconds_since(start) * 1e6);
    }
    ::close(file);
    std::filesystem::remove(path);
    return micros;
}

void latency(brokerd::client& client, const settings& with) {
    const brokerd::outgoing_message message{
        .key = {}, .headers = {}, .payload = std::string(with.size, 'x')};
    for (int i = 0; i < 100; ++i) {  // warm up
        client.publish("bench", message);
    }
    std::vector<double> micros;
    const double before = cpu_seconds(with.pid);
    const auto begin = steady::now();
    for (std::uint64_t i = 0; i < with.messages; ++i) {
        const auto start = steady::now();
        client.publish("bench", message);
        micros.push_back(seconds_since(start) * 1e6);
    }
    report(with, "publish, 1 in flight", seconds_since(begin), cpu_seconds(with.pid) - before);
    print_percentiles("publish, 1 in flight", micros);
    if (!with.directory.empty()) {
        auto floor = fdatasync_times(with.directory, with.messages);
        if (!floor.empty()) {
            print_percentiles("fdatasync of an appended 4 KiB block", floor);
        }
    }
}

settings parse(int argc, char** argv) {
    settings with;
    if (argc < 2) {
        throw std::runtime_error("usage: client_bench publish|consume|latency [options]");
    }
    with.mode = argv[1];
    for (int i = 2; i + 1 < argc; i += 2) {
        const std::string_view flag = argv[i];
        const std::string_view value = argv[i + 1];
        std::uint64_t number = 0;
        std::from_chars(value.data(), value.data() + value.size(), number);
        if (flag == "--server") {
            with.server = value;
        } else if (flag == "--dir") {
            with.directory = value;
        } else if (flag == "--pid") {
            with.pid = number;
        } else if (flag == "--size") {
            with.size = number;
        } else if (flag == "--messages") {
            with.messages = number;
        } else if (flag == "--in-flight") {
            with.in_flight = number;
        } else {
            throw std::runtime_error(fmt::format("unknown option {}", flag));
        }
    }
    return with;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const settings with = parse(argc, argv);
        brokerd::client_options options;
        options.in_flight_messages = static_cast<std::uint32_t>(with.in_flight);
        auto client = brokerd::connect(with.server, options);
        client.ensure_topic("bench");
        if (with.mode == "publish") {
            publish(client, with);
        } else if (with.mode == "consume") {
            consume(client, with);
        } else if (with.mode == "latency") {
            latency(client, with);
        } else {
            throw std::runtime_error(fmt::format("unknown measurement {}", with.mode));
        }
        client.close();
        return 0;
    } catch (const std::exception& failed) {
        fmt::print(stderr, "client_bench: {}\n", failed.what());
        return 1;
    }
}
