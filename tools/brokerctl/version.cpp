// The version of this build, from the build description.
#include "tools/brokerctl/version.hpp"

namespace brokerd::ctl {

const char* const program_version = BROKERCTL_VERSION;

}  // namespace brokerd::ctl
