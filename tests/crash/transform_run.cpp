// The cycles of transforming processes, and the audit of what they made.
#include "tests/crash/transform_run.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <map>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "broker/base/random.hpp"
#include "tests/crash/crash_clients.hpp"
#include "tests/support/broker_process.hpp"
#include "tests/support/run_program.hpp"
#include <brokerd/client.hpp>

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t workers = 2;
constexpr const char* inputs = "inputs";
constexpr const char* inputs_queue = "inputs/transform";
constexpr const char* outputs = "outputs";

using complaints = std::vector<std::string>;

void complain(complaints& to, std::string what) {
    if (to.size() < 50) {
        to.push_back(std::move(what));
    }
}

class worker_process {
public:
    worker_process(const std::filesystem::path& program, const std::string& server)
        : path_(program), arguments_{server, inputs_queue, outputs} {
        start();
    }

    void start() { process_.emplace(path_, arguments_, std::vector<std::string>{}, 24h); }

    // It never ends by itself.
    void kill(complaints& to) {
        process_->signal(SIGKILL);
        const auto end = process_->wait();
        process_.reset();
        if (end.exit_code != 128 + SIGKILL) {
            complain(to, fmt::format("a transformer ended with exit code {}: {}", end.exit_code,
                                     end.err));
        }
    }

private:
    std::filesystem::path path_;
    std::vector<std::string> arguments_;
    std::optional<test::program> process_;
};

// Publishes 1, 2, 3, ... one by one, so that the transformers keep up.
void publish_inputs(const std::string& server, std::uint64_t& acknowledged,
                    const std::atomic<bool>& stop) {
    auto client = connect(server, patient());
    while (!stop.load()) {
        (void)client.publish(
            inputs, {.key = {}, .headers = {}, .payload = std::to_string(acknowledged + 1)});
        ++acknowledged;
    }
    client.close();
}

// How often each number came, first while the transformers work on what is left, then without them.
std::map<std::uint64_t, std::uint64_t> take_outputs(const std::string& server, std::uint64_t wanted,
                                                    std::array<worker_process, workers>& running,
                                                    complaints& to) {
    std::map<std::uint64_t, std::uint64_t> times;
    auto client = connect(server, patient());
    auto from = client.open_reader(outputs);
    while (times.size() < wanted) {
        const auto message = from.next(10s);
        if (!message) {
            break;
        }
        ++times[content_of(message->payload)];
    }
    for (auto& each : running) {
        each.kill(to);
    }
    while (const auto message = from.next(500ms)) {
        ++times[content_of(message->payload)];
    }
    client.close();
    return times;
}

void audit_outputs(const std::map<std::uint64_t, std::uint64_t>& times, std::uint64_t wanted,
                   complaints& to) {
    for (std::uint64_t content = 1; content <= wanted; ++content) {
        if (!times.contains(content)) {
            complain(to, fmt::format("input {} has no output", content));
        }
    }
    for (const auto& [content, count] : times) {
        if (count > 1) {
            complain(to, fmt::format("input {} has {} outputs", content, count));
        }
        if (content < 1 || content > wanted) {
            complain(to, fmt::format("{} was put out and never in", content));
        }
    }
}

// Every input has its output, so none may come.
void audit_queue(const std::string& server, complaints& to) {
    auto client = connect(server, patient());
    auto from = client.open_consumer(inputs_queue);
    while (auto message = from.next(1500ms)) {
        complain(to, fmt::format("input {} is still in the queue", message->payload()));
        message->ack();
    }
    from.close();
    client.close();
}

}  // namespace

transform_report run_transform(const std::filesystem::path& brokerd,
                               const std::filesystem::path& transformer,
                               const std::filesystem::path& directory, const run_options& options) {
    base::random random(options.seed);
    transform_report report;
    support::broker_process broker({.program = brokerd,
                                    .data_dir = directory,
                                    .arguments = {},
                                    .environment = options.environment});
    const std::string server = broker.address();
    {
        auto client = connect(server, patient());
        client.ensure_queue(inputs_queue,
                            {.lease = 2s, .attempts = 1000, .backoff = 10ms, .backoff_max = 100ms});
        client.ensure_topic(outputs);
    }
    std::array<worker_process, workers> running{worker_process(transformer, server),
                                                worker_process(transformer, server)};
    std::atomic<bool> stop{false};
    {
        const std::jthread load([&] { publish_inputs(server, report.inputs, stop); });
        for (std::uint32_t cycle = 0; cycle < options.cycles; ++cycle) {
            std::this_thread::sleep_for(std::chrono::milliseconds(
                random.between(options.life_min.count(), options.life_max.count())));
            if (cycle % 3 == 2) {
                broker.kill();
                broker.restart();
                ++report.broker_kills;
            } else {
                auto& killed = running[random.below(workers)];
                killed.kill(report.violations);
                killed.start();
                ++report.worker_kills;
            }
        }
        stop = true;
    }
    const auto times = take_outputs(server, report.inputs, running, report.violations);
    audit_outputs(times, report.inputs, report.violations);
    audit_queue(server, report.violations);
    const int code = broker.terminate();
    if (code != 0) {
        complain(report.violations, fmt::format("brokerd ended with exit code {}", code));
    }
    return report;
}

}  // namespace brokerd::crash
