// Publishing, now or later: the batch is verified here, on the I/O thread, and then handed over
// whole.
#include "broker/session/request_table.hpp"

namespace brokerd::session::handlers {

void publish(session& of, const codec::frame& frame, session_io& io) {
    auto message = codec::decode<codec::publish>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    of.take_publish(frame.request_id,
                    {.topic = std::move(message->topic), .batch = {{}, message->batch.view}}, io);
}

void schedule(session& of, const codec::frame& frame, session_io& io) {
    auto message = codec::decode<codec::schedule>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    of.take_publish(frame.request_id,
                    {.topic = std::move(message->topic),
                     .batch = {{}, message->batch.view},
                     .later = domain::schedule_time{message->due, message->delay}},
                    io);
}

}  // namespace brokerd::session::handlers
