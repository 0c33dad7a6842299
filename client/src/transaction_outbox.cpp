// Transactions from add() to their outcome.
#include "client/src/transaction_outbox.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "client/src/client_limits.hpp"
#include "client/src/message_access.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::client_core {
namespace {

// The broker does nothing of it now, but over a later connection it may.
bool is_asked_again(error_code code) {
    return code == error_code::draining || code == error_code::storage_failed;
}

error outcome_unknown(const std::string& because) {
    return make_error(client_errc::outcome_unknown,
                      "the transaction was sent, but not answered: all of it may be done or "
                      "nothing; " +
                          because);
}

// A settle of a transaction with what it names at the broker.
struct named_settle {
    queue_id queue;
    const transaction_parts::settle* what;
    lease_run lease;

    [[nodiscard]] auto part() const {
        return std::tie(queue, what->action, what->delay, what->reason);
    }
    bool operator<(const named_settle& other) const {
        return std::tuple(part(), lease.epoch, lease.first_lease) <
               std::tuple(other.part(), other.lease.epoch, other.lease.first_lease);
    }
};

std::size_t count_runs(const std::vector<codec::transact_settle>& settles) {
    std::size_t count = 0;
    for (const codec::transact_settle& each : settles) {
        count += each.runs.size();
    }
    return count;
}

}  // namespace

void transaction_outbox::add(parts_ptr what, callback<committed> done, calls& out) {
    if (what->empty()) {
        entry nothing;
        nothing.parts = std::move(what);
        nothing.done = std::move(done);
        end(std::move(nothing), committed(), out);
        return;
    }
    if (const auto held = check_leases(*what); !held) {
        refuse(std::move(what), std::move(done), held.error(), out);
        return;
    }
    for (const transaction_parts::settle& each : what->settles) {
        find_(message_access::delivery_of(each.which).origin->consumer)->enter_transaction();
    }
    entry fresh;
    fresh.parts = std::move(what);
    fresh.done = std::move(done);
    waiting_.push_back(std::move(fresh));
}

// The calls are made without the lock, which the messages need when they are destroyed.
void transaction_outbox::refuse(parts_ptr what, callback<committed> done, const error& why,
                                calls& out) {
    out.emplace_back([what = std::move(what), done = std::move(done), why]() mutable {
        what->committing.store(false, std::memory_order_release);
        done(std::unexpected(why));
    });
}

void transaction_outbox::end(entry what, result<committed> outcome, calls& out) {
    for (const transaction_parts::settle& each : what.parts->settles) {
        delivery& from = message_access::delivery_of(each.which);
        if (consumer_state* const of = find_(from.origin->consumer); of != nullptr) {
            of->leave_transaction(from, message_access::index_of(each.which), outcome.has_value(),
                                  out);
        }
    }
    if (!outcome) {
        refuse(std::move(what.parts), std::move(what.done), outcome.error(), out);
        return;
    }
    out.emplace_back([parts = std::move(what.parts), done = std::move(what.done),
                      outcome = std::move(outcome)]() mutable {
        parts->clear();
        parts->committing.store(false, std::memory_order_release);
        done(std::move(outcome));
    });
}

result<void> transaction_outbox::check_leases(const transaction_parts& of) const {
    for (const transaction_parts::settle& each : of.settles) {
        const delivery& from = message_access::delivery_of(each.which);
        const consumer_state* const consumer = find_(from.origin->consumer);
        if (consumer == nullptr || !consumer->holds(from, message_access::index_of(each.which))) {
            return std::unexpected(make_error(
                failure{error_code::lease_gone,
                        fmt::format("the lease of {} in queue {} is no longer held: it may be "
                                    "delivered again; nothing of the transaction was done",
                                    to_string(each.which.at()), each.which.queue())}));
        }
    }
    return {};
}

// ---- the connection

void transaction_outbox::on_ready(const codec::hello_ok& terms) {
    ready_ = true;
    draining_ = false;
    takes_transactions_ = (terms.features & codec::feature::transactions) != 0;
    takes_ids_ = (terms.features & codec::feature::message_ids) != 0;
    batch_records_max_ = terms.batch_records_max;
    frame_bytes_max_ = terms.frame_bytes_max;
}

void transaction_outbox::on_lost() {
    ready_ = false;
    bytes_unanswered_ = 0;
    if (!waiting_.empty() && !waiting_.front().was_sent()) {
        // It was made for terms that may not be those of the next connection.
        entry& front = waiting_.front();
        front.frame = {};
        front.records.clear();
        front.cut.clear();
        front.bytes = 0;
    }
    // The latest first, so that each goes in front of those that were sent after it.
    for (auto each = sent_.rbegin(); each != sent_.rend(); ++each) {
        each->second.unanswered = true;
        waiting_.push_front(std::move(each->second));
    }
    sent_.clear();
}

void transaction_outbox::on_other_database(calls& out) {
    for (entry& each : std::exchange(waiting_, {})) {
        if (each.parts->settles.empty()) {
            waiting_.push_back(std::move(each));  // goes on as publishes do
            continue;
        }
        const error why =
            each.was_sent()
                ? outcome_unknown("the broker was reached again with other data than before")
                : make_error(failure{error_code::lease_gone,
                                     "the broker was reached again with other data than before, "
                                     "in which the messages of this transaction are not leased"});
        end(std::move(each), std::unexpected(why), out);
    }
}

bool transaction_outbox::has_room(const entry& next) const {
    if (next.was_sent() || sent_.empty()) {
        return true;
    }
    const std::uint64_t oldest = sent_.begin()->second.frame.first_sequence;
    return next_sequence_ + next.sequences() - oldest <= client_limits::sequences_unanswered_max &&
           bytes_unanswered_ + next.bytes <= client_limits::transaction_bytes_unanswered_max;
}

bool transaction_outbox::wants_write() const {
    return ready_ && !draining_ && !waiting_.empty() &&
           (waiting_.front().bytes == 0 || has_room(waiting_.front()));
}

void transaction_outbox::write(outgoing& out, calls& done) {
    while (wants_write() && out.bytes.size() < client_limits::write_bytes_max) {
        if (const auto fine = prepare(waiting_.front()); !fine) {
            entry impossible = std::move(waiting_.front());
            waiting_.pop_front();
            end(std::move(impossible), std::unexpected(fine.error()), done);
            continue;
        }
        if (!has_room(waiting_.front())) {
            break;
        }
        entry next = std::move(waiting_.front());
        waiting_.pop_front();
        if (!next.was_sent()) {
            next.frame.first_sequence = next_sequence_;
            next_sequence_ += next.sequences();
        }
        const std::uint32_t request = out.ids.next();
        codec::encode_frame(out.bytes, request, next.frame);
        bytes_unanswered_ += next.bytes;
        sent_.emplace(request, std::move(next));
    }
}

// What this broker can never take would only make it close the connection, again and again.
result<void> transaction_outbox::prepare(entry& next) const {
    if (next.was_sent()) {
        return check_resend(next);
    }
    if (!takes_transactions_) {
        return std::unexpected(
            make_error(failure{error_code::feature_unsupported,
                               "the broker is too old for transactions; update brokerd"}));
    }
    if (!takes_ids_ && next.parts->has_ids()) {
        return std::unexpected(
            make_error(failure{error_code::feature_unsupported,
                               "the broker is too old for messages with an id; update brokerd"}));
    }
    if (auto held = check_leases(*next.parts); !held) {
        return held;  // lost since it was added
    }
    if (next.bytes == 0) {
        make_frame(next);
    }
    return check_size(next);
}

result<void> transaction_outbox::check_resend(const entry& of) const {
    if (!takes_transactions_ || (!takes_ids_ && of.parts->has_ids())) {
        return std::unexpected(
            outcome_unknown("the broker that is there now is too old to be asked again"));
    }
    if (of.bytes > frame_bytes_max_ ||
        std::ranges::any_of(of.records, [&](auto count) { return count > batch_records_max_; })) {
        return std::unexpected(
            outcome_unknown("the limits of the broker became too small to ask it again"));
    }
    return {};
}

// ---- the frame

void transaction_outbox::make_frame(entry& of) const {
    of.frame.producer = producer_;
    for (transaction_parts::publish& each : of.parts->publishes) {
        add_publish(of, each);
    }
    add_settles(of);
    of.bytes = codec::body_size(of.frame);
}

void transaction_outbox::add_publish(entry& to, transaction_parts::publish& what) const {
    const auto add = [&](byte_buffer& batch, std::uint32_t count, const batch_summary& summary) {
        codec::batch_header header;
        summary.write_to(header);
        header.count = count;
        header.records_bytes = static_cast<std::uint32_t>(batch.size() - codec::batch_header_bytes);
        codec::store_batch_header(batch.data(), header);
        codec::transact_publish part;
        part.topic = what.topic;
        if (what.when) {
            part.scheduled = true;
            part.due = what.when->time();
            part.delay = what.when->delay();
        }
        part.batch.view = batch;
        to.frame.publishes.push_back(std::move(part));
        to.records.push_back(count);
    };
    if (what.count <= batch_records_max_) {
        add(what.batch, what.count, what.summary);
        return;
    }
    byte_view left = byte_view(what.batch).subspan(codec::batch_header_bytes);
    while (!left.empty()) {
        byte_buffer piece(codec::batch_header_bytes);
        std::uint32_t count = 0;
        batch_summary summary;
        while (!left.empty() && count < batch_records_max_) {
            const byte_view record = left.first(codec::record_size_at(left));
            piece.insert(piece.end(), record.begin(), record.end());
            summary.add(record);
            ++count;
            left = left.subspan(record.size());
        }
        add(to.cut.emplace_back(std::move(piece)), count, summary);
    }
}

// The leases of neighbours in one run, whatever the order in which they were answered.
void transaction_outbox::add_settles(entry& to) const {
    std::vector<named_settle> all;
    all.reserve(to.parts->settles.size());
    for (const transaction_parts::settle& each : to.parts->settles) {
        const delivery& from = message_access::delivery_of(each.which);
        all.push_back({from.queue, &each, from.lease_of(message_access::index_of(each.which))});
    }
    std::ranges::sort(all, std::less<>());
    const named_settle* last = nullptr;
    for (const named_settle& each : all) {
        if (last == nullptr || last->part() != each.part()) {
            codec::transact_settle part;
            part.queue = each.queue;
            part.action = each.what->action;
            part.delay = each.what->delay;
            part.reason = each.what->reason;
            to.frame.settles.push_back(std::move(part));
        }
        append_run(to.frame.settles.back().runs, each.lease);
        last = &each;
    }
}

result<void> transaction_outbox::check_size(const entry& of) const {
    const auto refuse = [](const std::string& text) -> result<void> {
        return std::unexpected(make_error(client_errc::invalid_argument, text));
    };
    const std::size_t runs = count_runs(of.frame.settles);
    if (of.bytes > frame_bytes_max_) {
        return refuse(fmt::format(
            "a transaction of {} bytes does not fit into the {} bytes of a frame that this broker "
            "accepts; commit less at once, or start brokerd with a larger --max-frame-bytes",
            of.bytes, frame_bytes_max_));
    }
    if (std::max(of.frame.publishes.size(), of.frame.settles.size()) >
        limits::transaction_parts_max) {
        return refuse(fmt::format(
            "a transaction of {} parts to publish and {} parts to answer is larger than {} each; "
            "commit less at once",
            of.frame.publishes.size(), of.frame.settles.size(), limits::transaction_parts_max));
    }
    if (runs > limits::settle_runs_max || of.parts->settles.size() > limits::settle_leases_max) {
        return refuse(fmt::format(
            "a transaction that answers {} messages in {} runs is larger than {} messages and {} "
            "runs; commit less at once",
            of.parts->settles.size(), runs, limits::settle_leases_max, limits::settle_runs_max));
    }
    return {};
}

// ---- outcomes

bool transaction_outbox::on_transacted(std::uint32_t request, const codec::transacted& reply,
                                       calls& out) {
    const auto found = sent_.find(request);
    if (found == sent_.end() || reply.publishes.size() != found->second.frame.publishes.size()) {
        return false;
    }
    entry what = std::move(found->second);
    sent_.erase(found);
    bytes_unanswered_ -= what.bytes;
    committed outcome;
    for (std::size_t i = 0; i < reply.publishes.size(); ++i) {
        for (std::uint32_t place = 0; place < what.records[i]; ++place) {
            outcome.messages.push_back(
                {what.frame.publishes[i].topic, reply.publishes[i].base_offset + place});
        }
    }
    end(std::move(what), std::move(outcome), out);
    return true;
}

void transaction_outbox::on_refused(std::uint32_t request, const failure& why, calls& out) {
    if (is_asked_again(why.code)) {
        draining_ = true;  // the connection ends; over the next one it is sent again
        return;
    }
    auto found = sent_.extract(request);
    if (found.empty()) {
        return;
    }
    entry what = std::move(found.mapped());
    bytes_unanswered_ -= what.bytes;
    error refused = make_error(why);
    if (why.code == error_code::sequence_too_old || why.code == error_code::sequence_mismatch) {
        refused = outcome_unknown(
            std::string("the broker no longer remembers whether it did it: ") + refused.what());
    } else if (what.unanswered && describe(why.code).retryable &&
               why.code != error_code::topic_full) {
        // It could not look now; what it did when it was asked first it has not said. Whether there
        // is room it asks only when it has looked.
        refused = outcome_unknown(std::string("asked again, the broker said: ") + refused.what());
    }
    end(std::move(what), std::unexpected(std::move(refused)), out);
}

void transaction_outbox::fail_all(const error& unsent, calls& out) {
    on_lost();
    for (entry& each : std::exchange(waiting_, {})) {
        const error why = each.was_sent() ? outcome_unknown(unsent.what()) : unsent;
        end(std::move(each), std::unexpected(why), out);
    }
}

}  // namespace brokerd::client_core
