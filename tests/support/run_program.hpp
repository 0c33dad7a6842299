// A program of this build as a child: what it is given on standard input, what it prints, how it
// ends. Waits for events, bounded by a deadline; nothing sleeps. One owner at a time.
#pragma once

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <spawn.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

extern char** environ;

namespace brokerd::test {

// The program `name` of this build.
[[nodiscard]] inline std::filesystem::path program_path(std::string_view name) {
    const char* const directory = std::getenv("BROKERD_BIN_DIR");
    if (directory == nullptr) {
        throw std::runtime_error("BROKERD_BIN_DIR is not set; run this test through ctest");
    }
    return std::filesystem::path(directory) / name;
}

struct program_end {
    int exit_code = -1;  // 128 + number if a signal ended it
    std::string out;
    std::string err;
};

class program {
public:
    // `environment`: NAME=VALUE on top of ours; a NAME of ours is replaced.
    program(const std::filesystem::path& path, std::vector<std::string> arguments,
            std::vector<std::string> environment = {},
            std::chrono::milliseconds at_most = std::chrono::seconds{60})
        : deadline_(std::chrono::steady_clock::now() + at_most) {
        pipe_pair in;
        pipe_pair out;
        pipe_pair err;
        arguments.insert(arguments.begin(), path.string());
        add_environment(environment);
        posix_spawn_file_actions_t files;
        posix_spawn_file_actions_init(&files);
        posix_spawn_file_actions_adddup2(&files, in.read, STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&files, out.write, STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&files, err.write, STDERR_FILENO);
        // We ignore SIGPIPE, as a child may end before it has read all; the child does not.
        std::signal(SIGPIPE, SIG_IGN);
        posix_spawnattr_t attributes;
        posix_spawnattr_init(&attributes);
        sigset_t defaults;
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE);
        posix_spawnattr_setsigdefault(&attributes, &defaults);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
        const int error = posix_spawn(&pid_, path.c_str(), &files, &attributes,
                                      pointers(arguments).data(), pointers(environment).data());
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&files);
        if (error != 0) {
            pid_ = -1;
            throw std::runtime_error("cannot start " + path.string());
        }
        in_ = std::exchange(in.write, -1);
        ::fcntl(in_, F_SETFL, O_NONBLOCK);  // write() reads, too, while the pipe is full
        out_ = std::exchange(out.read, -1);
        err_ = std::exchange(err.read, -1);
    }
    program(const program&) = delete;
    program& operator=(const program&) = delete;
    ~program() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        close_fd(in_);
        close_fd(out_);
        close_fd(err_);
    }

    void signal(int number) const { ::kill(pid_, number); }

    // Writes all of `text` to its standard input while reading what it prints.
    void write(std::string_view text) {
        while (!text.empty() && in_ >= 0) {
            pump(true);
            const auto written =
                ::write(in_, text.data(), std::min<std::size_t>(text.size(), 4096));
            if (written > 0) {
                text.remove_prefix(static_cast<std::size_t>(written));
            } else if (written < 0 && errno != EAGAIN && errno != EINTR) {
                close_fd(in_);
            }
        }
    }
    void close_input() { close_fd(in_); }
    // As a reader that goes away.
    void close_output() { close_fd(out_); }

    // Waits until it has printed `text`; throws with all it printed if that does not come.
    void wait_for_output(std::string_view text) {
        while (end_.out.find(text) == std::string::npos) {
            if (out_ < 0) {
                throw std::runtime_error("the program ended without printing \"" +
                                         std::string(text) + "\": " + end_.out + end_.err);
            }
            pump(false);
        }
    }

    // Closes its input and waits for its end.
    program_end wait() {
        close_input();
        while (out_ >= 0 || err_ >= 0) {
            pump(false);
        }
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
        end_.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return end_;
    }

private:
    struct pipe_pair {
        pipe_pair() {
            int ends[2];
            if (::pipe2(ends, O_CLOEXEC) != 0) {
                throw std::runtime_error("cannot create a pipe");
            }
            read = ends[0];
            write = ends[1];
        }
        pipe_pair(const pipe_pair&) = delete;
        pipe_pair& operator=(const pipe_pair&) = delete;
        ~pipe_pair() {
            close_fd(read);
            close_fd(write);
        }
        int read = -1;
        int write = -1;
    };

    static void close_fd(int& descriptor) {
        if (descriptor >= 0) {
            ::close(std::exchange(descriptor, -1));
        }
    }

    static std::vector<char*> pointers(std::vector<std::string>& texts) {
        std::vector<char*> result;
        for (auto& text : texts) {
            result.push_back(text.data());
        }
        result.push_back(nullptr);
        return result;
    }

    static void add_environment(std::vector<std::string>& own) {
        const auto given = own.size();
        for (char** at = environ; *at != nullptr; ++at) {
            const std::string_view entry{*at};
            const auto name = entry.substr(0, entry.find('=') + 1);
            bool replaced = false;
            for (std::size_t i = 0; i < given; ++i) {
                replaced = replaced || own[i].starts_with(name);
            }
            if (!replaced) {
                own.emplace_back(entry);
            }
        }
    }

    // Waits for the program to print, or with `to_write` to take input, and reads what it printed.
    void pump(bool to_write) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline_ - std::chrono::steady_clock::now());
        pollfd wanted[3]{{out_, POLLIN, 0}, {err_, POLLIN, 0}, {to_write ? in_ : -1, POLLOUT, 0}};
        if (left.count() <= 0 || ::poll(wanted, 3, static_cast<int>(left.count())) == 0) {
            throw std::runtime_error("the program did not end in time; it printed: " + end_.out +
                                     end_.err);
        }
        if (wanted[0].revents != 0) {
            take(out_, end_.out);
        }
        if (wanted[1].revents != 0) {
            take(err_, end_.err);
        }
    }

    static void take(int& from, std::string& to) {
        char buffer[65536];
        const auto count = ::read(from, buffer, sizeof buffer);
        if (count > 0) {
            to.append(buffer, static_cast<std::size_t>(count));
        } else if (count == 0 || errno != EINTR) {
            close_fd(from);
        }
    }

    std::chrono::steady_clock::time_point deadline_;
    pid_t pid_ = -1;
    int in_ = -1;
    int out_ = -1;
    int err_ = -1;
    program_end end_;
};

// Runs a program to its end.
inline program_end run_program(const std::filesystem::path& path,
                               std::vector<std::string> arguments, std::string_view input = {},
                               std::vector<std::string> environment = {}) {
    program child(path, std::move(arguments), std::move(environment));
    child.write(input);
    return child.wait();
}

}  // namespace brokerd::test
