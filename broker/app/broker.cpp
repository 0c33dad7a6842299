// The parts of a broker, in the order they start; each says how it is stopped when it has started.
#include "broker/app/broker.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>

#include "broker/app/signals.hpp"
#include "broker/app/stop_list.hpp"
#include "broker/app/temporary_directory.hpp"
#include "broker/base/assert.hpp"
#include "broker/base/clock.hpp"
#include "broker/base/log.hpp"
#include "broker/config/listen_address.hpp"
#include "broker/engine/engine.hpp"
#include "broker/session/server.hpp"
#include "broker/storage/commit_log.hpp"
#include "broker/storage/rocks_store.hpp"

namespace brokerd::app {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

// File descriptors left to the store and to administration.
constexpr std::uint64_t reserved_descriptors = 512;
constexpr unsigned io_threads_cores = 4;  // cores for each I/O thread
// Cores from which on the engine has a thread of its own. With two, shared by the clients, that
// costs a request 2 changes of threads: a reply 60 us of 150, an answer from memory 35 of 150, and
// a million messages 10 % more CPU (tools/bench/README.md).
constexpr unsigned own_engine_cores = 4;
// Behind the drain time: what does not stop by then never will.
constexpr auto stop_time_max = std::chrono::seconds{20};

[[noreturn]] void exit_now(exit_code code) {
    std::fflush(nullptr);
    std::_Exit(static_cast<int>(code));
}

// A broken invariant must not reach the disk: the process ends here, without any unwinding.
void fail_stop_on_assertion(const base::assertion& what) {
    fmt::print(stderr, "brokerd: invariant failed at {}:{}: {} {}\n", what.file, what.line,
               what.expression, what.text);
    exit_now(exit_code::failed);
}

exit_code code_for(storage::open_failure kind) {
    switch (kind) {
        case storage::open_failure::locked: return exit_code::locked;
        case storage::open_failure::refused: return exit_code::refused;
        case storage::open_failure::failed: return exit_code::failed;
    }
    return exit_code::failed;
}

std::size_t io_threads(const config::options& options) {
    return options.io_threads > 0
               ? static_cast<std::size_t>(options.io_threads)
               : std::max(1U, std::thread::hardware_concurrency() / io_threads_cores);
}

bool shares_thread(const config::options& options) {
    return options.engine_thread == "shared" ||
           (options.engine_thread == "auto" &&
            std::thread::hardware_concurrency() < own_engine_cores);
}

// As many connections as the process may have files, less a reserve.
std::uint64_t connections_possible(std::uint64_t wanted, const base::logger& log) {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur >= wanted + reserved_descriptors) {
        return wanted;
    }
    const std::uint64_t possible = files.rlim_cur > 2 * reserved_descriptors
                                       ? files.rlim_cur - reserved_descriptors
                                       : std::max<std::uint64_t>(files.rlim_cur / 2, 1);
    log.warning(
        "max-connections {} needs {} file descriptors, the limit of the process is {}: "
        "serving at most {} connections",
        wanted, wanted + reserved_descriptors, files.rlim_cur, possible);
    return possible;
}

session::session_settings session_terms(const config::options& from, std::string_view version,
                                        std::string database_id) {
    return {.broker_version = std::string{version},
            .database_id = std::move(database_id),
            .frame_bytes_max = static_cast<std::size_t>(from.frame_bytes),
            .batch_records_max = static_cast<std::uint32_t>(from.batch_records),
            .credit_messages = static_cast<std::uint32_t>(from.credit_messages),
            .credit_bytes = from.credit_bytes,
            .heartbeat = from.heartbeat,
            .dead_after = from.dead_after,
            .handshake = from.handshake};
}

domain::domain_options domain_terms(const config::options& from) {
    std::random_device seed;
    return {.seed = (std::uint64_t{seed()} << 32) | seed(),
            .cache_bytes_max = static_cast<std::size_t>(from.cache_bytes),
            .message_bytes_max = from.message_bytes,
            .level = from.ephemeral ? durability::memory : durability::disk};
}

storage::rocks_store_options store_terms(const config::options& from,
                                         const std::filesystem::path& directory,
                                         const base::logger& log) {
    storage::rocks_store_options options;
    options.directory = directory;
    if (from.disk_reserve_bytes > 0) {
        options.disk_reserve_bytes = from.disk_reserve_bytes;
    }
    options.ephemeral = from.ephemeral;
    if (from.ephemeral) {
        options.ballast_bytes = 0;  // nothing is there to be started again on a full disk
    }
    options.warn = [log](std::string_view text) { log.warning("{}", text); };
    return options;
}

session::server_settings server_terms(const config::options& from, const base::logger& log) {
    return {.bounds = {.total = connections_possible(from.connections, log),
                       .per_ip = from.connections_per_ip,
                       .handshakes = from.unauthenticated,
                       .handshakes_per_ip = from.unauthenticated_per_ip},
            .io_threads = io_threads(from)};
}

// The parts, declared in the order they start; the stop list comes last, so it goes first.
class running_broker {
public:
    running_broker(const config::options& options, std::string_view version);

    [[nodiscard]] exit_code run();

private:
    [[nodiscard]] exit_code start();
    [[nodiscard]] exit_code open_store();
    [[nodiscard]] exit_code start_engine();
    [[nodiscard]] exit_code serve();
    [[nodiscard]] exit_code cannot_listen(const std::error_code& error) const;
    void log_ready() const;

    const config::options& options_;
    std::string_view version_;
    base::system_clock clock_;
    mono_time began_;
    base::logs logs_;
    base::logger log_;
    session::server server_;
    std::optional<temporary_directory> temporary_;
    std::filesystem::path directory_;
    std::unique_ptr<storage::rocks_store> store_;
    std::optional<storage::local_commit_log> commits_;
    std::unique_ptr<engine::engine> engine_;
    engine::load_summary loaded_;
    stop_list stops_;
};

running_broker::running_broker(const config::options& options, std::string_view version)
    : options_(options),
      version_(version),
      began_(clock_.now().mono),
      logs_({.level = *base::parse_log_level(options.log_level),
             .format =
                 options.log_format == "json" ? base::log_format::json : base::log_format::text}),
      log_(logs_.module("broker")),
      server_(server_terms(options, log_), clock_, logs_.module("session")),
      directory_(options.data_dir) {}

exit_code running_broker::cannot_listen(const std::error_code& error) const {
    log_.error("cannot listen on {}: {}; choose another --listen", options_.listen,
               error.message());
    return exit_code::address_in_use;
}

exit_code running_broker::open_store() {
    if (options_.ephemeral) {
        auto created = temporary_directory::create();
        if (!created) {
            log_.error("cannot create a temporary directory: {}", created.error().message());
            return exit_code::failed;
        }
        directory_ = temporary_.emplace(*std::move(created)).path();
    }
    auto opened =
        storage::rocks_store::open(store_terms(options_, directory_, logs_.module("storage")));
    if (!opened) {
        log_.error("{}", opened.error().text);
        return code_for(opened.error().kind);
    }
    store_ = *std::move(opened);
    stops_.push([this] { store_->close(); });
    commits_.emplace(*store_);
    return exit_code::done;
}

exit_code running_broker::start_engine() {
    engine_ = std::make_unique<engine::engine>(
        engine::engine::parts{.store = *store_,
                              .commits = *commits_,
                              .clock = clock_,
                              .sinks = server_.sinks(),
                              .fatal =
                                  [this](const std::string&) {
                                      logs_.flush();
                                      exit_now(exit_code::failed);
                                  },
                              .log = logs_.module("engine"),
                              .os_sync_interval = options_.os_sync_interval,
                              .host = shares_thread(options_) ? &server_.host() : nullptr},
        domain_terms(options_));
    stops_.push([this] { engine_->stop(); });
    const auto loaded = engine_->start();
    if (!loaded) {
        log_.error("cannot load {}: {}", directory_.string(), loaded.error().text);
        return exit_code::failed;
    }
    loaded_ = *loaded;
    return exit_code::done;
}

exit_code running_broker::serve() {
    if (const auto error =
            server_.start(*engine_, session_terms(options_, version_, store_->database_id()))) {
        return cannot_listen(error);
    }
    stops_.push([this] { server_.drain(options_.drain); });
    return exit_code::done;
}

exit_code running_broker::start() {
    // The address first: it is taken or not without touching any data.
    const auto address = config::parse_listen_address(options_.listen);
    BROKERD_ASSERT(address, "the options were checked");
    if (const auto error = server_.bind(address->host, address->port)) {
        return cannot_listen(error);
    }
    for (const auto step :
         {&running_broker::open_store, &running_broker::start_engine, &running_broker::serve}) {
        if (const auto code = (this->*step)(); code != exit_code::done) {
            return code;
        }
    }
    return exit_code::done;
}

void running_broker::log_ready() const {
    log_.info(
        "brokerd {} serves {} on {}: database {}, epoch {}, {} topics, {} queues; ready after {} "
        "ms",
        version_, directory_.string(), server_.address(), store_->database_id(),
        loaded_.epoch.value(), loaded_.topics, loaded_.queues,
        duration_cast<milliseconds>(clock_.now().mono - began_).count());
}

exit_code running_broker::run() {
    if (const auto code = start(); code != exit_code::done) {
        return code;
    }
    log_ready();
    fmt::print("listening on {}\n", server_.address());
    std::fflush(stdout);

    const int signal = wait_for_stop_signal();
    log_.info("signal {}: shutting down, connections have {} ms", signal,
              duration_cast<milliseconds>(options_.drain).count());
    let_next_signal_kill();
    alarm(static_cast<unsigned>(
        std::chrono::ceil<std::chrono::seconds>(options_.drain + stop_time_max).count()));
    stops_.run();
    log_.info("stopped");
    return exit_code::done;
}

}  // namespace

exit_code run_broker(const config::options& options, std::string_view version) {
    base::set_fail_handler(&fail_stop_on_assertion);
    block_stop_signals();
    return running_broker(options, version).run();
}

}  // namespace brokerd::app
