// Coroutines that somebody owns: spawned with a name, cancelled together, joined before their owner
// goes. Never a bare co_spawn(detached): what a coroutine throws reaches the callback here.
//
// Owner: the strand (or single thread) of the executor; spawn, size and join are called there,
// cancel_all from anywhere (it is emitted on the executor, as Asio 1.22 demands).
// Cancellation only wakes: a task that loops sets or checks a flag of its own before each wait.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <asio/any_io_executor.hpp>

#include "protocol/transport/asio_aliases.hpp"

namespace brokerd::transport {

class task_group {
public:
    // Called with the name of a task that ended with an exception other than its cancellation.
    using failed = std::function<void(std::string_view name, std::exception_ptr why)>;

    task_group(asio::any_io_executor executor, failed on_failure);
    // Every task must have ended: join() first, or let the executor's context run out.
    ~task_group();
    task_group(const task_group&) = delete;
    task_group& operator=(const task_group&) = delete;

    // Starts `task` on the executor, not before the caller returns to it.
    void spawn(std::string name, awaitable<> task);
    // Requests the end of every task spawned so far. Terminal: operations end with
    // operation_aborted, and what a task awaits after that throws.
    void cancel_all();
    // Completes when no task is left. Not to be called by a task of this group.
    [[nodiscard]] awaitable<> join();
    [[nodiscard]] std::size_t size() const;

private:
    struct state;
    std::shared_ptr<state> state_;
};

}  // namespace brokerd::transport
