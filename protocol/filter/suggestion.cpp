// Edit distance of short words.
#include "protocol/filter/suggestion.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include <fmt/format.h>

namespace brokerd::filters {
namespace {

constexpr std::size_t word_bytes_max = 32;
constexpr std::size_t slips_max = 2;

// How many characters to insert, drop, replace or swap with their neighbour.
std::size_t slips(std::string_view a, std::string_view b) {
    std::array<std::array<std::size_t, word_bytes_max + 1>, word_bytes_max + 1> least{};
    for (std::size_t i = 0; i <= a.size(); ++i) {
        for (std::size_t j = 0; j <= b.size(); ++j) {
            if (i == 0 || j == 0) {
                least[i][j] = i + j;
                continue;
            }
            const std::size_t replaced = least[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            least[i][j] = std::min({replaced, least[i - 1][j] + 1, least[i][j - 1] + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                least[i][j] = std::min(least[i][j], least[i - 2][j - 2] + 1);
            }
        }
    }
    return least[a.size()][b.size()];
}

}  // namespace

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
    if (word.size() > word_bytes_max) {
        return {};
    }
    std::string_view best;
    std::size_t best_slips = slips_max + 1;
    for (const std::string_view candidate : candidates) {
        // Of a short word more must be right, or everything would resemble it.
        const std::size_t count = slips(word, candidate);
        if (count < best_slips && count + 1 < candidate.size()) {
            best = candidate;
            best_slips = count;
        }
    }
    return best.empty() ? std::string{} : fmt::format("; did you mean \"{}\"?", best);
}

}  // namespace brokerd::filters
