// What arrives over one connection, cut into frames and made ready before anybody takes the
// client's lock: deliveries are decoded and their records verified here, which is most of the work
// of receiving, and which application threads must not wait for.
// Sans-I/O. Owner: the strand that reads, for the time of one connection.
#pragma once

#include <optional>
#include <vector>

#include "client/src/delivery.hpp"
#include "protocol/codec/frame.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/error.hpp"

namespace brokerd::client_core {

struct arrived_frame {
    codec::frame what;
    shared_bytes body;  // keeps `what.body` alive if what is made of it outlives the piece
    std::optional<outcome<codec::deliver>> delivery;  // of a deliver frame
    bool sound = true;  // the records of the delivery are what it says, and undamaged
};

// The frames of a piece, in order, and what ends them.
struct arrivals {
    std::vector<arrived_frame> frames;
    std::optional<failure> failed;  // no frame may follow
};

class frame_intake {
public:
    frame_intake();

    // Valid until the next call of either and as long as the piece.
    [[nodiscard]] const arrivals& take(byte_view piece);
    // Keeps nothing of what was taken: a quiet connection must not hold the last bodies.
    void release();

private:
    void add(const codec::frame& what, byte_view piece);

    codec::frame_parser parser_;
    arrivals arrived_;
};

}  // namespace brokerd::client_core
