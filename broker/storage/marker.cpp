// The file of the slots, and the thread that writes them.
#include "broker/storage/marker.hpp"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "protocol/types/bytes.hpp"

namespace brokerd::storage {

namespace fs = std::filesystem;

namespace {

constexpr auto write_interval = std::chrono::seconds(1);

}  // namespace

io_outcome<void> create_marker(const fs::path& path, const std::string& database_id) {
    marker_state state;
    state.database_id = database_id;
    std::string text;
    for (const std::uint64_t generation : {0ULL, 1ULL}) {
        text.append(as_text(encode_marker_slot(state, generation)));
    }
    return write_whole_file(path, text);
}

open_outcome<std::optional<found_marker>> read_marker(const fs::path& path) {
    std::error_code error;
    if (!fs::exists(path, error) && !error) {
        return std::optional<found_marker>{};
    }
    const auto text = read_small_file(path, marker_slots * marker_slot_bytes);
    if (!text && !fs::is_regular_file(path, error)) {
        return open_failed(open_failure::failed, text.error());
    }
    auto newest = text ? newest_marker_slot(*text) : std::nullopt;
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
    const marker_slot bytes = encode_marker_slot(state, ++generation_);
    auto done = write_at(file_, path_, bytes, (generation_ % marker_slots) * marker_slot_bytes);
    if (done) {
        done = sync_file(file_, path_);
    }
    if (!done) {
        broken_ = true;
        failed_(done.error());
    }
}

}  // namespace brokerd::storage
