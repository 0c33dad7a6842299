// The engine thread: mail in, turns of the core, sleep until the next deadline.
#include "broker/engine/engine.hpp"

#include <chrono>
#include <iterator>
#include <pthread.h>
#include <utility>

#include "broker/base/assert.hpp"
#include "broker/engine/engine_limits.hpp"

namespace brokerd::engine {
namespace {

template <typename T>
void move_to(std::vector<T>& to, std::vector<T>& from) {
    if (to.empty()) {
        to.swap(from);
        return;
    }
    to.insert(to.end(), std::move_iterator(from.begin()), std::move_iterator(from.end()));
    from.clear();
}

}  // namespace

bool engine::mail::empty(bool without_commands) const {
    return (without_commands || commands.empty()) && fetched.empty() && committed.empty() &&
           tasks.empty();
}

// The starters exist only after the core, so the core reaches them through these.
class engine::late_starters final : public commit_starter, public fetch_starter {
public:
    explicit late_starters(engine& of) : of_(of) {}

    void start(commit_number number, std::vector<domain::mutation> batch, bool sync) override {
        of_.committer_->start(number, std::move(batch), sync);
    }
    [[nodiscard]] bool start(domain::fetch what, std::uint64_t generation) override {
        return of_.reads_->start(std::move(what), generation);
    }
    void maintain_soon() override { of_.reads_->maintain_soon(); }
    void load(state_load what) override { of_.reads_->load(std::move(what)); }

private:
    engine& of_;
};

engine::engine(parts from, const domain::domain_options& options)
    : parts_(std::move(from)),
      starters_(std::make_unique<late_starters>(*this)),
      core_({.store = parts_.store,
             .commits = *starters_,
             .fetches = *starters_,
             .sinks = parts_.sinks,
             .fatal = parts_.fatal,
             .log = parts_.log,
             .os_sync_interval = parts_.os_sync_interval},
            options) {}

engine::~engine() {
    stop();
}

outcome<load_summary> engine::start() {
    BROKERD_ASSERT(!thread_.joinable());
    committer_.emplace(parts_.commits, [this](commit_number number, storage::append_result result) {
        put([&](mail& to) { to.committed.push_back({number, std::move(result)}); });
    });
    reads_.emplace(
        parts_.store,
        read_pool::handlers{
            .answered =
                [this](fetch_answer answer) {
                    put([&](mail& to) { to.fetched.push_back(std::move(answer)); });
                },
            .measured =
                [this](const storage::store_statistics& measured) {
                    post_task([this, measured](instant) { core_.disk_measured(measured); });
                },
            .loaded =
                [this](state_load what) {
                    post_task([this, held = std::make_shared<state_load>(std::move(what))](
                                  instant now) { core_.loaded(std::move(*held), now); });
                }});
    auto loaded = core_.load(parts_.clock.now());
    if (!loaded) {
        return loaded;
    }
    // This thread is the engine thread until the epoch is durable.
    std::vector<commit_answer> epoch;
    {
        std::unique_lock lock(mutex_);
        while (inbox_.committed.empty()) {
            sleeping_ = true;
            wake_.wait(lock, [this] { return !sleeping_; });
        }
        epoch.swap(inbox_.committed);
    }
    core_.committed(epoch.front().number, epoch.front().result, parts_.clock.now());
    if (!core_.ready()) {
        return refuse(error_code::storage_failed, epoch.front().result.text);
    }
    epoch_ = core_.epoch().value();
    if (parts_.host != nullptr) {
        const std::lock_guard lock(mutex_);
        hosted_ = true;
        turn_asked_ = true;
        parts_.host->run_soon([this] { run_hosted(); });
        return loaded;
    }
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "engine");
    return loaded;
}

void engine::stop() {
    const bool hosted = leave_host();
    if (hosted || thread_.joinable()) {
        put([this](mail& to) {
            stopping_ = true;
            to.tasks.emplace_back([this](instant now) {
                core_.begin_stop(now);
                core_.flush();
            });
        });
    }
    if (hosted) {
        run();  // this thread is the engine thread now
    } else if (thread_.joinable()) {
        thread_.join();
    }
    if (reads_) {
        reads_->stop();
    }
    if (committer_) {
        committer_->stop();
    }
}

// Whether the host ran the turns; it runs none after this returns.
bool engine::leave_host() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return !in_turn_; });
    return std::exchange(hosted_, false);
}

template <typename Add>
void engine::put(Add add) {
    bool wake = false;
    bool ask = false;
    {
        const std::lock_guard lock(mutex_);
        add(inbox_);
        wake = std::exchange(sleeping_, false);
        ask = hosted_ && !std::exchange(turn_asked_, true);
    }
    if (wake) {
        wake_.notify_one();
    }
    if (ask) {
        parts_.host->run_soon([this] { run_hosted(); });
    }
}

void engine::post(command_batch batch) {
    const auto bytes = batch.bytes;
    put([&](mail& to) {
        to.commands.push_back(std::move(batch));
        inbox_bytes_ += bytes;
        if (inbox_bytes_ > inbox_bytes_max) {
            congested_.store(true, std::memory_order_relaxed);
        }
    });
}

void engine::post_task(task what) {
    put([&](mail& to) { to.tasks.push_back(std::move(what)); });
}

void engine::request_health(health_handler handler) {
    post_task([this, handler = std::move(handler)](instant now) mutable {
        core_.request_health(std::move(handler), now);
    });
}

void engine::request_statistics(stats_handler handler) {
    post_task([this, handler = std::move(handler)](instant) { handler(core_.statistics()); });
}

void engine::drop_and_reload() {
    post_task([this](instant) {
        core_.drop_and_reload({error_code::busy, "the broker loads its state again; reconnect"});
    });
}

// There is something that a turn could do now. Under mutex_.
bool engine::may_go_on() const {
    return !inbox_.empty(core_.saturated()) || (!arrived_.commands.empty() && !core_.saturated()) ||
           (stopping_ && core_.idle());
}

// Under mutex_.
void engine::collect() {
    if (arrived_.commands.empty()) {
        arrived_.commands.swap(inbox_.commands);
    }
    move_to(arrived_.fetched, inbox_.fetched);
    move_to(arrived_.committed, inbox_.committed);
    move_to(arrived_.tasks, inbox_.tasks);
}

void engine::wait_for_mail() {
    std::unique_lock lock(mutex_);
    if (!may_go_on()) {
        sleeping_ = true;
        if (wake_at_ == mono_never) {
            wake_.wait(lock, [this] { return !sleeping_; });
        } else {
            wake_.wait_until(lock,
                             std::chrono::steady_clock::time_point(wake_at_.time_since_epoch()),
                             [this] { return !sleeping_; });
        }
        sleeping_ = false;
    }
    collect();
}

// On a thread of the engine's own, and to the end when it stops.
void engine::run() {
    for (;;) {
        wait_for_mail();
        turn();
        const std::lock_guard lock(mutex_);
        if (stopping_ && core_.idle() && arrived_.empty(false) && inbox_.empty(false)) {
            return;
        }
    }
}

// One turn on the host's thread, which gets to its own work before the next.
void engine::run_hosted() {
    {
        const std::lock_guard lock(mutex_);
        if (!hosted_) {
            return;
        }
        in_turn_ = true;
        turn_asked_ = false;
        collect();
    }
    turn();
    parts_.host->run_at(wake_at_, [this] { run_hosted(); });
    const std::lock_guard lock(mutex_);
    if (may_go_on() && !std::exchange(turn_asked_, true)) {
        parts_.host->run_soon([this] { run_hosted(); });
    }
    in_turn_ = false;
    wake_.notify_one();  // leave_host; under the lock, as the engine may go then
}

void engine::turn() {
    const instant now = parts_.clock.now();
    for (auto& answer : std::exchange(arrived_.committed, {})) {
        core_.committed(answer.number, answer.result, now);
    }
    for (auto& answer : std::exchange(arrived_.fetched, {})) {
        core_.answered(std::move(answer), now);
    }
    std::size_t bytes = 0;
    while (!arrived_.commands.empty() && !core_.saturated()) {
        bytes += arrived_.commands.front().bytes;
        core_.apply(std::move(arrived_.commands.front()), now);
        arrived_.commands.pop_front();
    }
    for (const auto& what : std::exchange(arrived_.tasks, {})) {
        what(now);
    }
    if (bytes > 0) {
        take_in(bytes);
    }
    epoch_ = core_.epoch().value();
    wake_at_ = core_.finish_turn(now);
}

void engine::take_in(std::size_t bytes) {
    bool relieved = false;
    {
        const std::lock_guard lock(mutex_);
        inbox_bytes_ -= bytes;
        if (congested_.load(std::memory_order_relaxed) && inbox_bytes_ <= inbox_bytes_max / 2) {
            congested_.store(false, std::memory_order_relaxed);
            relieved = true;
        }
    }
    if (relieved) {
        for (auto* sink : parts_.sinks) {
            sink->inbox_relieved();
        }
    }
}

}  // namespace brokerd::engine
