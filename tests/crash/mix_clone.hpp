// What a clone must have, from what is known of its source: all that is open there comes, with its
// attempts; what is done does not; the dead ones are the same. For one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/crash/mix_scene.hpp"
#include "tests/crash/mix_visits.hpp"
#include <brokerd/admin.hpp>

namespace brokerd::crash {

class source_ledger {
public:
    enum class state : std::uint8_t { open, done, dead, unknown };

    void stored(std::uint64_t offset) { fates_.try_emplace(offset); }
    void delivered(std::uint64_t offset, std::uint32_t attempt) {
        fates_[offset] = {state::open, attempt - 1};
    }
    void ended(std::uint64_t offset, state as) { fates_[offset].is = as; }
    void failed(std::uint64_t offset) { ++fates_[offset].failed; }
    void purged() {
        for (auto& [offset, of] : fates_) {
            of.is = of.is == state::dead ? state::done : of.is;
        }
    }

    [[nodiscard]] std::size_t dead_count() const {
        return static_cast<std::size_t>(std::ranges::count_if(
            fates_, [](const auto& each) { return each.second.is == state::dead; }));
    }

    // What a clone made now has to give out.
    [[nodiscard]] visit_ledger expected(const std::string& clone, findings& told) const {
        visit_ledger visits(clone, told);
        for (const auto& [offset, of] : fates_) {
            if (of.is == state::open) {
                visits.expect(offset);
            } else if (of.is == state::unknown) {
                visits.perhaps(offset);
            } else {
                visits.done(offset);
            }
        }
        return visits;
    }

    // Of the first delivery by the clone.
    void audit_attempt(const std::string& clone, std::uint64_t offset, std::uint32_t attempt,
                       findings& told) const {
        const auto at = fates_.find(offset);
        if (at != fates_.end() && at->second.is == state::open &&
            at->second.failed + 1 != attempt) {
            told.tell(fmt::format("{}: {} failed {} times and comes as attempt {}", clone, offset,
                                  at->second.failed, attempt));
        }
    }

    void audit_dead(const std::string& clone, const std::vector<dead_message>& of_source,
                    const std::vector<dead_message>& of_clone, findings& told) const {
        const auto same = [](const dead_message& a, const dead_message& b) {
            return a.offset == b.offset && a.since == b.since && a.attempts == b.attempts &&
                   a.reason == b.reason && a.consumer == b.consumer;
        };
        if (!std::ranges::equal(of_source, of_clone, same)) {
            told.tell(fmt::format("{}: {} dead messages are not the {} of its source", clone,
                                  of_clone.size(), of_source.size()));
        }
        for (const auto& [offset, of] : fates_) {
            const bool listed =
                std::ranges::find(of_clone, offset, &dead_message::offset) != of_clone.end();
            if (of.is != state::unknown && listed != (of.is == state::dead)) {
                told.tell(
                    fmt::format("{}: {} is {} there", clone, offset, listed ? "dead" : "not dead"));
            }
        }
    }

private:
    struct fate {
        state is = state::open;
        std::uint32_t failed = 0;
    };

    std::map<std::uint64_t, fate> fates_;
};

}  // namespace brokerd::crash
