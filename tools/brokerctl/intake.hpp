// Messages on their way from a queue, or those of a pattern queue, into a command: never more than
// --count are leased, waited for no longer than --wait, until ctrl-C. What is leased and not handed
// out is released at the end. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/brokerctl/command_line.hpp"
#include "tools/brokerctl/interruption.hpp"
#include <brokerd/admin.hpp>
#include <brokerd/client.hpp>

namespace brokerd::ctl {

struct intake_options {
    std::string queue;
    std::uint64_t count = 1;
    microseconds wait{0};

    void add_to(CLI::App& app);
};

class intake {
public:
    // Most messages leased and not answered at once.
    static constexpr std::uint64_t held_messages_max = 1000;

    intake(context& ctx, const intake_options& options);

    // Ctrl-C came: no message more.
    [[nodiscard]] bool stopped() const { return stopped_.requested(); }
    // The next message, if it is here already.
    [[nodiscard]] std::optional<message> at_hand();
    // The next message; nothing when all have come, when the time is over and nothing is there, or
    // when stopped. `held`: how many of those that came have no answer yet.
    [[nodiscard]] std::optional<message> wait(std::uint64_t held);

    // Ends it: waits until every answer given is durable, and says how many of them came too late.
    std::uint64_t close();
    // After close(), with how many messages the command was done: as many as asked for, or not.
    [[nodiscard]] exit_code report(std::uint64_t done);

private:
    std::vector<queue_info> source_queues();
    bool nothing_to_come(std::uint64_t held);
    std::string too_few(std::uint64_t done) const;

    context& ctx_;
    const intake_options& options_;
    interruption stopped_;
    consumer consumer_;
    std::chrono::steady_clock::time_point deadline_;
    std::uint64_t came_ = 0;
};

}  // namespace brokerd::ctl
