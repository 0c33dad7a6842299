// Random filters that know what they mean: each is a tree with its text, in a random spelling, and
// a slow and obvious evaluation of its own, with which the real one is compared.
#pragma once

#include <memory>
#include <string>

#include "broker/base/random.hpp"
#include "tests/unit/filter/sample.hpp"

namespace brokerd::filters {

class model {
public:
    virtual ~model() = default;

    [[nodiscard]] virtual std::string text(base::random& spelling) const = 0;
    [[nodiscard]] virtual bool matches(const sample& of) const = 0;
};

// At most `depth` levels of and, or, not and parentheses, and few terms.
[[nodiscard]] std::unique_ptr<model> random_model(base::random& random, int depth);

// A message with few different values, so that filters match often enough.
[[nodiscard]] sample random_sample(base::random& random);

}  // namespace brokerd::filters
