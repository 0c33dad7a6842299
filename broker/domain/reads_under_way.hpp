// Reads of the store that have not come back yet. What they may miss stays in memory until they
// have: what is in memory decides, whatever a read that began earlier says. Owner: the engine
// strand.
#pragma once

#include <algorithm>
#include <vector>

#include "protocol/types/ids.hpp"

namespace brokerd::domain {

class reads_under_way {
public:
    // A read begins when the store has all commits up to `applied`, and ends.
    void begin(commit_number applied) { began_.push_back(applied); }
    void end(commit_number applied) { began_.erase(std::ranges::find(began_, applied)); }
    [[nodiscard]] bool empty() const { return began_.empty(); }
    // The last commit that the store has and that every read sees: what it and those before it hold
    // need not be known here any more.
    [[nodiscard]] commit_number seen_by_all(commit_number applied) const {
        return began_.empty() ? applied : std::min(applied, began_.front());
    }

private:
    std::vector<commit_number> began_;  // what the store had then; ascends; a few
};

}  // namespace brokerd::domain
