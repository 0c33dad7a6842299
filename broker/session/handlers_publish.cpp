// Publishing, now or later: the batch is verified here, on the I/O thread, and then handed over
// whole.
#include "broker/session/request_table.hpp"

namespace brokerd::session::handlers {
namespace {

// The rest of it is said by the batch.
domain::publish_request request_of(std::string topic, byte_view batch) {
    domain::publish_request request;
    request.topic = std::move(topic);
    request.batch.view = batch;
    return request;
}

}  // namespace

void publish(session& of, const codec::frame& frame, session_io& io) {
    auto message = codec::decode<codec::publish>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    of.take_publish(frame.request_id, request_of(std::move(message->topic), message->batch.view),
                    io);
}

void schedule(session& of, const codec::frame& frame, session_io& io) {
    auto message = codec::decode<codec::schedule>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    auto request = request_of(std::move(message->topic), message->batch.view);
    request.later = domain::schedule_time{message->due, message->delay};
    of.take_publish(frame.request_id, std::move(request), io);
}

}  // namespace brokerd::session::handlers
