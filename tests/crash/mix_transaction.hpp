// Transactions that take an input and publish a bill and schedule a reminder for it: both are there
// once for each input, from the same transaction, and that one was not refused. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "tests/crash/crash_clients.hpp"
#include "tests/crash/mix_scene.hpp"
#include <brokerd/types.hpp>

namespace brokerd::crash {

class transaction_ledger {
public:
    explicit transaction_ledger(findings& told) : told_(told) {}

    // What bill and reminder say: for which input they are, and from which transaction.
    [[nodiscard]] static std::string payload(std::uint64_t input, std::uint64_t transaction) {
        return fmt::format("{} {}", input, transaction);
    }

    [[nodiscard]] std::uint64_t begun() {
        const std::scoped_lock lock(mutex_);
        return ++newest_;
    }
    void refused(std::uint64_t transaction) {
        const std::scoped_lock lock(mutex_);
        refused_.insert(transaction);
    }
    void committed(std::uint64_t transaction, std::uint64_t input, std::uint64_t bill_offset) {
        const std::scoped_lock lock(mutex_);
        bills_[bill_offset] = payload(input, transaction);
        if (const auto [at, fresh] = transactions_.try_emplace(input, transaction); !fresh) {
            told_.tell(fmt::format("input {} was done by transaction {} and by {}", input,
                                   at->second, transaction));
        }
    }

    // When all inputs are done and nothing is scheduled: the inputs and what came of them.
    void audit(const std::set<std::uint64_t>& inputs, const std::vector<stored_message>& bills,
               const std::vector<stored_message>& reminders) {
        const std::scoped_lock lock(mutex_);
        const auto billed = made("bill", bills);
        const auto reminded = made("reminder", reminders);
        for (const std::uint64_t input : inputs) {
            const auto bill = billed.find(input);
            const auto reminder = reminded.find(input);
            if (bill == billed.end() || reminder == reminded.end()) {
                told_.tell(fmt::format("input {} has {} bill and {} reminder", input,
                                       bill == billed.end() ? "no" : "a",
                                       reminder == reminded.end() ? "no" : "a"));
            } else if (bill->second != reminder->second) {
                told_.tell(fmt::format("input {} was done by transaction {} and reminded of by {}",
                                       input, bill->second, reminder->second));
            }
        }
        std::map<std::uint64_t, std::string> stored;
        for (const auto& each : bills) {
            stored.emplace(each.offset, each.payload);
        }
        for (const auto& [offset, payload] : bills_) {
            const auto at = stored.find(offset);
            if (at == stored.end()) {
                told_.tell(fmt::format("bill {} of {} is lost", offset, payload));
            } else if (at->second != payload) {
                told_.tell(
                    fmt::format("bill {} was of {} and is of {}", offset, payload, at->second));
            }
        }
    }

    [[nodiscard]] std::string summary() const {
        const std::scoped_lock lock(mutex_);
        return fmt::format("{} transactions, {} inputs done, {} refused", newest_,
                           transactions_.size(), refused_.size());
    }

private:
    // Transactions by input.
    std::map<std::uint64_t, std::uint64_t> made(const char* what,
                                                const std::vector<stored_message>& stored) {
        std::map<std::uint64_t, std::uint64_t> all;
        for (const auto& each : stored) {
            const std::uint64_t input = content_of(each.payload);
            const std::uint64_t transaction =
                content_of(std::string_view(each.payload).substr(each.payload.find(' ') + 1));
            if (refused_.contains(transaction)) {
                told_.tell(
                    fmt::format("a {} of input {} is there, of transaction {}, which was "
                                "refused",
                                what, input, transaction));
            }
            if (!all.emplace(input, transaction).second) {
                told_.tell(fmt::format("input {} has more than one {}", input, what));
            }
        }
        return all;
    }

    findings& told_;
    mutable std::mutex mutex_;
    std::uint64_t newest_ = 0;
    std::set<std::uint64_t> refused_;
    std::map<std::uint64_t, std::uint64_t> transactions_;  // by input
    std::map<std::uint64_t, std::string> bills_;           // by offset
};

}  // namespace brokerd::crash
