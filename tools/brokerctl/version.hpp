// The version of this build.
#pragma once

namespace brokerd::ctl {

extern const char* const program_version;

}  // namespace brokerd::ctl
