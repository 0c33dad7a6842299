// Where the machines write: one buffer of frames that is sent as soon as the connection is free,
// and the numbering of requests. Header only; belongs to the holder of the client's lock.
#pragma once

#include <cstdint>

#include "protocol/types/bytes.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::client_core {

// Request ids of one connection; 0 is never used (it means pushed). They come round again after
// 2^32 requests, long after the first of them was answered or its connection lost.
class request_ids {
public:
    [[nodiscard]] std::uint32_t next() {
        if (++last_ == 0) {
            ++last_;
        }
        return last_;
    }
    [[nodiscard]] std::uint32_t last() const { return last_; }

private:
    std::uint32_t last_ = 0;
};

struct outgoing {
    byte_buffer& bytes;
    request_ids& ids;
    mono_time now;
};

}  // namespace brokerd::client_core
