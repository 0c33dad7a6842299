// Writes one line of JSON for each message of a topic, through a queue of its own: it sees every
// message however far other queues of the topic are.
//
//     {"message":"emails@0","time":"2026-03-01T10:00:00.000Z","key":"ada@example.com","bytes":64}
//
// A message is acked when its line is on disk. After a crash in between its line is written again;
// the address in "message" tells.
#include <cerrno>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/samples/service.hpp"
#include <brokerd/client.hpp>

namespace {

struct options {
    std::string broker = "127.0.0.1:4650";
    std::string queue = "emails/audit";
    std::string file;
};

options parse_options(int argc, char** argv) {
    options chosen;
    CLI::App app{"Writes a line for each message of a topic."};
    app.add_option("--broker", chosen.broker, "HOST:PORT of brokerd")
        ->envname("BROKERD_SERVER")
        ->capture_default_str();
    app.add_option("--queue", chosen.queue, "TOPIC/QUEUE to consume")->capture_default_str();
    app.add_option("--file", chosen.file, "file to append to (default: standard output)");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error) == 0 ? 0 : 64);
    }
    return chosen;
}

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

// A file that only grows, by whole lines.
class line_file {
public:
    // An empty path: standard output.
    explicit line_file(const std::string& path)
        : name_(path.empty() ? "standard output" : path), descriptor_(STDOUT_FILENO) {
        if (!path.empty()) {
            descriptor_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
            if (descriptor_ < 0) {
                fail("cannot open " + name_);
            }
        }
    }
    ~line_file() { ::close(descriptor_); }
    line_file(const line_file&) = delete;
    line_file& operator=(const line_file&) = delete;

    void append(const std::string& line) const {
        const ssize_t written = ::write(descriptor_, line.data(), line.size());
        if (written != static_cast<ssize_t>(line.size())) {
            fail("cannot write to " + name_);
        }
        // A pipe or a terminal cannot be synced, which is no failure.
        if (::fdatasync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) {
            fail("cannot sync " + name_);
        }
    }

private:
    std::string name_;
    int descriptor_;
};

std::string line_of(const brokerd::message& message) {
    const nlohmann::ordered_json line{{"message", to_string(message.at())},
                                      {"time", samples::format_time(message.time())},
                                      {"key", message.key().value_or("")},
                                      {"bytes", message.payload().size()}};
    // Keys may hold any bytes; what is not UTF-8 is replaced.
    return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void run(const options& chosen) {
    const samples::stop_signal stop;
    const line_file file(chosen.file);
    auto client = samples::connect(stop, chosen.broker);
    client.ensure_queue(chosen.queue);
    samples::log("consuming " + chosen.queue);
    const std::uint64_t handled = client.consume(
        chosen.queue, [&](brokerd::message& message) { file.append(line_of(message)); },
        {.stop = stop.token()});
    samples::log(fmt::format("stopped after {} messages", handled));
}

}  // namespace

int main(int argc, char** argv) {
    try {
        run(parse_options(argc, argv));
        return 0;
    } catch (const std::exception& error) {
        samples::log(error.what());
        return 1;
    }
}
