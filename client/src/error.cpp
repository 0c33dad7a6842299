// The two error categories. The public broker_errc repeats the protocol's error table, which public
// headers cannot include; the assertions below hold the two together.
#include "brokerd/error.hpp"

#include <string>

#include "protocol/types/error.hpp"

namespace brokerd {
namespace {

// No default: a row of the table that broker_errc lacks does not compile.
constexpr int public_number(error_code code) {
    switch (code) {
        case error_code::ok: return 0;
#define BROKERD_PUBLIC(name) \
    case error_code::name: return static_cast<int>(broker_errc::name);
            BROKERD_PUBLIC(bad_frame)
            BROKERD_PUBLIC(frame_too_large)
            BROKERD_PUBLIC(unknown_type)
            BROKERD_PUBLIC(bad_flags)
            BROKERD_PUBLIC(malformed)
            BROKERD_PUBLIC(unexpected)
            BROKERD_PUBLIC(version_unsupported)
            BROKERD_PUBLIC(feature_unsupported)
            BROKERD_PUBLIC(handshake_timeout)
            BROKERD_PUBLIC(too_many_connections)
            BROKERD_PUBLIC(credit_overrun)
            BROKERD_PUBLIC(draining)
            BROKERD_PUBLIC(closed_by_admin)
            BROKERD_PUBLIC(slow_consumer)
            BROKERD_PUBLIC(idle_timeout)
            BROKERD_PUBLIC(frame_timeout)
            BROKERD_PUBLIC(internal)
            BROKERD_PUBLIC(storage_failed)
            BROKERD_PUBLIC(resource_disk)
            BROKERD_PUBLIC(resource_memory)
            BROKERD_PUBLIC(busy)
            BROKERD_PUBLIC(invalid_name)
            BROKERD_PUBLIC(topic_not_found)
            BROKERD_PUBLIC(queue_not_found)
            BROKERD_PUBLIC(topic_exists)
            BROKERD_PUBLIC(queue_exists)
            BROKERD_PUBLIC(invalid_setting)
            BROKERD_PUBLIC(too_many_queues)
            BROKERD_PUBLIC(unsupported)
            BROKERD_PUBLIC(invalid_argument)
            BROKERD_PUBLIC(empty_batch)
            BROKERD_PUBLIC(bad_batch)
            BROKERD_PUBLIC(bad_checksum)
            BROKERD_PUBLIC(message_too_large)
            BROKERD_PUBLIC(too_many_records)
            BROKERD_PUBLIC(too_many_headers)
            BROKERD_PUBLIC(key_too_large)
            BROKERD_PUBLIC(sequence_too_old)
            BROKERD_PUBLIC(sequence_mismatch)
            BROKERD_PUBLIC(consumer_exists)
            BROKERD_PUBLIC(consumer_not_found)
            BROKERD_PUBLIC(too_many_consumers)
            BROKERD_PUBLIC(lease_gone)
            BROKERD_PUBLIC(gone)
            BROKERD_PUBLIC(not_found)
            BROKERD_PUBLIC(queue_removed)
            BROKERD_PUBLIC(topic_removed)
            BROKERD_PUBLIC(wrong_state)
            BROKERD_PUBLIC(connection_not_found)
            BROKERD_PUBLIC(cross_shard)
            BROKERD_PUBLIC(no_responder)
            BROKERD_PUBLIC(responder_gone)
            BROKERD_PUBLIC(deadline_exceeded)
            BROKERD_PUBLIC(request_failed)
            BROKERD_PUBLIC(responder_exists)
            BROKERD_PUBLIC(responder_not_found)
            BROKERD_PUBLIC(too_many_responders)
            BROKERD_PUBLIC(reply_dropped)
            BROKERD_PUBLIC(topic_full)
#undef BROKERD_PUBLIC
    }
    return -1;
}

#define BROKERD_SAME_NUMBER(name, number, retryable, closes, text) \
    static_assert(public_number(error_code::name) == (number));
BROKERD_ERROR_TABLE(BROKERD_SAME_NUMBER)
#undef BROKERD_SAME_NUMBER

class client_category_impl final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "brokerd client"; }
    [[nodiscard]] std::string message(int value) const override {
        switch (static_cast<client_errc>(value)) {
            case client_errc::not_connected: return "no connection to the broker";
            case client_errc::closed: return "closed";
            case client_errc::timed_out: return "no answer in time";
            case client_errc::outcome_unknown: return "outcome unknown";
            case client_errc::invalid_argument: return "invalid argument";
            case client_errc::cancelled: return "cancelled";
            case client_errc::protocol_error: return "protocol error";
            case client_errc::other_data: return "the broker has other data than before";
        }
        return "unknown error";
    }
};

class broker_category_impl final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "brokerd"; }
    [[nodiscard]] std::string message(int value) const override {
        return std::string(describe(static_cast<error_code>(value)).text);
    }
};

}  // namespace

const std::error_category& client_category() noexcept {
    static const client_category_impl category;
    return category;
}

const std::error_category& broker_category() noexcept {
    static const broker_category_impl category;
    return category;
}

std::error_code make_error_code(client_errc code) noexcept {
    return {static_cast<int>(code), client_category()};
}

std::error_code make_error_code(broker_errc code) noexcept {
    return {static_cast<int>(code), broker_category()};
}

bool error::retryable() const noexcept {
    if (from_broker()) {
        return describe(static_cast<error_code>(code().value())).retryable;
    }
    return code() == client_errc::not_connected || code() == client_errc::timed_out;
}

}  // namespace brokerd
