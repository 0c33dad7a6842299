// Faults that tests plant on purpose, to prove that the tests find them. They exist only in builds
// with BROKERD_SEEDED_FAULTS (a CMake option, never in what is installed); elsewhere seeded_fault()
// is constant false and its branch is gone.
//
// Selected by plant_fault() in a test, or for a program by the environment variable
// BROKERD_SEEDED_FAULT holding the fault's name. At most one at a time. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#ifdef BROKERD_SEEDED_FAULTS
#include <atomic>
#include <cstdlib>
#endif

namespace brokerd::base {

enum class fault : std::uint8_t {
    none,
    ack_before_sync,             // storage: a commit counts as synced although nothing was
    skip_deduplication,          // domain: a producer's resend is appended again
    forget_lease_on_disconnect,  // domain: the leases of a lost connection never come back
    forget_key_lock,             // domain: a key with a message in flight counts as free
    keep_schedule,               // domain: what was appended or cancelled stays scheduled on disk
    tear_transaction,            // domain: the last publish of a transaction is only answered
    hush_lost_responder,         // domain: who waits for a lost responder is not told
    deliver_expired,             // domain: dispatch gives out what has expired
    deliver_unmatched,           // domain: a queue gets what its filter does not take
    forget_message_ids,          // domain: a message id that was seen counts as new
    reuse_offsets,               // domain: offsets that were reserved are used again after a start
    exceed_limits,               // domain: a topic that is full takes more
    drop_silently,               // domain: what a topic drops is not counted
    ignore_priority,             // domain: the lowest level of priority goes first
    jump_the_line,               // domain: of queues that share a consumer the last one goes first
    miss_new_topic,              // domain: a topic made later does not get its pattern queues
    drop_cursor_range,           // storage: some deltas of a queue lose the ranges they hold
    default_wal_recovery,        // storage: RocksDB's own recovery mode, its answer believed
    filter_active_in_recovery,   // storage: the trim filter answers before trim points are known
};

inline constexpr std::array<std::pair<fault, std::string_view>, 20> fault_names{{
    {fault::none, "none"},
    {fault::ack_before_sync, "ack_before_sync"},
    {fault::skip_deduplication, "skip_deduplication"},
    {fault::forget_lease_on_disconnect, "forget_lease_on_disconnect"},
    {fault::forget_key_lock, "forget_key_lock"},
    {fault::keep_schedule, "keep_schedule"},
    {fault::tear_transaction, "tear_transaction"},
    {fault::hush_lost_responder, "hush_lost_responder"},
    {fault::deliver_expired, "deliver_expired"},
    {fault::deliver_unmatched, "deliver_unmatched"},
    {fault::forget_message_ids, "forget_message_ids"},
    {fault::reuse_offsets, "reuse_offsets"},
    {fault::exceed_limits, "exceed_limits"},
    {fault::drop_silently, "drop_silently"},
    {fault::ignore_priority, "ignore_priority"},
    {fault::jump_the_line, "jump_the_line"},
    {fault::miss_new_topic, "miss_new_topic"},
    {fault::drop_cursor_range, "drop_cursor_range"},
    {fault::default_wal_recovery, "default_wal_recovery"},
    {fault::filter_active_in_recovery, "filter_active_in_recovery"},
}};

#ifdef BROKERD_SEEDED_FAULTS

inline constexpr bool seeded_faults_compiled_in = true;

namespace detail {
// An unknown name plants nothing.
inline fault fault_of_environment() {
    const char* const chosen =
        std::getenv("BROKERD_SEEDED_FAULT");  // NOLINT(concurrency-mt-unsafe)
    for (const auto& [which, name] : fault_names) {
        if (chosen != nullptr && name == chosen) {
            return which;
        }
    }
    return fault::none;
}

inline std::atomic<fault>& planted_fault() {
    static std::atomic<fault> planted{fault_of_environment()};
    return planted;
}
}  // namespace detail

[[nodiscard]] inline bool seeded_fault(fault which) {
    return detail::planted_fault().load(std::memory_order_relaxed) == which;
}

inline void plant_fault(fault which) {
    detail::planted_fault().store(which, std::memory_order_relaxed);
}

#else

inline constexpr bool seeded_faults_compiled_in = false;

[[nodiscard]] constexpr bool seeded_fault(fault) {
    return false;
}

inline void plant_fault(fault) {}

#endif

// Plants a fault for a scope.
class planted_fault_scope {
public:
    explicit planted_fault_scope(fault which) { plant_fault(which); }
    planted_fault_scope(const planted_fault_scope&) = delete;
    planted_fault_scope& operator=(const planted_fault_scope&) = delete;
    ~planted_fault_scope() { plant_fault(fault::none); }
};

}  // namespace brokerd::base
