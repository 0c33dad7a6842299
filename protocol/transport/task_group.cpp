// Owned coroutines.
#include "protocol/transport/task_group.hpp"

#include <cassert>
#include <list>
#include <utility>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

namespace brokerd::transport {
namespace {

bool is_cancellation(const std::exception_ptr& why) {
    try {
        std::rethrow_exception(why);
    } catch (const std::system_error& error) {
        return error.code() == asio::error::operation_aborted;
    } catch (...) {
        return false;
    }
}

}  // namespace

// Shared with the handlers in flight, so that none of them finds its group gone.
struct task_group::state {
    struct task {
        std::string name;
        asio::cancellation_signal cancel;
    };

    state(asio::any_io_executor on, failed callback)
        : executor(std::move(on)),
          on_failure(std::move(callback)),
          emptied(executor, asio::steady_timer::time_point::max()) {}

    asio::any_io_executor executor;
    failed on_failure;
    std::list<task> tasks;
    asio::steady_timer emptied;  // never expires; cancelled when the last task is gone
};

task_group::task_group(asio::any_io_executor executor, failed on_failure)
    : state_(std::make_shared<state>(std::move(executor), std::move(on_failure))) {}

task_group::~task_group() {
    assert(state_->tasks.empty());
}

void task_group::spawn(std::string name, awaitable<> task) {
    const auto entry = state_->tasks.emplace(state_->tasks.end());
    entry->name = std::move(name);
    auto ended = [state = state_, entry](const std::exception_ptr& why) {
        if (why && !is_cancellation(why) && state->on_failure) {
            state->on_failure(entry->name, why);
        }
        // The coroutine still holds the slot while it calls this, so the signal goes afterwards.
        asio::post(state->executor, [state, entry] {
            state->tasks.erase(entry);
            if (state->tasks.empty()) {
                state->emptied.cancel();
            }
        });
    };
    asio::co_spawn(state_->executor, std::move(task),
                   asio::bind_cancellation_slot(entry->cancel.slot(), std::move(ended)));
}

void task_group::cancel_all() {
    asio::dispatch(state_->executor, [state = state_] {
        for (state::task& task : state->tasks) {
            task.cancel.emit(asio::cancellation_type::all);
        }
    });
}

awaitable<> task_group::join() {
    const auto shared = state_;
    while (!shared->tasks.empty()) {
        co_await shared->emptied.async_wait(use_tuple);
    }
}

std::size_t task_group::size() const {
    return state_->tasks.size();
}

}  // namespace brokerd::transport
