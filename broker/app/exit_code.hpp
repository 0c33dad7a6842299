// The exit codes of brokerd: part of its outside contract. Header only.
#pragma once

namespace brokerd::app {

enum class exit_code : int {
    done = 0,
    usage = 64,           // command line, configuration file or environment
    address_in_use = 69,  // or cannot be listened on
    failed = 70,          // storage or an invariant failed
    locked = 75,          // another brokerd has the data directory
    refused = 78,         // the data is not ours, newer than us, or damaged
};

}  // namespace brokerd::app
