// Parse, write out, compile.
#include "protocol/filter/filter.hpp"

#include <fmt/format.h>

#include "protocol/filter/parser.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::filters {

outcome<filter> filter::parse(std::string_view text) {
    const auto tree = parse_filter(text);
    if (!tree) {
        return std::unexpected(tree.error());
    }
    filter made;
    made.text_ = to_string(*tree);
    // Spelled out it may be longer than it was given, and what is kept must be read again.
    if (made.text_.size() > limits::filter_bytes_max) {
        return refuse(error_code::invalid_argument,
                      fmt::format("the filter has {} bytes when it is written out in full; at most "
                                  "{} are allowed",
                                  made.text_.size(), limits::filter_bytes_max));
    }
    made.program_ = program(*tree);
    return made;
}

}  // namespace brokerd::filters
