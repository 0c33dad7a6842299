// Why a data directory could not be opened. The program's exit code follows from the kind.
// Header only.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace brokerd::storage {

enum class open_failure : std::uint8_t {
    locked,   // another brokerd has the directory: exit 75
    refused,  // the data is not ours, newer than us, damaged or incomplete: exit 78
    failed,   // the disk or the system failed: exit 70
};

struct open_error {
    open_failure kind = open_failure::failed;
    std::string text;  // what happened, to which file, what to do
};

// The end of every refusal because of damage or loss: what an operator can do with this version.
inline constexpr std::string_view refusal_advice =
    "Nothing was changed. Keep this directory as it is, and start brokerd with --data-dir on a "
    "copy "
    "of the whole directory that was made while brokerd was stopped; this version has no way to "
    "start with part of the data missing";

template <typename T>
using open_outcome = std::expected<T, open_error>;

[[nodiscard]] inline std::unexpected<open_error> open_failed(open_failure kind, std::string text) {
    return std::unexpected(open_error{kind, std::move(text)});
}

}  // namespace brokerd::storage
