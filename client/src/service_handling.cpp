// Requests, replies and failures, one at a time.
#include "client/src/service_handling.hpp"

#include <algorithm>
#include <utility>

#include "client/src/client_limits.hpp"
#include "client/src/convert.hpp"
#include "client/src/encoded.hpp"
#include "client/src/reason.hpp"
#include "protocol/codec/record.hpp"

namespace brokerd::client_core {

service_request to_public(const std::string& service, const handed_request& taken) {
    // Verified when it arrived: it has the form of a record.
    service_reply parts = to_reply({}, *codec::parse_record(taken.record));
    return {.service = service,
            .requester = taken.requester,
            .key = std::move(parts.key),
            .headers = std::move(parts.headers),
            .payload = std::move(parts.payload),
            .deadline =
                std::chrono::steady_clock::time_point(taken.handle.deadline.time_since_epoch())};
}

made_reply reply_of(const outgoing_message& returned) {
    made_reply made;
    if (const auto encoded = encode_reply(made.record, returned); !encoded) {
        made = {.failed = true,
                .text = clean_reason(std::string("its reply cannot be sent: ") +
                                     encoded.error().what()),
                .record = {}};
    }
    return made;
}

made_reply failure_of(const std::exception_ptr& thrown) {
    made_reply made{.failed = true, .text = {}, .record = {}};
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception& why) {
        made.text = clean_reason(why.what());
    } catch (...) {
        made.text = "the handler threw something that is no std::exception";
    }
    return made;
}

std::uint32_t prefetch_of(const serve_options& options) {
    return options.prefetch == 0
               ? std::min(2 * options.concurrency, client_limits::service_prefetch_max)
               : options.prefetch;
}

}  // namespace brokerd::client_core
