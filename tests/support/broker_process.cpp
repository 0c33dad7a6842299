// Spawning and watching the child.
#include "tests/support/broker_process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <spawn.h>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

extern char** environ;

namespace brokerd::support {
namespace {

using namespace std::chrono_literals;

constexpr auto start_timeout = 30s;
constexpr std::string_view listening = "listening on ";

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (auto& text : texts) {
        result.push_back(text.data());
    }
    result.push_back(nullptr);
    return result;
}

// A later value of the same name wins.
std::vector<std::string> environment_with(const std::vector<std::string>& more) {
    std::vector<std::string> result = more;
    for (char** at = environ; *at != nullptr; ++at) {
        const std::string_view entry{*at};
        const auto name = entry.substr(0, entry.find('=') + 1);
        bool replaced = false;
        for (const auto& own : more) {
            replaced = replaced || own.starts_with(name);
        }
        if (!replaced) {
            result.emplace_back(entry);
        }
    }
    return result;
}

pid_t spawn(const std::filesystem::path& program, std::vector<std::string> arguments,
            const std::vector<std::string>& environment, int out, int err) {
    arguments.insert(arguments.begin(), program.string());
    auto variables = environment_with(environment);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, err, STDERR_FILENO);
    pid_t pid = -1;
    const int error = posix_spawn(&pid, program.c_str(), &files, nullptr,
                                  pointers(arguments).data(), pointers(variables).data());
    posix_spawn_file_actions_destroy(&files);
    if (error != 0) {
        throw std::runtime_error("cannot start " + program.string());
    }
    return pid;
}

int exit_code_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// Readable within the time?
bool poll_in(int fd, std::chrono::milliseconds at_most) {
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    return poll(&waiting, 1, static_cast<int>(at_most.count())) == 1;
}

}  // namespace

std::filesystem::path broker_process::default_program() {
    const char* directory = std::getenv("BROKERD_BIN_DIR");
    if (directory == nullptr) {
        throw std::runtime_error("BROKERD_BIN_DIR is not set: run the tests through ctest");
    }
    return std::filesystem::path{directory} / "brokerd";
}

broker_process::broker_process(broker_options options) : options_(std::move(options)) {
    if (options_.program.empty()) {
        options_.program = default_program();
    }
    start("127.0.0.1:0");
}

broker_process::~broker_process() {
    if (running()) {
        kill();
    }
}

void broker_process::start(const std::string& listen) {
    std::vector<std::string> arguments{"--data-dir", options_.data_dir.string(), "--listen",
                                       listen};
    arguments.insert(arguments.end(), options_.arguments.begin(), options_.arguments.end());
    std::array<int, 2> out{};
    if (pipe2(out.data(), O_CLOEXEC) != 0) {
        throw std::runtime_error("no pipe");
    }
    const auto log_path = options_.data_dir.string() + ".log";
    const int err = open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_ = spawn(options_.program, std::move(arguments), options_.environment, out[1], err);
    close(out[1]);
    close(err);
    out_ = out[0];

    std::string line;
    const auto until = std::chrono::steady_clock::now() + start_timeout;
    while (!line.ends_with('\n')) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            until - std::chrono::steady_clock::now());
        char c = 0;
        if (left <= 0ms || !poll_in(out_, left) || ::read(out_, &c, 1) != 1) {
            kill();
            throw std::runtime_error("brokerd does not start; its log:\n" + log());
        }
        line += c;
    }
    if (!line.starts_with(listening)) {
        kill();
        throw std::runtime_error("brokerd said: " + line);
    }
    address_ = line.substr(listening.size(), line.size() - listening.size() - 1);
}

std::uint16_t broker_process::port() const {
    return static_cast<std::uint16_t>(std::stoul(address_.substr(address_.rfind(':') + 1)));
}

void broker_process::signal(int number) const {
    ::kill(pid_, number);
}

void broker_process::kill() {
    signal(SIGKILL);
    wait();
}

int broker_process::terminate() {
    signal(SIGTERM);
    return wait();
}

int broker_process::wait(std::chrono::milliseconds at_most) {
    const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    const bool ended = fd >= 0 && poll_in(fd, at_most);
    if (fd >= 0) {
        close(fd);
    }
    if (!ended) {
        throw std::runtime_error("brokerd does not end; its log:\n" + log());
    }
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    close(std::exchange(out_, -1));
    return exit_code_of(status);
}

void broker_process::restart() {
    start(address_);
}

std::string broker_process::log() const {
    return read_file(options_.data_dir.string() + ".log");
}

broker_end broker_process::run_to_end(const std::vector<std::string>& arguments,
                                      const std::vector<std::string>& environment) {
    std::array<std::FILE*, 2> files{std::tmpfile(), std::tmpfile()};
    const pid_t pid =
        spawn(default_program(), arguments, environment, fileno(files[0]), fileno(files[1]));
    const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    if (!poll_in(fd, start_timeout)) {
        ::kill(pid, SIGKILL);
    }
    close(fd);
    int status = 0;
    waitpid(pid, &status, 0);
    std::array<std::string, 2> texts;
    for (std::size_t i = 0; i < files.size(); ++i) {
        std::rewind(files[i]);
        for (int c = std::fgetc(files[i]); c != EOF; c = std::fgetc(files[i])) {
            texts[i] += static_cast<char>(c);
        }
        std::fclose(files[i]);
    }
    return {exit_code_of(status), texts[0], texts[1]};
}

}  // namespace brokerd::support
