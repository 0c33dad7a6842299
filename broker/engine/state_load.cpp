// Reading takes the longer on a slow disk, rebuilding where all of it is in memory.
#include "broker/engine/state_load.hpp"

#include <variant>

namespace brokerd::engine {

void state_load::run(storage::store& from) {
    const auto loaded = from.load();
    if (!loaded) {
        found = std::unexpected(loaded.error());
        return;
    }
    last_commit = loaded->last_commit;
    state.restore(*loaded, commit_number{last_commit.value() + 1}, began, effects);
    load_summary summary{.epoch = state.epoch()};
    for (const auto& each : loaded->mutations) {
        summary.topics += std::holds_alternative<domain::topic_created>(each) ? 1U : 0U;
        summary.queues += std::holds_alternative<domain::queue_created>(each) ? 1U : 0U;
    }
    found = summary;
}

}  // namespace brokerd::engine
