// A brokerd of our own for one measurement: it ends with us, whatever ends us, and its data goes
// with it. Owner: the main thread, before it starts any other.
#pragma once

#include <string>
#include <sys/types.h>

namespace brokerd::ctl {

// A directory that is removed with everything in it.
class bench_directory {
public:
    // Below `parent`; empty: below $TMPDIR or /var/tmp, which is on a disk where /tmp may not be.
    explicit bench_directory(const std::string& parent);
    ~bench_directory();
    bench_directory(const bench_directory&) = delete;
    bench_directory& operator=(const bench_directory&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    // Its file system is kept in memory: a sync costs nothing there.
    [[nodiscard]] bool in_memory() const;

private:
    std::string path_;
};

class spawned_broker {
public:
    // Starts the brokerd beside our own program, or the one in PATH, and waits until it listens.
    // Throws refusal with what it said if it does not.
    explicit spawned_broker(const std::string& parent_directory);
    ~spawned_broker();
    spawned_broker(const spawned_broker&) = delete;
    spawned_broker& operator=(const spawned_broker&) = delete;

    [[nodiscard]] const std::string& address() const { return address_; }
    [[nodiscard]] const bench_directory& directory() const { return directory_; }

private:
    void start();
    [[nodiscard]] std::string first_line();
    void end();

    bench_directory directory_;
    std::string address_;
    pid_t pid_ = -1;
    int out_ = -1;  // its standard output; open as long as it runs
};

}  // namespace brokerd::ctl
