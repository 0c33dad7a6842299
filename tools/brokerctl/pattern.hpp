// What the verbs of `queue` do with a pattern queue, PATTERN/QUEUE: the rule that makes a queue in
// every topic that its pattern matches. One thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tools/brokerctl/context.hpp"
#include "tools/brokerctl/exit_code.hpp"
#include "tools/brokerctl/settings.hpp"

namespace brokerd::ctl {

struct create_pattern_options {
    std::string pattern;
    std::optional<log_position> from;
    bool has_end = false;  // --until was given
    std::optional<delivery_mode> mode;
    queue_changes settings;
};

exit_code list_patterns(context& ctx);
exit_code create_pattern(context& ctx, const create_pattern_options& options);
exit_code show_pattern(context& ctx, const std::string& pattern);
exit_code set_pattern(context& ctx, const std::string& pattern, const queue_changes& changes);
exit_code remove_pattern(context& ctx, const std::string& pattern, bool with_queues, bool dry_run);

}  // namespace brokerd::ctl
