// A file system under RocksDB on which the power can be cut. It writes through to the real one, but
// remembers what no sync has covered: appended bytes of each file, and creations, renames and
// deletions since the directory was last synced. After a cut nothing works any more; once all
// files are closed, lose() takes away part of what was not synced, as a disk would: pages go
// missing in any order, a file ends early, the newest changes of the directory are undone.
//
// Only for files that are appended to, which is all that brokerd lets RocksDB write. Syncs are not
// passed on, so a test is not slowed down by the real disk. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <rocksdb/file_system.h>

#include "broker/base/random.hpp"

namespace brokerd::test {

class faulty_file_system : public rocksdb::FileSystemWrapper {
public:
    // Files that were overwritten or deleted are kept in `attic` until a sync makes that durable.
    explicit faulty_file_system(std::filesystem::path attic);

    [[nodiscard]] const char* Name() const override { return "faulty_file_system"; }

    // The power goes after so many more writes and syncs; 0 = now.
    void cut_after(std::uint64_t operations);
    [[nodiscard]] bool is_cut() const { return cut_.load(); }
    // Takes away what a cut leaves undecided and turns the power on again. All files are closed.
    void lose(std::uint64_t seed);

    // Syncs of files whose name ends so fail from the n-th on (1 = the next); 0 = none fails.
    void fail_syncs(std::string name_end, std::uint64_t from);
    // What GetFreeSpace answers, instead of the truth.
    void set_free_space(std::optional<std::uint64_t> bytes);
    [[nodiscard]] std::uint64_t operations() const { return operations_.load(); }

    rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* result,
                                      rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus ReopenWritableFile(const std::string& name,
                                         const rocksdb::FileOptions& options,
                                         std::unique_ptr<rocksdb::FSWritableFile>* result,
                                         rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                                 const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                   std::unique_ptr<rocksdb::FSDirectory>* result,
                                   rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options,
                                   std::uint64_t* bytes, rocksdb::IODebugContext* context) override;

private:
    friend class faulty_file;
    friend class faulty_directory;

    struct file_state {
        std::uint64_t size = 0;
        std::uint64_t synced = 0;
    };
    // A change of the directory that no sync has covered.
    struct change {
        enum class kind : std::uint8_t { created, renamed, deleted };
        kind what = kind::created;
        std::string name;
        std::string to;     // renamed
        std::string saved;  // what was deleted or replaced, in the attic; empty: nothing was
    };

    // Counts a write or sync; fails once the power is gone. Tables are the exception: they can
    // still be written, but nothing of it lasts. (A compaction that fails at its first write trips
    // an assertion in Debian's RocksDB; so it fails when it wants to enter its result.)
    rocksdb::IOStatus step(const std::string& name);
    [[nodiscard]] bool refuses(const std::string& name) const;
    void appended(const std::string& name, std::uint64_t bytes);
    void truncated(const std::string& name, std::uint64_t bytes);
    rocksdb::IOStatus synced(const std::string& name);
    void directory_synced();
    std::string save(const std::string& name);
    void forget_change(const change& what);
    void undo(const change& what);
    void lose_pages(const std::string& name, const file_state& state, base::random& random);

    const std::filesystem::path attic_;
    std::atomic<bool> cut_ = false;
    std::atomic<std::uint64_t> operations_ = 0;
    std::mutex mutex_;  // guards all below
    std::optional<std::uint64_t> operations_left_;
    std::string failing_end_;
    std::uint64_t failing_from_ = 0;
    std::map<std::string, file_state> files_;
    std::vector<change> changes_;
    std::uint64_t saved_ = 0;
    std::optional<std::uint64_t> free_space_;
};

}  // namespace brokerd::test
