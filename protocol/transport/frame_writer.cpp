// The writer for TCP, compiled once.
#include "protocol/transport/frame_writer.hpp"

namespace brokerd::transport {

template class basic_frame_writer<tcp::socket>;

}  // namespace brokerd::transport
