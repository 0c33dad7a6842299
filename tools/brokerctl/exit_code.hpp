// What brokerctl tells the shell. The numbers are a contract with scripts. Pure.
#pragma once

#include <stdexcept>
#include <string>

#include <brokerd/error.hpp>

namespace brokerd::ctl {

enum class exit_code : int {
    done = 0,
    refused = 1,          // the broker said no, or fewer than asked for
    usage = 2,            // the command line is wrong
    no_connection = 3,    // no broker answers there
    outcome_unknown = 4,  // asked for, and no answer came: done or not
};

// The command line is wrong in a way that only the command itself can see.
class usage_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// The command is right and what it asks for cannot be.
class refusal : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

[[nodiscard]] exit_code exit_code_of(const error& failure);

}  // namespace brokerd::ctl
