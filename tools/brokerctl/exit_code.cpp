// Failures of the client library and refusals of the broker as exit codes.
#include "tools/brokerctl/exit_code.hpp"

namespace brokerd::ctl {
namespace {

exit_code of_library(client_errc code) {
    switch (code) {
        case client_errc::not_connected:
        case client_errc::closed:
        case client_errc::timed_out:
        case client_errc::protocol_error: return exit_code::no_connection;
        case client_errc::outcome_unknown: return exit_code::outcome_unknown;
        case client_errc::invalid_argument: return exit_code::usage;
        case client_errc::cancelled:
        case client_errc::other_data: return exit_code::refused;
    }
    return exit_code::refused;
}

}  // namespace

exit_code exit_code_of(const error& failure) {
    if (failure.code().category() == client_category()) {
        return of_library(static_cast<client_errc>(failure.code().value()));
    }
    // Names and arguments are checked by the broker, for every client by the same rules; that they
    // came from our command line makes them its mistake.
    if (failure.code() == broker_errc::invalid_name ||
        failure.code() == broker_errc::invalid_argument) {
        return exit_code::usage;
    }
    // The broker's storage failed while it did what was asked: it may be there after a restart. And
    // a responder that has not replied may have done what it was asked to.
    const bool unknown = failure.code() == broker_errc::storage_failed ||
                         failure.code() == broker_errc::responder_gone ||
                         failure.code() == broker_errc::deadline_exceeded ||
                         failure.code() == broker_errc::reply_dropped;
    return unknown ? exit_code::outcome_unknown : exit_code::refused;
}

}  // namespace brokerd::ctl
