// Every operation first asks whether the power is on, then notes what no sync covers yet.
#include "tests/support/faulty_file_system.hpp"

#include <algorithm>
#include <fstream>
#include <utility>

namespace brokerd::test {

namespace fs = std::filesystem;

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

namespace {

constexpr std::uint64_t page_bytes = 4096;

IOStatus power_is_out() {
    return IOStatus::IOError("the power is out");
}

}  // namespace

class faulty_file : public rocksdb::FSWritableFileOwnerWrapper {
public:
    faulty_file(std::unique_ptr<rocksdb::FSWritableFile> real, faulty_file_system& system,
                std::string name)
        : FSWritableFileOwnerWrapper(std::move(real)), system_(system), name_(std::move(name)) {}

    IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                    IODebugContext* context) override {
        if (auto status = system_.step(name_); !status.ok()) return status;
        auto status = target()->Append(data, options, context);
        if (status.ok()) system_.appended(name_, data.size());
        return status;
    }
    IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                    const rocksdb::DataVerificationInfo& /*info*/,
                    IODebugContext* context) override {
        return Append(data, options, context);
    }
    IOStatus PositionedAppend(const rocksdb::Slice& /*data*/, uint64_t /*offset*/,
                              const IOOptions& /*options*/, IODebugContext* /*context*/) override {
        return IOStatus::NotSupported("only appending");
    }
    IOStatus PositionedAppend(const rocksdb::Slice& /*data*/, uint64_t /*offset*/,
                              const IOOptions& /*options*/,
                              const rocksdb::DataVerificationInfo& /*info*/,
                              IODebugContext* /*context*/) override {
        return IOStatus::NotSupported("only appending");
    }
    IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* context) override {
        if (system_.refuses(name_)) return power_is_out();
        auto status = target()->Truncate(size, options, context);
        if (status.ok()) system_.truncated(name_, size);
        return status;
    }
    IOStatus Sync(const IOOptions& /*options*/, IODebugContext* /*context*/) override {
        return system_.synced(name_);
    }
    IOStatus Fsync(const IOOptions& /*options*/, IODebugContext* /*context*/) override {
        return system_.synced(name_);
    }
    // Starts writing pages out, promises nothing.
    IOStatus RangeSync(uint64_t /*offset*/, uint64_t /*bytes*/, const IOOptions& /*options*/,
                       IODebugContext* /*context*/) override {
        return system_.step(name_);
    }

private:
    faulty_file_system& system_;
    std::string name_;
};

class faulty_directory : public rocksdb::FSDirectoryWrapper {
public:
    faulty_directory(std::unique_ptr<rocksdb::FSDirectory> real, faulty_file_system& system)
        : FSDirectoryWrapper(std::move(real)), system_(system) {}

    IOStatus Fsync(const IOOptions& /*options*/, IODebugContext* /*context*/) override {
        system_.directory_synced();
        return IOStatus::OK();
    }
    IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* context,
                                 const rocksdb::DirFsyncOptions& /*how*/) override {
        return Fsync(options, context);
    }

private:
    faulty_file_system& system_;
};

faulty_file_system::faulty_file_system(fs::path attic)
    : FileSystemWrapper(rocksdb::FileSystem::Default()), attic_(std::move(attic)) {
    fs::create_directories(attic_);
}

void faulty_file_system::cut_after(std::uint64_t operations) {
    const std::lock_guard lock(mutex_);
    operations_left_ = operations;
    if (operations == 0) {
        cut_ = true;
    }
}

void faulty_file_system::fail_syncs(std::string name_end, std::uint64_t from) {
    const std::lock_guard lock(mutex_);
    failing_end_ = std::move(name_end);
    failing_from_ = from;
}

void faulty_file_system::set_free_space(std::optional<std::uint64_t> bytes) {
    const std::lock_guard lock(mutex_);
    free_space_ = bytes;
}

bool faulty_file_system::refuses(const std::string& name) const {
    return cut_ && !name.ends_with(".sst");
}

IOStatus faulty_file_system::step(const std::string& name) {
    const std::lock_guard lock(mutex_);
    ++operations_;
    if (operations_left_ && !cut_) {
        if (*operations_left_ == 0) {
            cut_ = true;
        } else {
            --*operations_left_;
        }
    }
    return refuses(name) ? power_is_out() : IOStatus::OK();
}

void faulty_file_system::appended(const std::string& name, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    files_[name].size += bytes;
}

void faulty_file_system::truncated(const std::string& name, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    file_state& state = files_[name];
    state.size = bytes;
    state.synced = std::min(state.synced, bytes);
}

IOStatus faulty_file_system::synced(const std::string& name) {
    if (auto status = step(name); !status.ok()) {
        return status;
    }
    const std::lock_guard lock(mutex_);
    if (failing_from_ > 0 && name.ends_with(failing_end_) && --failing_from_ == 0) {
        failing_from_ = 1;
        return IOStatus::IOError("the sync of " + name + " was told to fail");
    }
    if (!cut_) {
        file_state& state = files_[name];
        state.synced = state.size;
    }
    return IOStatus::OK();
}

void faulty_file_system::directory_synced() {
    const std::lock_guard lock(mutex_);
    if (!cut_) {
        for (const change& each : changes_) {
            forget_change(each);
        }
        changes_.clear();
    }
}

void faulty_file_system::forget_change(const change& what) {
    if (!what.saved.empty()) {
        files_.erase(what.saved);
        fs::remove(what.saved);
    }
}

// Moves a file into the attic, if it is there.
std::string faulty_file_system::save(const std::string& name) {
    if (!fs::exists(name)) {
        return {};
    }
    const std::string saved = (attic_ / std::to_string(++saved_)).string();
    fs::rename(name, saved);
    if (const auto known = files_.extract(name)) {
        files_[saved] = known.mapped();
    }
    return saved;
}

IOStatus faulty_file_system::NewWritableFile(const std::string& name, const FileOptions& options,
                                             std::unique_ptr<rocksdb::FSWritableFile>* result,
                                             IODebugContext* context) {
    if (refuses(name)) {
        return power_is_out();
    }
    {
        const std::lock_guard lock(mutex_);
        changes_.push_back({change::kind::created, name, {}, save(name)});
        files_[name] = {};
    }
    std::unique_ptr<rocksdb::FSWritableFile> real;
    auto status = target()->NewWritableFile(name, options, &real, context);
    if (status.ok()) {
        *result = std::make_unique<faulty_file>(std::move(real), *this, name);
    }
    return status;
}

IOStatus faulty_file_system::ReopenWritableFile(const std::string& name, const FileOptions& options,
                                                std::unique_ptr<rocksdb::FSWritableFile>* result,
                                                IODebugContext* context) {
    if (cut_) {
        return power_is_out();
    }
    std::unique_ptr<rocksdb::FSWritableFile> real;
    auto status = target()->ReopenWritableFile(name, options, &real, context);
    if (status.ok()) {
        const std::lock_guard lock(mutex_);
        const auto size = fs::file_size(name);
        files_.try_emplace(name, file_state{size, size});
        *result = std::make_unique<faulty_file>(std::move(real), *this, name);
    }
    return status;
}

IOStatus faulty_file_system::RenameFile(const std::string& from, const std::string& to,
                                        const IOOptions& options, IODebugContext* context) {
    if (cut_) {
        return power_is_out();
    }
    const std::lock_guard lock(mutex_);
    changes_.push_back({change::kind::renamed, from, to, save(to)});
    auto status = target()->RenameFile(from, to, options, context);
    if (const auto known = files_.extract(from); status.ok() && known) {
        files_[to] = known.mapped();
    }
    return status;
}

IOStatus faulty_file_system::DeleteFile(const std::string& name, const IOOptions& /*options*/,
                                        IODebugContext* /*context*/) {
    if (cut_) {
        return power_is_out();
    }
    const std::lock_guard lock(mutex_);
    std::string saved = save(name);
    if (saved.empty()) {
        return IOStatus::PathNotFound(name);
    }
    changes_.push_back({change::kind::deleted, name, {}, std::move(saved)});
    return IOStatus::OK();
}

IOStatus faulty_file_system::NewDirectory(const std::string& name, const IOOptions& options,
                                          std::unique_ptr<rocksdb::FSDirectory>* result,
                                          IODebugContext* context) {
    std::unique_ptr<rocksdb::FSDirectory> real;
    auto status = target()->NewDirectory(name, options, &real, context);
    if (status.ok()) {
        *result = std::make_unique<faulty_directory>(std::move(real), *this);
    }
    return status;
}

IOStatus faulty_file_system::GetFreeSpace(const std::string& path, const IOOptions& options,
                                          std::uint64_t* bytes, IODebugContext* context) {
    {
        const std::lock_guard lock(mutex_);
        if (free_space_) {
            *bytes = *free_space_;
            return IOStatus::OK();
        }
    }
    return target()->GetFreeSpace(path, options, bytes, context);
}

void faulty_file_system::undo(const change& what) {
    const auto bring_back = [&](const std::string& name) {
        if (!what.saved.empty()) {
            fs::rename(what.saved, name);
            if (const auto known = files_.extract(what.saved)) {
                files_[name] = known.mapped();
            }
        }
    };
    switch (what.what) {
        case change::kind::created:
            fs::remove(what.name);
            files_.erase(what.name);
            bring_back(what.name);
            break;
        case change::kind::renamed:
            fs::rename(what.to, what.name);
            if (const auto known = files_.extract(what.to)) {
                files_[what.name] = known.mapped();
            }
            bring_back(what.to);
            break;
        case change::kind::deleted: bring_back(what.name); break;
    }
}

void faulty_file_system::lose_pages(const std::string& name, const file_state& state,
                                    base::random& random) {
    const std::uint64_t unsynced = state.size - state.synced;
    switch (random.below(4)) {
        case 0: fs::resize_file(name, state.synced); return;
        case 1: return;
        case 2: fs::resize_file(name, state.synced + random.below(unsynced + 1)); return;
        default: break;
    }
    // The file has its full length, but some of the pages never arrived.
    std::fstream file(name, std::ios::binary | std::ios::in | std::ios::out);
    for (std::uint64_t from = state.synced; from < state.size;) {
        const std::uint64_t end = std::min(state.size, (from / page_bytes + 1) * page_bytes);
        if (random.chance(1, 2)) {
            const std::string zeros(end - from, '\0');
            file.seekp(static_cast<std::streamoff>(from));
            file.write(zeros.data(), static_cast<std::streamsize>(zeros.size()));
        }
        from = end;
    }
}

void faulty_file_system::lose(std::uint64_t seed) {
    const std::lock_guard lock(mutex_);
    base::random random(seed);
    // A journal keeps the order of changes: the oldest ones stay.
    const std::uint64_t stay = random.below(changes_.size() + 1);
    while (changes_.size() > stay) {
        undo(changes_.back());
        changes_.pop_back();
    }
    for (const change& each : changes_) {
        forget_change(each);
    }
    changes_.clear();
    for (const auto& [name, state] : files_) {
        if (state.size > state.synced && fs::exists(name)) {
            lose_pages(name, state, random);
        }
    }
    files_.clear();
    operations_left_.reset();
    cut_ = false;
}

}  // namespace brokerd::test
