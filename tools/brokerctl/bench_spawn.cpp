// Fork, exec, the line that says where it listens, and the end.
#include "tools/brokerctl/bench_spawn.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <linux/magic.h>
#include <poll.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "tools/brokerctl/exit_code.hpp"

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;

constexpr auto start_timeout = 30s;
constexpr std::string_view listening = "listening on ";

std::string default_parent() {
    const char* const chosen = std::getenv("TMPDIR");
    return chosen != nullptr && *chosen != '\0' ? chosen : "/var/tmp";
}

// The program to run; a name alone is looked for in PATH.
std::string brokerd_program() {
    std::error_code problem;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", problem);
    if (!problem) {
        const auto beside = self.parent_path() / "brokerd";
        if (::access(beside.c_str(), X_OK) == 0) {
            return beside.string();
        }
    }
    return "brokerd";
}

// In the new process, which has only what is safe after a fork.
[[noreturn]] void become(char* const* arguments, int out, int err, pid_t parent) {
    // Ctrl-C is for brokerctl, which ends the broker when it has its last figures.
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() == parent) {  // or it ended before the line above
        ::dup2(out, STDOUT_FILENO);
        ::dup2(err, STDERR_FILENO);
        ::execvp(arguments[0], arguments);
        ::dprintf(STDERR_FILENO, "cannot be started: error %d\n", errno);
    }
    ::_exit(127);
}

}  // namespace

bench_directory::bench_directory(const std::string& parent) {
    const std::string below = parent.empty() ? default_parent() : parent;
    std::string name = (std::filesystem::path(below) / "brokerd-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
        throw refusal(fmt::format("no directory can be made in {}: {}; --data-dir names another",
                                  below, std::generic_category().message(errno)));
    }
    path_ = std::move(name);
}

bench_directory::~bench_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

bool bench_directory::in_memory() const {
    struct statfs system{};
    return ::statfs(path_.c_str(), &system) == 0 &&
           (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
}

spawned_broker::spawned_broker(const std::string& parent_directory) : directory_(parent_directory) {
    start();
    const std::string line = first_line();
    if (!line.starts_with(listening)) {
        end();
        std::ifstream log(directory_.path() + "/log");
        throw refusal(fmt::format(
            "brokerd does not start: {}{}", line,
            std::string(std::istreambuf_iterator<char>(log), std::istreambuf_iterator<char>())));
    }
    address_ = line.substr(listening.size());
}

spawned_broker::~spawned_broker() {
    end();
}

void spawned_broker::start() {
    std::array<std::string, 7> words{brokerd_program(), "--data-dir",  directory_.path() + "/data",
                                     "--listen",        "127.0.0.1:0", "--log-level",
                                     "warning"};
    std::array<char*, words.size() + 1> arguments{};
    for (std::size_t i = 0; i < words.size(); ++i) {
        arguments[i] = words[i].data();
    }
    std::array<int, 2> out{};
    const int log = ::open((directory_.path() + "/log").c_str(),
                           O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0 || ::pipe2(out.data(), O_CLOEXEC) != 0) {
        throw refusal(
            fmt::format("brokerd does not start: {}", std::generic_category().message(errno)));
    }
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
        become(arguments.data(), out[1], log, parent);
    }
    ::close(out[1]);
    ::close(log);
    out_ = out[0];
}

// Without its end; what came of it when there is no more in time.
std::string spawned_broker::first_line() {
    std::string line;
    const auto until = std::chrono::steady_clock::now() + start_timeout;
    while (pid_ > 0) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            until - std::chrono::steady_clock::now());
        pollfd wanted{.fd = out_, .events = POLLIN, .revents = 0};
        char next = 0;
        const int ready = left <= 0ms ? 0 : ::poll(&wanted, 1, static_cast<int>(left.count()));
        if (ready < 0 && errno == EINTR) {
            return "interrupted meanwhile";
        }
        if (ready != 1 || ::read(out_, &next, 1) != 1 || next == '\n') {
            break;
        }
        line += next;
    }
    return line;
}

// Nothing of it is needed any more, so it is not asked to end in order.
void spawned_broker::end() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(std::exchange(pid_, -1), nullptr, 0);
    }
    if (out_ >= 0) {
        ::close(std::exchange(out_, -1));
    }
}

}  // namespace brokerd::ctl
