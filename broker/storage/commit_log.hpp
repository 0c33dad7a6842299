// The seam between the engine and where its commits become durable. Today they go straight to the
// store, with one sync or, for now, without; a replicated log would take the same batches.
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

    // Hands a batch over under its number, so that only a power cut can take it, and with `sync`
    // makes it durable, and with it all before. Blocks. Anything but done and no_space is final: no
    // further append succeeds. After no_space the number is free again.
    [[nodiscard]] virtual append_result append(commit_number number,
                                               const std::vector<domain::mutation>& batch,
                                               bool sync) = 0;
};

class local_commit_log final : public commit_log {
public:
    explicit local_commit_log(store& where) : where_(where) {}

    [[nodiscard]] append_result append(commit_number number,
                                       const std::vector<domain::mutation>& batch,
                                       bool sync) override {
        return where_.apply(number, batch, sync);
    }

private:
    store& where_;
};

}  // namespace brokerd::storage
