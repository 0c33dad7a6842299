// Layout of a slot, the choice of the newest whole one, and the writing thread.
#include "broker/storage/marker.hpp"

#include <array>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "protocol/types/bytes.hpp"
#include "protocol/types/crc32c.hpp"

namespace brokerd::storage {

namespace fs = std::filesystem;

namespace {

constexpr auto write_interval = std::chrono::seconds(1);
constexpr std::string_view magic = "brokerdM";
constexpr std::uint32_t marker_version = 1;
constexpr std::size_t crc_at = 12;
constexpr std::size_t id_at = 24;
constexpr std::size_t id_bytes = 32;
constexpr std::size_t numbers_at = id_at + id_bytes;

using slot = std::array<std::byte, marker_slot_bytes>;

std::uint32_t crc_of(slot bytes) {
    store_le(bytes.data() + crc_at, std::uint32_t{0});
    return crc32c(0, bytes);
}

slot encode(const marker_state& state, std::uint64_t generation) {
    slot bytes{};
    std::memcpy(bytes.data(), magic.data(), magic.size());
    store_le(bytes.data() + 8, marker_version);
    store_le(bytes.data() + 16, generation);
    std::memcpy(bytes.data() + id_at, state.database_id.data(),
                std::min(id_bytes, state.database_id.size()));
    std::byte* const numbers = bytes.data() + numbers_at;
    store_le(numbers, state.synced.value());
    store_le(numbers + 8, state.sequence);
    store_le(numbers + 16, state.wal_number);
    store_le(numbers + 24, state.wal_bytes);
    store_le(bytes.data() + crc_at, crc_of(bytes));
    return bytes;
}

std::optional<found_marker> decode(std::string_view text) {
    slot bytes{};
    std::memcpy(bytes.data(), text.data(), bytes.size());
    if (!text.starts_with(magic) || load_le<std::uint32_t>(bytes.data() + 8) != marker_version ||
        load_le<std::uint32_t>(bytes.data() + crc_at) != crc_of(bytes)) {
        return std::nullopt;
    }
    found_marker found;
    found.generation = load_le<std::uint64_t>(bytes.data() + 16);
    found.state.database_id = text.substr(id_at, id_bytes);
    const std::byte* const numbers = bytes.data() + numbers_at;
    found.state.synced = commit_number{load_le<std::uint64_t>(numbers)};
    found.state.sequence = load_le<std::uint64_t>(numbers + 8);
    found.state.wal_number = load_le<std::uint64_t>(numbers + 16);
    found.state.wal_bytes = load_le<std::uint64_t>(numbers + 24);
    return found;
}

}  // namespace

io_outcome<void> create_marker(const fs::path& path, const std::string& database_id) {
    marker_state state;
    state.database_id = database_id;
    std::string text;
    for (const std::uint64_t generation : {0ULL, 1ULL}) {
        text.append(as_text(encode(state, generation)));
    }
    return write_whole_file(path, text);
}

open_outcome<std::optional<found_marker>> read_marker(const fs::path& path) {
    std::error_code error;
    if (!fs::exists(path, error) && !error) {
        return std::optional<found_marker>{};
    }
    const auto text = read_small_file(path, 2 * marker_slot_bytes);
    if (!text && !fs::is_regular_file(path, error)) {
        return open_failed(open_failure::failed, text.error());
    }
    std::optional<found_marker> newest;
    if (text && text->size() == 2 * marker_slot_bytes) {
        for (std::size_t i = 0; i < 2; ++i) {
            auto found = decode(std::string_view(*text).substr(i * marker_slot_bytes));
            if (found && (!newest || found->generation > newest->generation)) {
                newest = std::move(found);
            }
        }
    }
    if (!newest) {
        return open_failed(
            open_failure::refused,
            fmt::format("{} is damaged, so it cannot be told whether the newest messages are "
                        "there. {}",
                        path.string(), refusal_advice));
    }
    return newest;
}

marker_writer::marker_writer(fs::path path, file_handle file, found_marker found,
                             std::function<void(marker_state&)> measure,
                             std::function<void(const std::string&)> failed)
    : path_(std::move(path)),
      measure_(std::move(measure)),
      failed_(std::move(failed)),
      wanted_(found.state.synced),
      file_(std::move(file)),
      state_(std::move(found.state)),
      generation_(found.generation),
      thread_([this] { run(); }) {}

marker_writer::~marker_writer() {
    close();
}

void marker_writer::advance(commit_number synced) {
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        first = wanted_ <= state_.synced;  // the thread sleeps
        wanted_ = std::max(wanted_, synced);
    }
    if (first) {
        wake_.notify_one();
    }
}

void marker_writer::close() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
    }
    stop();
}

void marker_writer::abandon() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
        wanted_ = state_.synced;
    }
    stop();
}

void marker_writer::stop() {
    wake_.notify_one();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void marker_writer::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return closing_ || wanted_ > state_.synced; });
        const commit_number synced = wanted_;
        if (synced > state_.synced) {
            lock.unlock();
            write(synced);
            lock.lock();
            state_.synced = synced;
        }
        if (closing_ && wanted_ <= state_.synced) {
            return;
        }
        wake_.wait_for(lock, write_interval, [this] { return closing_; });
    }
}

void marker_writer::write(commit_number synced) {
    if (broken_) {
        return;
    }
    marker_state state = state_;
    state.synced = synced;
    measure_(state);
    const slot bytes = encode(state, ++generation_);
    auto done = write_at(file_, path_, bytes, (generation_ % 2) * marker_slot_bytes);
    if (done) {
        done = sync_file(file_, path_);
    }
    if (!done) {
        broken_ = true;
        failed_(done.error());
    }
}

}  // namespace brokerd::storage
