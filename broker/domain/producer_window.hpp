// What a producer's last sequences led to, so that a resend has the first outcome: for publishes
// the offsets, for confirmed settles the counts. The last limits::producer_window sequences are
// remembered as runs; neighbours with the same fate are merged. Stored as a ring of slots of a few
// runs each, so that a commit rewrites only the newest. Pure.
//
// Invariants: runs ascend by sequence and do not overlap; run i lies in slot i / slot_runs.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "broker/domain/mutation.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {

class producer_window {
public:
    static constexpr std::uint64_t slot_runs = 16;
    // Enough for a window of runs of one sequence each, with a part of a slot at both ends.
    static constexpr std::uint64_t slots_max = limits::producer_window / slot_runs + 2;

    enum class content : std::uint8_t {
        offsets,   // the value of the next sequence is one more
        outcomes,  // all sequences of a run have the same value
    };
    enum class verdict : std::uint8_t { fresh, duplicate, too_old, mismatch };
    struct answer {
        verdict what = verdict::fresh;
        std::uint64_t value = 0;  // of the first sequence, for a duplicate
    };

    explicit producer_window(content kind) : kind_(kind) {}

    // Sequences are from 1; count at least 1.
    [[nodiscard]] answer check(std::uint64_t first, std::uint64_t count) const;
    // Remembers sequences that check called fresh.
    void record(std::uint64_t first, std::uint64_t count, std::uint64_t value);

    // The lowest sequence that is remembered or could be new.
    [[nodiscard]] std::uint64_t lowest() const;
    [[nodiscard]] std::uint64_t highest() const { return highest_; }

    // Calls visit(slot, runs) for each slot that changed since the last call.
    template <typename Visit>
    void take_changed(Visit&& visit) {
        const std::uint64_t end = (base_ + runs_.size() + slot_runs - 1) / slot_runs;
        for (std::uint64_t slot = changed_from_; slot < end; ++slot) {
            visit(static_cast<std::uint32_t>(slot % slots_max), slot_content(slot));
        }
        changed_from_ = end;
    }
    // Slots in the store are below this number.
    [[nodiscard]] std::uint32_t slots_used() const { return slots_used_; }

    // Recovery: every slot in any order, then finish_load.
    void load(std::uint32_t slot, std::vector<producer_run> runs);
    void finish_load();

private:
    struct loaded_slot {
        std::uint32_t slot = 0;
        std::vector<producer_run> runs;
    };

    [[nodiscard]] std::span<const producer_run> slot_content(std::uint64_t slot) const;
    [[nodiscard]] bool continues(const producer_run& run, std::uint64_t first,
                                 std::uint64_t value) const;
    void touch(std::uint64_t run_index);
    void forget_old();

    content kind_;
    std::vector<producer_run> runs_;
    std::uint64_t base_ = 0;  // number of the first run; a multiple of slot_runs
    std::uint64_t highest_ = 0;
    std::uint64_t changed_from_ = 0;  // first slot that changed; the slot behind the last if none
    std::uint32_t slots_used_ = 0;
    std::vector<loaded_slot> loaded_;
};

}  // namespace brokerd::domain
