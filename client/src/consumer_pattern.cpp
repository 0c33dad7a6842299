// A consumer of all queues of a pattern queue: which these are, and its attach.
#include "client/src/consumer_state.hpp"

namespace brokerd::client_core {

codec::pattern_attach consumer_state::pattern_attach() const {
    codec::pattern_attach frame;
    frame.pattern = setup_.queue;
    frame.consumer = setup_.id;
    frame.prefetch_messages = allowed().prefetch_messages;
    frame.prefetch_bytes = setup_.options.prefetch_bytes;
    frame.limit = allowed().limit;
    frame.held = held_.open_runs();
    return frame;
}

// Those that were there before the connection was lost and hold nothing are told again, or are no
// more. Those that hold something may be told again only in a push.
bool consumer_state::on_pattern_attached(std::uint32_t request, const codec::pattern_queues& reply,
                                         mono_time now, calls& out) {
    if (!pattern_ || !answers(request)) {
        return false;
    }
    for (const codec::pattern_held& each : reply.gone) {
        held_.close_gone(each.queue, each.runs);
    }
    held_.close_idle_queues();
    join(reply.joined, now);
    attached(now, out);
    return true;
}

bool consumer_state::on_pattern_queues(const codec::pattern_queues& push, mono_time now) {
    if (!pattern_) {
        return false;
    }
    if (phase_ != phase::attached) {
        return true;  // on its way when we detached
    }
    join(push.joined, now);
    for (const codec::pattern_left& each : push.left) {
        // Answers that are under way are refused by the broker, one by one.
        held_.close_queue(each.queue);
    }
    return true;
}

void consumer_state::join(const std::vector<codec::pattern_member>& joined, mono_time now) {
    const std::string name = setup_.queue.substr(setup_.queue.find('/'));
    for (const codec::pattern_member& each : joined) {
        held_.open_queue({.queue = each.queue,
                          .topic = each.topic,
                          .path = each.topic + name,
                          .lease = each.lease,
                          .attempts = each.attempts},
                         now);
    }
}

}  // namespace brokerd::client_core
