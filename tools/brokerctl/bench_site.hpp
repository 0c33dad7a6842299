// The broker that is measured, and what is made there for it: a topic with its queues, named
// brokerd-bench-..., which goes when this goes. Main thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tools/brokerctl/bench_options.hpp"
#include "tools/brokerctl/bench_report.hpp"
#include "tools/brokerctl/bench_spawn.hpp"
#include "tools/brokerctl/context.hpp"
#include <brokerd/admin.hpp>
#include <brokerd/client.hpp>

namespace brokerd::ctl {

class bench_site {
public:
    // Starts a broker if the plan says so, and connects.
    bench_site(context& ctx, const bench_plan& plan);
    ~bench_site();
    bench_site(const bench_site&) = delete;
    bench_site& operator=(const bench_site&) = delete;

    // The topic and `queues` queues, with the settings of the plan.
    void create_topic(std::uint64_t queues);
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] std::string queue(std::uint64_t number) const;

    [[nodiscard]] const std::string& address() const { return address_; }
    // Connections of their own, which publish in a window of `in_flight`.
    [[nodiscard]] std::vector<client> connect(std::uint64_t count, std::uint64_t in_flight) const;
    [[nodiscard]] client_options connection_options() const;

    [[nodiscard]] bench_counters counters();
    [[nodiscard]] std::string brokerd_version() const { return control_->broker().version; }

private:
    context& ctx_;
    const bench_plan plan_;
    std::unique_ptr<spawned_broker> spawned_;
    std::string address_;
    std::unique_ptr<client> control_;
    std::string name_;
    bool created_ = false;
};

}  // namespace brokerd::ctl
