// The filter language of brokerd (FILTER.md): which messages are meant, said in one line. The same
// everywhere: to look for messages, to redrive or purge some of them, to subscribe to some.
//
//   header.country in ('DE', 'AT') and not (key like 'test-*' or size > 1MiB)
//
// Pure: time is part of the subject. A filter does not change once it is made, so any number of
// threads may use it.
#pragma once

#include <string>
#include <string_view>

#include "protocol/filter/fields.hpp"
#include "protocol/filter/program.hpp"
#include "protocol/filter/subject.hpp"
#include "protocol/types/error.hpp"

namespace brokerd::filters {

class filter {
public:
    // Fails with invalid_argument and a text that begins with `column N: ` (see position.hpp),
    // unless the filter as a whole is too long.
    [[nodiscard]] static outcome<filter> parse(std::string_view text);

    // Whether the message is meant. Does not allocate; bounded by limits::filter_* (see program).
    [[nodiscard]] bool matches(const subject& of) const noexcept { return program_.matches(of); }

    // The canonical text: parses to an equal filter, at most limits::filter_bytes_max long, no
    // control characters and valid UTF-8.
    [[nodiscard]] const std::string& text() const noexcept { return text_; }

    // The fields it looks at, and so those that the subject must have.
    [[nodiscard]] field_set uses() const noexcept { return program_.uses(); }

    // Written the same, but for spaces, spelling and needless parentheses.
    bool operator==(const filter& other) const noexcept { return text_ == other.text_; }

private:
    filter() = default;

    std::string text_;
    program program_;
};

}  // namespace brokerd::filters
