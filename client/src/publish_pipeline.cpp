// Batches from submit() to their results.
#include "client/src/publish_pipeline.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

#include "client/src/client_limits.hpp"
#include "client/src/deadline.hpp"
#include "protocol/codec/encode.hpp"

namespace brokerd::client_core {
namespace {

// The broker will not take it now, but over a later connection it will.
bool is_for_later(error_code code) {
    return code == error_code::draining || code == error_code::storage_failed;
}

}  // namespace

std::uint64_t publish_pipeline::random() {
    // splitmix64: good enough for ids that must differ, and reproducible in tests.
    random_ += 0x9E3779B97F4A7C15U;
    std::uint64_t z = random_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    z ^= z >> 31U;
    return z == 0 ? 1 : z;
}

publish_pipeline::topic_line& publish_pipeline::line_of(std::string_view topic) {
    if (last_line_ != nullptr && last_line_->name == topic) {
        return *last_line_;
    }
    std::string name(topic);
    const auto found = lines_.find(name);
    if (found != lines_.end()) {
        last_line_ = found->second.get();
        return *last_line_;
    }
    if (lines_.size() >= client_limits::idle_topics_max) {
        forget_idle_lines();
    }
    auto line = std::make_unique<topic_line>();
    line->name = name;
    line->producer = producer_id(random());
    last_line_ = line.get();
    lines_.emplace(std::move(name), std::move(line));
    return *last_line_;
}

// A line that comes again has another producer id, so its sequences may begin anew.
void publish_pipeline::forget_idle_lines() {
    last_line_ = nullptr;
    std::erase_if(lines_, [](const auto& each) {
        const topic_line& line = *each.second;
        return line.waiting.empty() && line.unanswered.empty() && !line.queued;
    });
}

bool publish_pipeline::submit(std::string_view topic, byte_view record, publish_callback done,
                              const std::optional<schedule_time>& when) {
    topic_line& line = line_of(topic);
    append(line, record, std::move(done), when);
    ++messages_;
    bytes_ += record.size();
    activate(line);
    return may_send(line);
}

void publish_pipeline::append(topic_line& line, byte_view record, publish_callback done,
                              const std::optional<schedule_time>& when) {
    const bool open =
        !when && !carries_id(record) && !line.waiting.empty() &&
        line.waiting.back()->first_sequence == 0 && !line.waiting.back()->alone() &&
        line.waiting.back()->summary.priority() == codec::record_priority(record) &&
        line.waiting.back()->entries.size() < batch_messages_ &&
        line.waiting.back()->bytes.size() + record.size() <= client_limits::batch_bytes_max;
    if (!open) {
        auto fresh = std::make_unique<batch>();
        fresh->line = &line;
        fresh->bytes.resize(codec::batch_header_bytes);
        fresh->when = when;
        line.waiting.push_back(std::move(fresh));
    }
    batch& last = *line.waiting.back();
    last.bytes.insert(last.bytes.end(), record.begin(), record.end());
    last.summary.add(record);
    last.entries.push_back({static_cast<std::uint32_t>(record.size()), std::move(done)});
}

void publish_pipeline::activate(topic_line& line) {
    if (!line.queued && !line.waiting.empty()) {
        line.queued = true;
        active_.push_back(&line);
    }
}

void publish_pipeline::on_ready(const codec::hello_ok& terms) {
    assert(sent_.empty());
    ready_ = true;
    draining_ = false;
    credit_messages_ = terms.credit_messages;
    credit_bytes_ = static_cast<std::int64_t>(terms.credit_bytes);
    terms_messages_ = terms.credit_messages;
    terms_bytes_ = terms.credit_bytes;
    batch_records_max_ = terms.batch_records_max;
    frame_bytes_max_ = terms.frame_bytes_max;
    takes_schedules_ = (terms.features & codec::feature::schedules) != 0;
    takes_ids_ = (terms.features & codec::feature::message_ids) != 0;
}

void publish_pipeline::on_lost() {
    ready_ = false;
    // The highest request first, so that each goes in front of those that were sent after it.
    std::vector<batch_ptr> unanswered;
    for (auto& [request, each] : sent_) {
        unanswered.push_back(std::move(each));
    }
    sent_.clear();
    std::ranges::sort(unanswered, {}, &batch::first_sequence);
    for (auto each = unanswered.rbegin(); each != unanswered.rend(); ++each) {
        (*each)->line->frames_unanswered = 0;
        requeue(std::move(*each));
    }
}

void publish_pipeline::requeue(batch_ptr what) {
    topic_line& line = *what->line;
    const auto place = std::ranges::find_if(line.waiting, [&](const batch_ptr& each) {
        return each->first_sequence == 0 || each->first_sequence > what->first_sequence;
    });
    line.waiting.insert(place, std::move(what));
    activate(line);
}

std::uint64_t publish_pipeline::batch_room(const batch& what) const {
    // The other fields of its frame: topic, due, delay.
    const std::uint64_t around =
        sizeof(std::uint16_t) + what.line->name.size() + (what.when ? 2 * sizeof(std::int64_t) : 0);
    return frame_bytes_max_ > around ? frame_bytes_max_ - around : 0;
}

// How many entries of the batch credit and limits allow to send now.
std::uint32_t publish_pipeline::sendable_entries(const batch& next) const {
    const auto count = static_cast<std::uint32_t>(next.entries.size());
    const auto credit_messages =
        static_cast<std::uint64_t>(std::max<std::int64_t>(credit_messages_, 0));
    const auto credit_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(credit_bytes_, 0));
    const std::uint64_t records_max = std::min<std::uint64_t>(credit_messages, batch_records_max_);
    const std::uint64_t bytes_max = std::min(credit_bytes, batch_room(next));
    if (count <= records_max && next.bytes.size() <= bytes_max) {
        return count;
    }
    if (next.first_sequence != 0) {
        return 0;  // cannot be cut any more; fail_impossible() takes out what never fits
    }
    std::uint32_t fits = 0;
    std::uint64_t bytes = codec::batch_header_bytes;
    while (fits < count && fits < records_max &&
           bytes + next.entries[fits].record_bytes <= bytes_max) {
        bytes += next.entries[fits].record_bytes;
        ++fits;
    }
    if (sent_.empty()) {
        return std::max(fits, 1U);  // one message may exceed the credit when nothing is unanswered
    }
    // Credit comes back with the next reply; small pieces now would make the rest wait for longer.
    const bool cut_by_credit = fits == credit_messages || bytes_max == credit_bytes;
    return cut_by_credit ? 0 : fits;
}

// Why this broker cannot take it whatever its limits; nullptr: it can.
const char* publish_pipeline::unsupported(const batch& what) const {
    if (what.when && !takes_schedules_) {
        return "the broker is too old to schedule messages; update brokerd";
    }
    // It would store what it has stored already.
    if (what.summary.has_id() && !takes_ids_) {
        return "the broker is too old for messages with an id; update brokerd";
    }
    return nullptr;
}

// What this broker can never take would only make it close the connection, again and again.
void publish_pipeline::fail_impossible(topic_line& line, calls& done) {
    while (!line.waiting.empty()) {
        batch& next = *line.waiting.front();
        const std::uint64_t room = batch_room(next);
        const bool sealed = next.first_sequence != 0;
        if (sealed && (next.bytes.size() > room || next.entries.size() > batch_records_max_ ||
                       (next.entries.size() > 1 && (next.entries.size() > terms_messages_ ||
                                                    next.bytes.size() > terms_bytes_)))) {
            batch_ptr gone = std::move(line.waiting.front());
            line.waiting.pop_front();
            fail(std::move(gone),
                 make_error(client_errc::outcome_unknown,
                            "sent, but not acknowledged, and the limits of the broker became too "
                            "small to ask it again"),
                 done);
        } else if (const char* const why = unsupported(next); why != nullptr) {
            batch_ptr gone = std::move(line.waiting.front());
            line.waiting.pop_front();
            fail(std::move(gone),
                 sealed ? make_error(client_errc::outcome_unknown,
                                     "sent, but not acknowledged, and the broker that is there "
                                     "now is too old to be asked again")
                        : make_error(failure{error_code::feature_unsupported, why}),
                 done);
        } else if (!sealed && codec::batch_header_bytes + next.entries[0].record_bytes > room) {
            batch_ptr gone = split_front(next, 1);
            if (next.entries.empty()) {
                line.waiting.pop_front();
            }
            // Its hello said so: the same refusal as if it had been asked.
            const std::string text =
                "a message of " + std::to_string(gone->entries[0].record_bytes) +
                " bytes for topic " + line.name + " does not fit into the " +
                std::to_string(frame_bytes_max_) +
                " bytes of a frame that this broker accepts; split the message, or start brokerd "
                "with larger --max-message-bytes and --max-frame-bytes";
            fail(std::move(gone), make_error(failure{error_code::message_too_large, text}), done);
        } else {
            return;
        }
    }
}

bool publish_pipeline::may_send(const topic_line& line) const {
    if (!ready_ || draining_ || line.waiting.empty()) {
        return false;
    }
    const batch& next = *line.waiting.front();
    const bool resend = next.first_sequence != 0;
    const bool worth = resend || next.alone() || line.waiting.size() > 1 ||
                       line.frames_unanswered < client_limits::frames_unanswered_max ||
                       next.entries.size() >= batch_messages_ ||
                       next.bytes.size() >= client_limits::batch_bytes_worth_sending;
    if (!worth) {
        return false;
    }
    const std::uint32_t count = sendable_entries(next);
    if (count == 0 || resend || line.unanswered.empty()) {
        return count > 0;
    }
    return line.next_sequence + count - *line.unanswered.begin() <=
           client_limits::sequences_unanswered_max;
}

bool publish_pipeline::wants_write() const {
    return ready_ && !draining_ &&
           std::ranges::any_of(active_, [this](const topic_line* line) { return may_send(*line); });
}

void publish_pipeline::write(outgoing& out, calls& done) {
    if (!ready_ || draining_) {
        return;
    }
    // One frame per line and round, so that no topic waits for another's backlog.
    bool progress = true;
    while (progress && out.bytes.size() < client_limits::write_bytes_max) {
        progress = false;
        for (std::size_t turns = active_.size(); turns > 0; --turns) {
            topic_line& line = *active_.front();
            active_.pop_front();
            line.queued = false;
            fail_impossible(line, done);
            if (may_send(line)) {
                send_front(line, out);
                progress = true;
            }
            activate(line);
        }
    }
}

void publish_pipeline::send_front(topic_line& line, outgoing& out) {
    const std::uint32_t count = sendable_entries(*line.waiting.front());
    batch_ptr next;
    if (count < line.waiting.front()->entries.size() && line.waiting.front()->first_sequence == 0) {
        next = split_front(*line.waiting.front(), count);
    } else {
        next = std::move(line.waiting.front());
        line.waiting.pop_front();
    }
    if (next->first_sequence == 0) {
        next->first_sequence = line.next_sequence;
        line.next_sequence += next->entries.size();
        line.unanswered.insert(next->first_sequence);
        codec::batch_header header;
        next->summary.write_to(header);
        header.count = static_cast<std::uint32_t>(next->entries.size());
        header.records_bytes =
            static_cast<std::uint32_t>(next->bytes.size() - codec::batch_header_bytes);
        header.producer = line.producer;
        header.first_sequence = next->first_sequence;
        codec::store_batch_header(next->bytes.data(), header);
    }
    credit_messages_ -= std::ssize(next->entries);
    credit_bytes_ -= std::ssize(next->bytes);
    ++line.frames_unanswered;
    const std::uint32_t request = out.ids.next();
    if (next->when) {
        codec::schedule frame;
        frame.topic = line.name;
        frame.due = next->when->time();
        frame.delay = next->when->delay();
        frame.batch.view = next->bytes;
        codec::encode_frame(out.bytes, request, frame);
    } else {
        codec::encode_publish(out.bytes, request, line.name, next->bytes);
    }
    sent_.emplace(request, std::move(next));
}

publish_pipeline::batch_ptr publish_pipeline::split_front(batch& from, std::uint32_t count) {
    auto front = std::make_unique<batch>();
    front->line = from.line;
    front->when = from.when;
    front->refused_sequence = from.refused_sequence;
    std::size_t bytes = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        bytes += from.entries[i].record_bytes;
    }
    const auto begin = from.bytes.begin() + codec::batch_header_bytes;
    const auto end = begin + static_cast<std::ptrdiff_t>(bytes);
    front->bytes.resize(codec::batch_header_bytes);
    front->bytes.insert(front->bytes.end(), begin, end);
    from.bytes.erase(begin, end);
    const auto last = from.entries.begin() + count;
    front->entries.assign(std::make_move_iterator(from.entries.begin()),
                          std::make_move_iterator(last));
    from.entries.erase(from.entries.begin(), last);
    for (batch* each : {front.get(), &from}) {
        each->summary = {};
        byte_view left = byte_view(each->bytes).subspan(codec::batch_header_bytes);
        for (const entry& record : each->entries) {
            each->summary.add(left.first(record.record_bytes));
            left = left.subspan(record.record_bytes);
        }
    }
    return front;
}

publish_pipeline::batch_ptr publish_pipeline::take_sent(std::uint32_t request) {
    const auto found = sent_.find(request);
    if (found == sent_.end()) {
        return nullptr;
    }
    batch_ptr what = std::move(found->second);
    sent_.erase(found);
    --what->line->frames_unanswered;
    return what;
}

// Its sequences are settled, one way or the other.
void publish_pipeline::forget(const batch& what) {
    if (what.first_sequence != 0) {
        what.line->unanswered.erase(what.first_sequence);
    }
    messages_ -= what.entries.size();
    bytes_ -= what.bytes.size() - codec::batch_header_bytes;
}

bool publish_pipeline::on_published(const codec::published& reply, calls& done) {
    credit_messages_ += reply.credit_messages;
    credit_bytes_ += static_cast<std::int64_t>(reply.credit_bytes);
    for (const codec::published_item& item : reply.items) {
        batch_ptr what = take_sent(item.request);
        if (!what) {
            return false;
        }
        complete(std::move(what), item, done);
    }
    return true;
}

void publish_pipeline::on_credit(const codec::credit& grant) {
    credit_messages_ += grant.messages;
    credit_bytes_ += static_cast<std::int64_t>(grant.bytes);
}

void publish_pipeline::complete(batch_ptr what, const codec::published_item& answer, calls& done) {
    forget(*what);
    activate(*what->line);
    done.emplace_back([topic = what->line->name, what = std::move(what), answer] {
        publish_result one{.topic = topic,
                           .offset = answer.base_offset,
                           .duplicate = answer.duplicate,
                           .level = static_cast<durability_level>(answer.level)};
        for (const entry& each : what->entries) {
            if (each.done) {
                each.done(one);
            }
            ++one.offset;
        }
    });
}

void publish_pipeline::fail(batch_ptr what, const error& why, calls& done) {
    forget(*what);
    activate(*what->line);
    done.emplace_back([topic = what->line->name, what = std::move(what), why] {
        const publish_result one{.topic = topic, .failure = &why};
        for (const entry& each : what->entries) {
            if (each.done) {
                each.done(one);
            }
        }
    });
}

void publish_pipeline::on_refused(std::uint32_t request, const failure& why, calls& done) {
    batch_ptr what = take_sent(request);
    if (!what) {
        return;
    }
    if (is_for_later(why.code)) {
        // The connection ends; over the next one it is sent again.
        draining_ = true;
        requeue(std::move(what));
    } else if (why.code == error_code::message_too_large && what->entries.size() > 1) {
        send_one_by_one(std::move(what));
    } else if (why.code == error_code::sequence_too_old ||
               why.code == error_code::sequence_mismatch) {
        fail(std::move(what),
             make_error(client_errc::outcome_unknown,
                        std::string("the broker no longer remembers whether it stored this: ") +
                            make_error(why).what()),
             done);
    } else {
        fail(std::move(what), make_error(why), done);
    }
}

// A refused batch stored nothing, so its messages may have new sequences: only the one that is too
// large shall fail, not its neighbours.
void publish_pipeline::send_one_by_one(batch_ptr what) {
    topic_line& line = *what->line;
    line.unanswered.erase(what->first_sequence);
    what->refused_sequence = std::exchange(what->first_sequence, 0);
    const std::uint64_t refused = what->refused_sequence;
    std::vector<batch_ptr> singles;
    while (what->entries.size() > 1) {
        singles.push_back(split_front(*what, 1));
    }
    singles.push_back(std::move(what));
    // Behind the resends and those of batches refused before, before everything never sent.
    const auto place = std::ranges::find_if(line.waiting, [&](const batch_ptr& each) {
        return each->first_sequence == 0 &&
               (each->refused_sequence == 0 || each->refused_sequence > refused);
    });
    line.waiting.insert(place, std::make_move_iterator(singles.begin()),
                        std::make_move_iterator(singles.end()));
    activate(line);
}

void publish_pipeline::fail_all(const error& unsent, calls& done) {
    const error unknown = make_error(
        client_errc::outcome_unknown,
        std::string("sent, but not acknowledged: it may be stored or not; ") + unsent.what());
    std::vector<batch_ptr> all;
    for (auto& [request, each] : sent_) {
        all.push_back(std::move(each));
    }
    sent_.clear();
    for (topic_line* line : active_) {
        std::ranges::move(line->waiting, std::back_inserter(all));
        line->waiting.clear();
        line->queued = false;
    }
    active_.clear();
    for (batch_ptr& each : all) {
        each->line->frames_unanswered = 0;
        const bool was_sent = each->first_sequence != 0;
        fail(std::move(each), was_sent ? unknown : unsent, done);
    }
}

}  // namespace brokerd::client_core
