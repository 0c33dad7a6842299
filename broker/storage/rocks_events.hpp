// What RocksDB reports by itself: its log lines, background errors, bytes written. Called on its
// own threads; any thread may read.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <rocksdb/env.h>
#include <rocksdb/listener.h>

namespace brokerd::storage {

// The first failure after which nothing is written any more. Latched: it never goes away.
class failure_latch {
public:
    void set(std::string text);
    [[nodiscard]] bool is_set() const { return set_.load(std::memory_order_acquire); }
    [[nodiscard]] std::string text() const;

private:
    std::atomic<bool> set_ = false;
    mutable std::mutex mutex_;
    std::string text_;  // guarded by mutex_
};

class rocks_listener : public rocksdb::EventListener {
public:
    explicit rocks_listener(std::shared_ptr<failure_latch> failed) : failed_(std::move(failed)) {}

    void OnFlushCompleted(rocksdb::DB* db, const rocksdb::FlushJobInfo& info) override;
    void OnCompactionCompleted(rocksdb::DB* db, const rocksdb::CompactionJobInfo& info) override;
    void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override;

    // Written by flushes and compactions since the start.
    [[nodiscard]] std::uint64_t table_bytes_written() const {
        return table_bytes_.load(std::memory_order_relaxed);
    }

    // Changes with every flush and compaction.
    [[nodiscard]] std::uint64_t tables_generation() const {
        return generation_.load(std::memory_order_relaxed);
    }

private:
    std::shared_ptr<failure_latch> failed_;
    std::atomic<std::uint64_t> table_bytes_ = 0;
    std::atomic<std::uint64_t> generation_ = 1;
};

// RocksDB's info log, handed to `warn` line by line. Never written into the data directory: there
// a full disk makes Debian's build abort on an assertion. Left out is the one line that every new
// directory causes.
class rocks_logger : public rocksdb::Logger {
public:
    explicit rocks_logger(std::function<void(std::string_view)> warn)
        : Logger(rocksdb::WARN_LEVEL), warn_(std::move(warn)) {}

    using Logger::Logv;
    void Logv(const char* format, va_list arguments) override;

private:
    std::function<void(std::string_view)> warn_;
};

}  // namespace brokerd::storage
