// Owned coroutines: they end, fail by name, are cancelled together, and join waits for them.
#include "protocol/transport/task_group.hpp"

#include <stdexcept>
#include <string>
#include <vector>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <gtest/gtest.h>

namespace brokerd::transport {
namespace {

awaitable<> end_at_once(int* ended) {
    ++*ended;
    co_return;
}

awaitable<> fail() {
    throw std::runtime_error("broken");
    co_return;
}

awaitable<> wait_for_ever(int* ended) {
    asio::steady_timer never(co_await asio::this_coro::executor,
                             asio::steady_timer::time_point::max());
    co_await never.async_wait(use_tuple);
    ++*ended;
}

// Ends by the exception that an await after the cancellation throws.
awaitable<> wait_again_and_again() {
    asio::steady_timer never(co_await asio::this_coro::executor,
                             asio::steady_timer::time_point::max());
    for (;;) {
        co_await never.async_wait(use_tuple);
    }
}

awaitable<> join_then_mark(task_group* group, bool* joined) {
    co_await group->join();
    *joined = true;
}

class task_group_test : public testing::Test {
protected:
    void run_ready() {
        context_.restart();
        context_.poll();
    }

    asio::io_context context_;
    std::vector<std::string> failures_;
    task_group group_{context_.get_executor(),
                      [this](std::string_view name, const std::exception_ptr& why) {
                          EXPECT_TRUE(why);
                          failures_.emplace_back(name);
                      }};
};

TEST_F(task_group_test, tasks_end_and_go) {
    int ended = 0;
    group_.spawn("first", end_at_once(&ended));
    group_.spawn("second", end_at_once(&ended));
    EXPECT_EQ(group_.size(), 2U);
    run_ready();
    EXPECT_EQ(ended, 2);
    EXPECT_EQ(group_.size(), 0U);
}

TEST_F(task_group_test, an_exception_is_reported_with_the_name) {
    group_.spawn("fragile", fail());
    run_ready();
    EXPECT_EQ(failures_, std::vector<std::string>{"fragile"});
    EXPECT_EQ(group_.size(), 0U);
}

TEST_F(task_group_test, cancel_all_ends_those_that_wait_and_join_sees_it) {
    int ended = 0;
    bool joined = false;
    group_.spawn("one", wait_for_ever(&ended));
    group_.spawn("two", wait_for_ever(&ended));
    group_.spawn("three", wait_again_and_again());
    run_ready();
    asio::co_spawn(context_, join_then_mark(&group_, &joined), asio::detached);
    run_ready();
    EXPECT_FALSE(joined);
    group_.cancel_all();
    run_ready();
    EXPECT_EQ(ended, 2);
    EXPECT_TRUE(joined);
    EXPECT_TRUE(failures_.empty()) << "a cancellation is no failure";
}

TEST_F(task_group_test, join_of_an_empty_group_is_immediate) {
    bool joined = false;
    asio::co_spawn(context_, join_then_mark(&group_, &joined), asio::detached);
    run_ready();
    EXPECT_TRUE(joined);
}

TEST_F(task_group_test, cancel_before_a_task_ran) {
    group_.spawn("late", wait_again_and_again());
    group_.cancel_all();
    run_ready();
    EXPECT_EQ(group_.size(), 0U);
}

}  // namespace
}  // namespace brokerd::transport
