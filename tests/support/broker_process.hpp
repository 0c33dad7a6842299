// The real brokerd as a child process: port 0, a directory of the test's own, its log in a file.
// Everything waits for events, bounded by deadlines; nothing sleeps. One owner at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

namespace brokerd::support {

struct broker_options {
    std::filesystem::path program;         // empty: brokerd of this build
    std::filesystem::path data_dir;        // its log goes to DATA_DIR.log
    std::vector<std::string> arguments;    // further ones
    std::vector<std::string> environment;  // NAME=VALUE, on top of ours
};

// Of a brokerd that ended by itself.
struct broker_end {
    int exit_code = -1;  // 128 + number if a signal ended it
    std::string out;
    std::string err;
};

class broker_process {
public:
    // Starts brokerd and waits for its `listening on` line. Throws std::runtime_error with its log
    // if that does not come.
    explicit broker_process(broker_options options);
    broker_process(const broker_process&) = delete;
    broker_process& operator=(const broker_process&) = delete;
    ~broker_process();  // kills it if it still runs

    // HOST:PORT; the same after restart().
    [[nodiscard]] const std::string& address() const { return address_; }
    [[nodiscard]] std::uint16_t port() const;
    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] bool running() const { return pid_ > 0; }

    void signal(int number) const;
    // SIGKILL, and waits for the end.
    void kill();
    // SIGTERM, and waits for the end. Returns the exit code, 128 + number after a signal.
    int terminate();
    // Waits for an end that comes by itself. Throws if it does not come in time.
    int wait(std::chrono::milliseconds at_most = std::chrono::seconds{30});
    // Starts it again on the same port, directory and options.
    void restart();

    // Everything logged so far, by all starts.
    [[nodiscard]] std::string log() const;

    // Runs a brokerd that is expected to end by itself.
    [[nodiscard]] static broker_end run_to_end(const std::vector<std::string>& arguments,
                                               const std::vector<std::string>& environment = {});
    // brokerd of this build, from BROKERD_BIN_DIR.
    [[nodiscard]] static std::filesystem::path default_program();

private:
    void start(const std::string& listen);

    broker_options options_;
    std::string address_;
    pid_t pid_ = -1;
    int out_ = -1;  // its standard output; kept open
};

}  // namespace brokerd::support
