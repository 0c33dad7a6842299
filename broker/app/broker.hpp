// The composition root: builds the parts of a broker from its options, runs it until a signal, and
// takes it apart again. Owner: the main thread.
#pragma once

#include <string_view>

#include "broker/app/exit_code.hpp"
#include "broker/config/options.hpp"

namespace brokerd::app {

[[nodiscard]] exit_code run_broker(const config::options& options, std::string_view version);

}  // namespace brokerd::app
