// POSIX calls with their EINTR loops and error texts.
#include "broker/storage/file_io.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/types.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

namespace brokerd::storage {

namespace fs = std::filesystem;

namespace {

constexpr mode_t created_mode = 0640;

std::unexpected<std::string> io_failed(std::string_view verb, const fs::path& path) {
    return std::unexpected(io_failure(verb, path));
}

}  // namespace

std::string io_failure(std::string_view verb, const fs::path& path) {
    return fmt::format("cannot {} {}: {}", verb, path.string(),
                       std::generic_category().message(errno));
}

file_handle& file_handle::operator=(file_handle&& other) noexcept {
    if (this != &other) {
        close();
        fd_ = other.release();
    }
    return *this;
}

file_handle::~file_handle() {
    close();
}

void file_handle::close() {
    if (fd_ >= 0) {
        ::close(fd_);
        fd_ = -1;
    }
}

int file_handle::release() {
    return std::exchange(fd_, -1);
}

io_outcome<file_handle> open_file(const fs::path& path, int flags) {
    int fd = -1;
    do {
        fd = ::open(path.c_str(), flags | O_CLOEXEC, created_mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return io_failed("open", path);
    }
    return file_handle(fd);
}

io_outcome<std::string> read_small_file(const fs::path& path, std::size_t bytes_max) {
    auto file = open_file(path, O_RDONLY);
    if (!file) {
        return std::unexpected(file.error());
    }
    std::string text(bytes_max + 1, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const ssize_t got = ::read(file->get(), text.data() + size, text.size() - size);
        if (got < 0 && errno != EINTR) {
            return io_failed("read", path);
        }
        if (got == 0) {
            text.resize(size);
            return text;
        }
        size += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
    }
    return std::unexpected(
        fmt::format("{} is larger than the {} bytes it may have", path.string(), bytes_max));
}

io_outcome<void> write_at(const file_handle& file, const fs::path& path, byte_view bytes,
                          std::uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t done =
            ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (done < 0) {
            if (errno == EINTR) continue;
            return io_failed("write", path);
        }
        bytes = bytes.subspan(static_cast<std::size_t>(done));
        offset += static_cast<std::uint64_t>(done);
    }
    return {};
}

io_outcome<void> sync_file(const file_handle& file, const fs::path& path) {
    if (::fdatasync(file.get()) != 0) {
        return io_failed("sync", path);
    }
    return {};
}

io_outcome<void> sync_directory(const fs::path& path) {
    auto directory = open_file(path, O_RDONLY | O_DIRECTORY);
    if (!directory) {
        return std::unexpected(directory.error());
    }
    if (::fsync(directory->get()) != 0) {
        return io_failed("sync", path);
    }
    return {};
}

io_outcome<void> write_whole_file(const fs::path& path, std::string_view text) {
    const fs::path fresh = path.string() + ".new";
    auto file = open_file(fresh, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file) {
        return std::unexpected(file.error());
    }
    if (auto written = write_at(*file, fresh, as_bytes(text), 0); !written) {
        return written;
    }
    if (auto synced = sync_file(*file, fresh); !synced) {
        return synced;
    }
    if (::rename(fresh.c_str(), path.c_str()) != 0) {
        return io_failed("create", path);
    }
    return sync_directory(path.parent_path());
}

}  // namespace brokerd::storage
