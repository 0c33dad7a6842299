// A filter as it is run: a flat list of steps, one per term, each of which knows where to go on if
// its term is true and if it is false. And, or, not and parentheses are gone: they are in these
// jumps, which all lead forward, so that no step runs twice. Pure; no thread affinity.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/filter/fields.hpp"
#include "protocol/filter/subject.hpp"
#include "protocol/filter/syntax.hpp"

namespace brokerd::filters {

class program {
public:
    program() = default;  // matches nothing
    // `tree` holds the limits of a filter.
    explicit program(const syntax_tree& tree);

    // Does not allocate. A step takes time in proportion to its own text and the value it looks at,
    // whatever they hold; a run is at most limits::filter_terms_max of them.
    [[nodiscard]] bool matches(const subject& of) const noexcept;

    [[nodiscard]] field_set uses() const noexcept { return uses_; }

private:
    class evaluation;

    // Where a jump leads that leads to no step.
    static constexpr std::uint16_t accept = 0xFFFE;
    static constexpr std::uint16_t reject = 0xFFFF;

    // Bytes of texts_.
    struct slice {
        std::uint16_t begin = 0;
        std::uint16_t length = 0;
    };
    struct value {
        std::uint64_t number = 0;
        slice text{};
        std::uint16_t borders = 0;  // of a middle text of a pattern: where they begin in borders_
        literal_kind kind = literal_kind::number;
    };
    struct step {
        field_id field = field_id::offset;
        operation op = operation::has;
        slice header{};
        std::uint16_t first_value = 0;
        std::uint16_t values = 0;
        std::uint16_t if_true = accept;
        std::uint16_t if_false = reject;
    };

    void add(const term& from);
    void connect(const node& at, std::uint16_t if_true, std::uint16_t if_false);
    [[nodiscard]] slice keep(std::string_view text);

    std::vector<step> steps_;
    std::vector<value> values_;
    std::string texts_;                   // every name, text and number that is compared as text
    std::vector<std::uint16_t> borders_;  // see search.hpp
    field_set uses_;
};

}  // namespace brokerd::filters
