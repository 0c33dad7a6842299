// brokerctl consumer: ls.
#include <vector>

#include "tools/brokerctl/command_line.hpp"
#include "tools/brokerctl/views.hpp"

namespace brokerd::ctl {
namespace {

struct list_consumers_options {
    std::string queue;
};

exit_code list_consumers(context& ctx, const list_consumers_options& options) {
    std::vector<json> rows;
    const auto now = wall_now();
    for (const auto& consumer : ctx.admin().consumers(options.queue)) {
        rows.push_back(consumer_row(consumer, now));
    }
    ctx.out().list(consumer_columns(), rows);
    if (rows.empty()) {
        ctx.out().remark("no consumers");
    }
    return exit_code::done;
}

}  // namespace

void add_consumer_verbs(command_line& line) {
    auto& noun = line.add_noun("consumer", "Consumers: ls");
    auto [app, options] = line.add_verb(noun,
                                        {"ls", "List the consumers and what they hold.",
                                         "  brokerctl consumer ls\n"
                                         "  brokerctl consumer ls orders/billing\n"},
                                        list_consumers);
    app.add_option("TOPIC/QUEUE", options.queue, "Only of this queue");
}

}  // namespace brokerd::ctl
