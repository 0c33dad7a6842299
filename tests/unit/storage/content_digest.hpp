// Everything a store holds as one text, to compare two stores without failing a test.
#pragma once

#include <string>

#include "broker/storage/store.hpp"

namespace brokerd::test {

// Equal for two stores exactly if they hold the same; a read that fails becomes part of it.
[[nodiscard]] std::string content_digest(storage::store& of);

}  // namespace brokerd::test
