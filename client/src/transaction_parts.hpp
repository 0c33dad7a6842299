// What a transaction holds: the batches it publishes and the messages it answers.
//
// Owner: the application's handle; while `committing`, the holder of the client's lock, which then
// keeps it even if the handle goes. Must not be destroyed under that lock: its messages are
// released then, which takes it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "brokerd/message.hpp"
#include "brokerd/transaction.hpp"
#include "client/src/batch_summary.hpp"
#include "client/src/result.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::client_core {

class core;

struct transaction_parts {
    struct publish {
        std::string topic;
        byte_buffer batch;  // room for the header, and records
        std::uint32_t count = 0;
        batch_summary summary;
        std::optional<schedule_time> when;  // scheduled: one message

        // Nothing joins its message.
        [[nodiscard]] bool alone() const { return when || summary.has_id(); }
    };
    struct settle {
        message which;
        settle_action action = settle_action::ack;
        duration_us delay{-1};
        std::string reason;
    };

    [[nodiscard]] bool empty() const { return publishes.empty() && settles.empty(); }
    // Some message in it has an id.
    [[nodiscard]] bool has_ids() const {
        return std::ranges::any_of(publishes,
                                   [](const publish& each) { return each.summary.has_id(); });
    }
    // It was carried out: the messages are answered.
    void clear();

    std::vector<publish> publishes;
    std::vector<settle> settles;
    std::atomic<bool> committing = false;
};

// Commits what `of` holds; `done` is called once, perhaps at once.
void commit(const std::shared_ptr<core>& with, std::shared_ptr<transaction_parts> what,
            callback<committed> done);

struct transaction_access {
    [[nodiscard]] static std::shared_ptr<transaction_parts> parts(transaction& of);
};

}  // namespace brokerd::client_core
