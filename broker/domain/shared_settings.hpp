// The settings of queues, which mostly are the same for thousands of them: those that were asked
// for last are kept once and shared. Owner: the engine strand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "protocol/types/settings.hpp"

namespace brokerd::domain {

class shared_settings {
public:
    // Different ones, that are compared with; rules of pattern queues take turns.
    static constexpr std::size_t remembered_max = 8;

    // Equal to `wanted`.
    [[nodiscard]] std::shared_ptr<const queue_settings> share(const queue_settings& wanted) {
        const auto found =
            std::ranges::find_if(recent_, [&](const auto& each) { return *each == wanted; });
        if (found != recent_.end()) {
            return *found;
        }
        if (recent_.size() == remembered_max) {
            recent_.erase(recent_.begin());
        }
        return recent_.emplace_back(std::make_shared<const queue_settings>(wanted));
    }

private:
    std::vector<std::shared_ptr<const queue_settings>> recent_;  // the newest last
};

}  // namespace brokerd::domain
