// The version of this brokerd, from the build description.
#pragma once

#include <string_view>

namespace brokerd::app {

[[nodiscard]] std::string_view version();

}  // namespace brokerd::app
