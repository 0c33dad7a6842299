// The rows of the error table and their look-up.
#include "protocol/types/error.hpp"

#include <algorithm>
#include <array>

namespace brokerd {
namespace {

constexpr std::array rows{
#define BROKERD_ERROR_ROW(name, number, retryable, closes, text) \
    error_info{error_code::name, #name, text, retryable, closes},
    BROKERD_ERROR_TABLE(BROKERD_ERROR_ROW)
#undef BROKERD_ERROR_ROW
};

static_assert(std::ranges::is_sorted(rows, {}, &error_info::code));

}  // namespace

std::span<const error_info> error_table() noexcept {
    return rows;
}

const error_info& describe(error_code code) noexcept {
    const auto* at = std::ranges::lower_bound(rows, code, {}, &error_info::code);
    if (at != rows.end() && at->code == code) {
        return *at;
    }
    return *std::ranges::lower_bound(rows, error_code::internal, {}, &error_info::code);
}

}  // namespace brokerd
