// The seam between the engine and where its commits become durable. Today they go straight to the
// store with one sync; a replicated log would take the same batches.
//
// Commit thread only.
#pragma once

#include <vector>

#include "broker/domain/mutation.hpp"
#include "broker/storage/store.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::storage {

class commit_log {
public:
    commit_log() = default;
    commit_log(const commit_log&) = delete;
    commit_log& operator=(const commit_log&) = delete;
    virtual ~commit_log() = default;

    // Makes a batch durable under its number, and with it all before. Blocks. Anything but done and
    // no_space is final: no further append succeeds. After no_space the number is free again.
    [[nodiscard]] virtual append_result append(commit_number number,
                                               const std::vector<domain::mutation>& batch) = 0;
};

class local_commit_log final : public commit_log {
public:
    explicit local_commit_log(store& where) : where_(where) {}

    [[nodiscard]] append_result append(commit_number number,
                                       const std::vector<domain::mutation>& batch) override {
        return where_.apply(number, batch, true);
    }

private:
    store& where_;
};

}  // namespace brokerd::storage
