// --filter: which messages are meant, in the filter language (protocol/filter/FILTER.md). A wrong
// one is told with the place that is wrong, before the broker is asked. One thread.
#pragma once

#include <optional>
#include <string>

#include "protocol/filter/filter.hpp"
#include "tools/brokerctl/command_line.hpp"
#include <brokerd/types.hpp>

namespace brokerd::ctl {

// Of messages in a queue: the broker looks at them.
struct queue_filter {
    std::string text;  // empty: all

    void add_to(CLI::App& app);
};

// The setting of a queue: which messages are for it. Written as the broker gives it back; empty:
// all. Which fields it may use says the broker.
void add_subscription_filter(CLI::App& app, std::optional<std::string>& target);

// Of messages of a topic: looked at here. It cannot ask for what only a queue knows.
class topic_filter {
public:
    void add_to(CLI::App& app);
    [[nodiscard]] bool given() const { return filter_.has_value(); }
    // True without a filter.
    [[nodiscard]] bool matches(const stored_message& message) const;

private:
    std::optional<filters::filter> filter_;
};

}  // namespace brokerd::ctl
