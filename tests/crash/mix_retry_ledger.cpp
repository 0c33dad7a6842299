// Counting attempts from outside.
#include <algorithm>
#include <iterator>
#include <set>

#include <fmt/format.h>

#include "tests/crash/mix_retry.hpp"

namespace brokerd::crash {

void retry_ledger::delivered(const delivery& what) {
    ++deliveries_;
    fate& of = fates_[what.offset];
    if (of.is == end::done || of.is == end::dead) {
        told_.tell(fmt::format("{}: {} was {} for sure and came again", queue_, what.offset,
                               of.is == end::done ? "done" : "dead"));
    }
    if (what.attempt < of.failed_min + 1 || what.attempt > of.failed_max + 1 ||
        what.attempt > attempts_max_) {
        told_.tell(fmt::format("{}: {} came as attempt {} after {} to {} failed ones", queue_,
                               what.offset, what.attempt, of.failed_min, of.failed_max));
    }
    // A failure that is sure is the last one in the history.
    if (of.failed_min > 0 && of.failed_min == of.failed_max) {
        if (what.history.size() < of.failed_min) {
            told_.tell(fmt::format("{}: {} tells of {} failed attempts of {}", queue_, what.offset,
                                   what.history.size(), of.failed_min));
        } else if (what.history.back().reason != of.reason) {
            told_.tell(fmt::format("{}: {} failed with \"{}\" and tells \"{}\"", queue_,
                                   what.offset, of.reason, what.history.back().reason));
        }
    }
    of.is = end::open;
    of.lease = what.lease;
    of.attempt = what.attempt;
    of.failed_min = what.attempt - 1;
    of.failed_max = what.attempt - 1;
    of.with = kind::release;
    if (!what.history.empty()) {
        of.reason = what.history.back().reason;
    }
}

void retry_ledger::answered(std::uint64_t offset, kind with, const std::string& reason) {
    fate& of = fates_[offset];
    of.with = with;
    if (with == kind::ack) {
        of.is = end::perhaps_done;
    } else if (with == kind::nack || with == kind::reject) {
        of.failed_max = of.attempt;
        of.reason = reason;
        if (with == kind::reject || of.attempt >= attempts_max_) {
            of.is = end::perhaps_dead;
        }
    }
}

void retry_ledger::confirmed(std::uint64_t offset, lease_token lease) {
    fate& of = fates_[offset];
    if (of.lease != lease) {
        return;  // it came again since, which told more
    }
    if (of.with == kind::nack || of.with == kind::reject) {
        of.failed_min = of.failed_max;
    }
    if (of.is == end::perhaps_done) {
        of.is = end::done;
    } else if (of.is == end::perhaps_dead) {
        of.is = end::dead;
    }
}

const std::uint64_t* retry_ledger::some_dead(std::uint64_t number) const {
    std::vector<const std::uint64_t*> dead;
    for (const auto& [offset, of] : fates_) {
        if (of.is == end::dead) {
            dead.push_back(&offset);
        }
    }
    return dead.empty() ? nullptr : dead[number % dead.size()];
}

void retry_ledger::redriving(std::uint64_t offset) {
    fate& of = fates_[offset];
    of.is = end::perhaps_dead;
    of.failed_min = 0;
    of.failed_max = 0;
}

void retry_ledger::redrove(std::uint64_t offset, std::uint64_t messages) {
    if (messages != 1) {
        told_.tell(
            fmt::format("{}: {} is dead and a redrive found {} of it", queue_, offset, messages));
    }
    fates_[offset].is = end::open;
    ++redriven_;
}

void retry_ledger::audit(const std::vector<dead_message>& dead) const {
    std::set<std::uint64_t> listed;
    for (const auto& each : dead) {
        listed.insert(each.offset);
        const auto at = fates_.find(each.offset);
        if (at == fates_.end() ||
            (at->second.is != end::dead && at->second.is != end::perhaps_dead)) {
            told_.tell(fmt::format("{}: {} is dead, which nobody wanted", queue_, each.offset));
        } else if (each.attempts != at->second.attempt || each.reason != at->second.reason) {
            told_.tell(
                fmt::format("{}: {} died of attempt {} (\"{}\") and is listed with {} "
                            "(\"{}\")",
                            queue_, each.offset, at->second.attempt, at->second.reason,
                            each.attempts, each.reason));
        }
    }
    for (const auto& [offset, of] : fates_) {
        if (of.is == end::dead && !listed.contains(offset)) {
            told_.tell(fmt::format("{}: {} is dead and not listed", queue_, offset));
        } else if (of.is == end::open) {
            told_.tell(fmt::format("{}: {} was not done and did not come again", queue_, offset));
        }
    }
}

std::string retry_ledger::summary() const {
    const auto dead =
        std::ranges::count_if(fates_, [](const auto& each) { return each.second.is == end::dead; });
    return fmt::format("{} messages, {} deliveries, {} redriven, {} dead", fates_.size(),
                       deliveries_, redriven_, dead);
}

}  // namespace brokerd::crash
