// Latches background errors, counts written bytes, formats log lines into a bounded buffer.
#include "broker/storage/rocks_events.hpp"

#include <array>
#include <cstdarg>
#include <cstdio>

#include <fmt/format.h>

namespace brokerd::storage {

namespace {

constexpr std::size_t log_line_bytes_max = 1024;

std::string_view name_of(rocksdb::BackgroundErrorReason reason) {
    switch (reason) {
        case rocksdb::BackgroundErrorReason::kFlush:
        case rocksdb::BackgroundErrorReason::kFlushNoWAL: return "flush";
        case rocksdb::BackgroundErrorReason::kCompaction: return "compaction";
        case rocksdb::BackgroundErrorReason::kWriteCallback: return "write to the log";
        case rocksdb::BackgroundErrorReason::kMemTable: return "memtable";
        case rocksdb::BackgroundErrorReason::kManifestWrite:
        case rocksdb::BackgroundErrorReason::kManifestWriteNoWAL: return "manifest write";
    }
    return "write";
}

// With every open RocksDB lists the files of its directory for its log, and finds it an error that
// a new one is not there yet: `[ERROR] Error when reading DIR/db dir NotFound: `.
bool is_of_new_directory(std::string_view line) {
    line = line.substr(0, line.find_last_not_of(" \n") + 1);
    return line.starts_with("[ERROR] Error when reading ") && line.ends_with(" dir NotFound:");
}

}  // namespace

void failure_latch::set(std::string text) {
    const std::lock_guard lock(mutex_);
    if (text_.empty()) {
        text_ = std::move(text);
        set_.store(true, std::memory_order_release);
    }
}

std::string failure_latch::text() const {
    const std::lock_guard lock(mutex_);
    return text_;
}

void rocks_listener::OnFlushCompleted(rocksdb::DB* /*db*/, const rocksdb::FlushJobInfo& info) {
    table_bytes_.fetch_add(info.table_properties.data_size + info.table_properties.index_size,
                           std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_relaxed);
}

void rocks_listener::OnCompactionCompleted(rocksdb::DB* /*db*/,
                                           const rocksdb::CompactionJobInfo& info) {
    table_bytes_.fetch_add(info.stats.total_output_bytes, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_relaxed);
}

void rocks_listener::OnBackgroundError(rocksdb::BackgroundErrorReason reason,
                                       rocksdb::Status* error) {
    failed_->set(fmt::format("RocksDB {} failed: {}", name_of(reason), error->ToString()));
}

void rocks_logger::Logv(const char* format, va_list arguments) {
    if (!warn_) {
        return;
    }
    std::array<char, log_line_bytes_max> line{};
    const int size = std::vsnprintf(line.data(), line.size(), format, arguments);
    if (size <= 0) {
        return;
    }
    const std::string_view text(line.data(),
                                std::min(static_cast<std::size_t>(size), line.size() - 1));
    if (!is_of_new_directory(text)) {
        warn_(text);
    }
}

}  // namespace brokerd::storage
