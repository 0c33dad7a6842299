// flock on DIR/lock, with the number of the process in it for people.
#include "broker/storage/directory_lock.hpp"

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

namespace brokerd::storage {

namespace {

constexpr std::size_t pid_bytes_max = 32;

std::string holder_of(const std::filesystem::path& path) {
    auto text = read_small_file(path, pid_bytes_max);
    if (!text || text->empty()) {
        return "another process";
    }
    while (!text->empty() && text->back() == '\n') {
        text->pop_back();
    }
    return "process " + *text;
}

}  // namespace

open_outcome<directory_lock> directory_lock::acquire(const std::filesystem::path& directory) {
    const auto path = directory / file_name;
    auto file = open_file(path, O_RDWR | O_CREAT);
    if (!file) {
        return open_failed(open_failure::failed, file.error());
    }
    if (::flock(file->get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) {
            return open_failed(open_failure::failed, io_failure("lock", path));
        }
        return open_failed(
            open_failure::locked,
            fmt::format("data directory {} is in use by {}; stop that brokerd or choose another "
                        "directory with --data-dir",
                        directory.string(), holder_of(path)));
    }
    // The number only helps people; the lock is what counts, so a full disk does not matter here.
    const std::string pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(file->get(), 0) == 0) {
        (void)write_at(*file, path, as_bytes(pid), 0);
    }
    return directory_lock(std::move(*file));
}

}  // namespace brokerd::storage
