// Which messages of its topic are for a queue, as the simulated clients ask for it: a small family
// of filters, each with the text that the broker reads and with a meaning of its own, and an end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::sim {

// What of a message a filter may look at.
struct model_record {
    offset_t offset = 0;
    std::uint64_t content = 0;
    wall_time appended{};
};

enum class term_kind : std::uint8_t {
    key_is,
    key_is_not,
    key_among,
    has_key,
    header_is,
    has_header,
    offset_from,
    offset_below,
    size_from,
    appended_from,
};
inline constexpr std::uint64_t term_kinds = 10;

// The same filter can be written in many ways; the broker gives it back in one.
enum class spelling : std::uint8_t { canonical, other };

struct model_term {
    term_kind kind = term_kind::has_key;
    std::uint64_t number = 0;  // of the key or header, the offset, bytes, microseconds

    [[nodiscard]] std::string text(spelling how) const;
    [[nodiscard]] bool holds(const model_record& of) const;
};

struct model_sieve {
    std::vector<model_term> terms;  // none: it takes all up to the end
    bool any = false;               // one of them is enough; else all must hold
    bool negated = false;
    offset_t until = 0;  // 0: no end

    [[nodiscard]] bool takes_all() const { return terms.empty() && until == 0; }
    [[nodiscard]] bool ends_before(offset_t offset) const { return until != 0 && offset >= until; }
    [[nodiscard]] bool matches(const model_record& of) const;  // the filter alone
    [[nodiscard]] bool takes(const model_record& of) const {
        return !ends_before(of.offset) && matches(of);
    }
    [[nodiscard]] std::string text(spelling how = spelling::canonical) const;
};

}  // namespace brokerd::sim
