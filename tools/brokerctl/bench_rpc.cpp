// rpc: requesters that each ask, wait for the reply and ask again; responders that reply with what
// they were asked. Both with the asynchronous client, one event loop for each connection: what is
// measured is two ways over the network, and a thread to wake at every end would count as much.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <fmt/format.h>

#include "tools/brokerctl/bench_workloads.hpp"
#include "tools/brokerctl/exit_code.hpp"
#include <brokerd/admin.hpp>
#include <brokerd/async_client.hpp>

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

asio::awaitable<outgoing_message> echo(const service_request& asked) {
    outgoing_message reply;
    reply.payload = asked.payload;
    co_return reply;
}

// Serves on a thread of its own as long as it lives.
class bench_responder {
public:
    bench_responder(bench_site& site, bench_course& course, std::string service)
        : course_(course),
          service_(std::move(service)),
          broker_(context_.get_executor(), site.address(), site.connection_options()) {
        asio::co_spawn(context_, serve(), [this](const std::exception_ptr& failed) {
            if (failed) {
                course_.fail(failed);
            }
        });
        thread_ = std::jthread([this] { context_.run(); });
    }
    ~bench_responder() { stop_.request_stop(); }
    bench_responder(const bench_responder&) = delete;
    bench_responder& operator=(const bench_responder&) = delete;

private:
    asio::awaitable<void> serve() {
        const std::function<asio::awaitable<outgoing_message>(const service_request&)> handler =
            echo;
        serve_options options;
        options.prefetch = requests_at_hand;
        options.stop = stop_.get_token();
        std::exception_ptr failed;
        try {
            co_await broker_.serve(service_, handler, options);
        } catch (const error&) {
            failed = std::current_exception();
        }
        co_await broker_.close();  // or the event loop would not end
        if (failed) {
            std::rethrow_exception(failed);
        }
    }

    static constexpr std::uint32_t requests_at_hand = 1024;

    bench_course& course_;
    const std::string service_;
    std::stop_source stop_;
    asio::io_context context_{1};
    async_client broker_;
    std::jthread thread_;  // goes first
};

// The requesters of one connection; their event loop runs in the tasks of the course.
class bench_askers {
public:
    bench_askers(bench_site& site, const bench_plan& plan, std::string service)
        : service_(std::move(service)),
          size_(plan.size),
          requesters_(plan.in_flight),
          broker_(context_.get_executor(), site.address(), site.connection_options()) {}
    bench_askers(const bench_askers&) = delete;
    bench_askers& operator=(const bench_askers&) = delete;

    // Asks `quota` times, or until `end`.
    void run(bench_course& course, std::uint64_t quota, steady::time_point end) {
        left_ = quota;
        end_ = end;
        replies_ = 0;
        latency_ = {};
        running_ = requesters_;
        for (std::uint64_t i = 0; i < requesters_; ++i) {
            asio::co_spawn(context_, ask(course), [this, &course](const std::exception_ptr& why) {
                if (why) {
                    course.fail(why);
                }
                if (--running_ == 0) {
                    last_ = steady::now();
                    context_.stop();
                }
            });
        }
        context_.restart();
        context_.run();
    }

    [[nodiscard]] std::uint64_t replies() const { return replies_.load(); }
    [[nodiscard]] steady::time_point last() const { return last_; }
    [[nodiscard]] const bench_histogram& latency() const { return latency_; }

private:
    asio::awaitable<void> ask(bench_course& course) {
        outgoing_message question;
        question.payload = std::string(size_, 'x');
        while (left_ > 0 && !course.stopping()) {
            const auto start = steady::now();
            if (start >= end_) {
                break;
            }
            --left_;
            const service_reply reply = co_await broker_.request(service_, question);
            if (reply.payload.size() != size_) {
                throw refusal("a reply is not what was asked");
            }
            latency_.record(static_cast<std::uint64_t>(
                std::chrono::nanoseconds(steady::now() - start).count()));
            replies_.store(replies_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        }
    }

    const std::string service_;
    const std::uint64_t size_;
    const std::uint64_t requesters_;
    std::uint64_t left_ = 0;
    std::uint64_t running_ = 0;
    steady::time_point end_{};
    steady::time_point last_{};
    std::atomic<std::uint64_t> replies_ = 0;
    bench_histogram latency_;
    asio::io_context context_{1};
    async_client broker_;
};

// Attached, all of them.
void wait_for_responders(bench_site& site, const bench_course& course, const bench_plan& plan) {
    constexpr auto attach_look = 2ms;
    constexpr auto at_most = 10s;
    std::vector<client> asking = site.connect(1, 1);
    const auto until = steady::now() + at_most;
    while (!course.stopping()) {
        for (const auto& each : admin(asking.front()).services()) {
            if (each.service == site.name() && each.responders == plan.consumers) {
                return;
            }
        }
        if (steady::now() > until) {
            throw refusal("the responders do not get through to the broker");
        }
        std::this_thread::sleep_for(attach_look);
    }
}

class rpc_bench {
public:
    rpc_bench(bench_site& site, bench_course& course, const bench_plan& plan)
        : site_(site), course_(course), plan_(plan) {
        for (std::uint64_t i = 0; i < plan.consumers; ++i) {
            responders_.push_back(std::make_unique<bench_responder>(site, course, site.name()));
        }
        for (std::uint64_t i = 0; i < plan.connections; ++i) {
            askers_.push_back(std::make_unique<bench_askers>(site, plan, site.name()));
        }
        wait_for_responders(site, course, plan);
    }

    bench_result measure() {
        bench_result result;
        (void)run(plan_.warm_up(), "requests to warm up");
        if (course_.interrupted()) {
            return result;
        }
        result.before = site_.counters();
        result.seconds = run(plan_, "requests replied to");
        result.after = site_.counters();
        result.messages = replies();
        result.latency.emplace();
        for (const auto& each : askers_) {
            result.latency->add(each->latency());
        }
        return result;
    }

private:
    // Returns the seconds it took.
    double run(const bench_plan& plan, std::string_view what) {
        const auto start = steady::now();
        const auto end = plan.time ? start + *plan.time : steady::time_point::max();
        std::vector<std::function<void()>> tasks;
        for (std::size_t i = 0; i < askers_.size(); ++i) {
            const std::uint64_t quota = plan.messages
                                            ? *plan.messages / askers_.size() +
                                                  (i < *plan.messages % askers_.size() ? 1 : 0)
                                            : UINT64_MAX;
            tasks.emplace_back([this, i, quota, end] { askers_[i]->run(course_, quota, end); });
        }
        course_.run(tasks, what, [this] { return replies(); });
        auto last = start;
        for (const auto& each : askers_) {
            last = std::max(last, each->last());
        }
        return std::chrono::duration<double>(last - start).count();
    }

    [[nodiscard]] std::uint64_t replies() const {
        std::uint64_t sum = 0;
        for (const auto& each : askers_) {
            sum += each->replies();
        }
        return sum;
    }

    bench_site& site_;
    bench_course& course_;
    const bench_plan plan_;
    std::vector<std::unique_ptr<bench_responder>> responders_;
    std::vector<std::unique_ptr<bench_askers>> askers_;
};

}  // namespace

bench_result bench_rpc(bench_site& site, bench_course& course, const bench_plan& plan) {
    return rpc_bench(site, course, plan).measure();
}

}  // namespace brokerd::ctl
