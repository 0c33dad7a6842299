// Search without stepping back in the text.
#include "protocol/filter/search.hpp"

namespace brokerd::filters {

void append_borders(std::string_view needle, std::vector<std::uint16_t>& to) {
    const std::size_t begin = to.size();
    to.resize(begin + needle.size());
    const std::span borders = std::span(to).subspan(begin);
    std::uint16_t matched = 0;
    for (std::size_t i = 1; i < needle.size(); ++i) {
        while (matched > 0 && needle[i] != needle[matched]) {
            matched = borders[matched - 1U];
        }
        if (needle[i] == needle[matched]) {
            ++matched;
        }
        borders[i] = matched;
    }
}

std::size_t find_text(std::string_view text, std::string_view needle,
                      std::span<const std::uint16_t> borders) noexcept {
    std::size_t at = 0;
    std::size_t matched = 0;
    while (at < text.size()) {
        if (matched == 0) {
            at = text.find(needle.front(), at);  // most of a text is passed over here
            if (at == std::string_view::npos) {
                break;
            }
        } else if (text[at] != needle[matched]) {
            matched = borders[matched - 1];
            continue;
        }
        ++at;
        if (++matched == needle.size()) {
            return at - matched;
        }
    }
    return std::string_view::npos;
}

}  // namespace brokerd::filters
