// The harness: a store in maps, messages taken apart, turns until nothing is left to do.
#include "tests/unit/domain/harness.hpp"

#include <algorithm>
#include <memory>

namespace brokerd::domain::test {

// ---- messages ----

shared_bytes make_batch(const std::vector<std::string>& payloads, producer_id producer,
                        std::uint64_t sequence) {
    codec::batch_builder builder;
    for (const std::string& payload : payloads) {
        builder.add({.payload = as_bytes(payload)});
    }
    auto bytes = std::make_shared<byte_buffer>(builder.take(producer, sequence));
    return {bytes, *bytes};
}

shared_bytes make_keyed_batch(const std::vector<keyed_message>& messages) {
    codec::batch_builder builder;
    for (const keyed_message& each : messages) {
        codec::record_fields fields{
            .payload = as_bytes(each.payload), .ttl_ms = each.ttl_ms, .priority = each.priority};
        if (!each.key.empty()) {
            fields.key = each.key;
        }
        builder.add(fields);
    }
    auto bytes = std::make_shared<byte_buffer>(builder.take({}, 0));
    return {bytes, *bytes};
}

std::vector<received> messages_of(const std::vector<record_run>& runs, commit_number depends_on) {
    std::vector<received> messages;
    for (const record_run& run : runs) {
        byte_view left = run.records.view;
        for (std::uint32_t i = 0; i < run.leases.count; ++i) {
            const std::size_t size = codec::record_size_at(left);
            const auto record = codec::check_record(left.first(size));
            EXPECT_TRUE(record);
            messages.push_back({.offset = run.leases.first_offset + i,
                                .lease = {run.leases.epoch, run.leases.first_lease + i},
                                .attempt = run.attempt,
                                .key = std::string(codec::record_key(left.first(size))),
                                .payload = std::string(as_text(record->payload)),
                                .depends_on = depends_on,
                                .history = run.history,
                                .queue = run.queue});
            left = left.subspan(size);
        }
        EXPECT_TRUE(left.empty());
    }
    return messages;
}

lease_run run_of(const received& message) {
    return {message.offset, 1, message.lease.epoch, message.lease.counter};
}

std::vector<lease_run> runs_of(const std::vector<received>& messages) {
    std::vector<lease_run> runs;
    for (const received& each : messages) {
        runs.push_back(run_of(each));
    }
    return runs;
}

std::vector<offset_t> offsets_of(const std::vector<received>& messages) {
    std::vector<offset_t> offsets;
    for (const received& each : messages) {
        offsets.push_back(each.offset);
    }
    return offsets;
}

std::vector<std::string> payloads_of(const std::vector<received>& messages) {
    std::vector<std::string> payloads;
    for (const received& each : messages) {
        payloads.push_back(each.payload);
    }
    return payloads;
}

// ---- the harness ----

harness::harness(domain_options options) : state(options), options_(options) {
    restart();
    admin = connect("admin@host:9");
}

void harness::check() {
    const auto checked = state.check_invariants();
    ASSERT_TRUE(checked) << checked.error().text;
}

void harness::collect() {
    for (output& each : out.outputs) {
        outputs.push_back(std::move(each));
    }
    out.outputs.clear();
}

void harness::answer_fetches() {
    while (!out.fetches.empty()) {
        std::vector<fetch> fetches;
        fetches.swap(out.fetches);
        for (const fetch& each : fetches) {
            ++fetches_answered;
            state.apply(fetched{each.id, store.read(each.body)}, now, out);
            collect();
        }
        state.dispatch(now, out);
        collect();
    }
}

void harness::commit() {
    state.seal(now, out);
    collect();
    std::vector<mutation> batch;
    batch.swap(out.mutations);
    const bool synced = out.urgent || !out.prompt;
    out.urgent = false;
    out.prompt = false;
    not_applied_.push_back({gathering, std::move(batch), synced});
    gathering = commit_number{gathering.value() + 1};
    const std::size_t may_wait = late_store ? 1 : 0;
    while (not_applied_.size() > may_wait) {
        const commit_batch& next = not_applied_.front();
        if (!next.synced && !on_disk_) {
            on_disk_ = store;
        }
        store.apply(next.number, next.batch);
        if (next.synced) {
            on_disk_.reset();
            durable = next.number;
        }
        not_applied_.pop_front();
    }
    state.commit_cut(gathering);
    EXPECT_FALSE(state.dirty());
    check();
}

void harness::run() {
    if (state.next_deadline() <= now.mono) {
        state.tick(now, out);
    }
    for (int rounds = 0; rounds < 10000; ++rounds) {
        state.dispatch(now, out);
        collect();
        check();
        if (!hold_fetches && !out.fetches.empty()) {
            answer_fetches();
        } else if (state.dirty()) {
            commit();
        } else {
            return;
        }
    }
    FAIL() << "the domain does not come to rest";
}

void harness::apply(command what) {
    state.apply(std::move(what), now, out);
    collect();
    run();
}

void harness::pass(duration_us span) {
    const mono_time until = now.mono + span;
    while (now.mono < until) {
        const mono_time next =
            std::min(until, std::max(state.next_deadline(), now.mono + duration_us{1}));
        now.wall += next - now.mono;
        now.mono = next;
        run();
    }
}

void harness::restart() {
    out = {};
    outputs.clear();
    not_applied_.clear();
    gathering = commit_number{store.last_commit.value() + 1};
    state.restore(store.load(), gathering, now, out);
    hold_fetches = false;
    run();
    admin = connect("admin@host:9");
}

void harness::power_cut() {
    if (on_disk_) {
        store = *std::exchange(on_disk_, std::nullopt);
    }
    restart();
}

void harness::stop_and_start() {
    state.release_reservations(now, out);
    run();
    restart();
}

connection_id harness::connect(const std::string& name) {
    const connection_id id{next_connection_++};
    apply(connection_opened{id, name});
    return id;
}

void harness::close(connection_id connection, bool goodbye) {
    apply(connection_closed{connection, goodbye});
}

std::uint32_t harness::send(connection_id connection, request_body body) {
    const std::uint32_t id = next_request_++;
    apply(request{connection, id, std::move(body)});
    return id;
}

std::optional<output> harness::answer_to(connection_id connection, std::uint32_t request) {
    for (auto at = outputs.begin(); at != outputs.end(); ++at) {
        if (at->connection == connection && at->request == request) {
            output found = std::move(*at);
            outputs.erase(at);
            return found;
        }
    }
    return std::nullopt;
}

void harness::make_queue(const std::string& path, queue_settings settings, queue_mode mode) {
    const auto made = ask<codec::queue_created>(
        admin, codec::queue_create{
                   .queue = path, .mode = mode, .settings = settings, .create_topic = true});
    EXPECT_TRUE(made.created);
}

output harness::publish_as(const std::string& topic, const std::vector<std::string>& payloads,
                           producer_id producer, std::uint64_t sequence,
                           std::optional<schedule_time> later) {
    std::uint64_t largest = 0;
    for (const std::string& each : payloads) {
        largest = std::max<std::uint64_t>(largest, each.size() + codec::record_bytes_min);
    }
    const std::uint32_t id =
        send(admin, publish_request{.topic = topic,
                                    .batch = make_batch(payloads, producer, sequence),
                                    .count = static_cast<std::uint32_t>(payloads.size()),
                                    .producer = producer,
                                    .first_sequence = sequence,
                                    .largest_record = largest,
                                    .later = later});
    auto answer = answer_to(admin, id);
    EXPECT_TRUE(answer);
    return answer ? std::move(*answer) : output{};
}

offset_t harness::publish_keyed(const std::string& topic,
                                const std::vector<keyed_message>& messages) {
    const auto answer = ask<publish_accepted>(
        admin, publish_request{.topic = topic,
                               .batch = make_keyed_batch(messages),
                               .count = static_cast<std::uint32_t>(messages.size()),
                               .largest_record = 0});
    return answer.base_offset;
}

offset_t harness::publish(const std::string& topic, const std::vector<std::string>& payloads) {
    const output answer = publish_as(topic, payloads, {}, 0);
    const auto* accepted = std::get_if<publish_accepted>(&answer.body);
    EXPECT_NE(accepted, nullptr);
    return accepted == nullptr ? 0 : accepted->base_offset;
}

codec::attached harness::attach(connection_id connection, const std::string& queue,
                                std::uint32_t prefetch, std::vector<lease_run> held,
                                consumer_id id) {
    return ask<codec::attached>(connection, codec::attach{.queue = queue,
                                                          .consumer = id,
                                                          .prefetch_messages = prefetch,
                                                          .held = std::move(held)});
}

std::vector<received> harness::deliveries(connection_id connection) {
    std::vector<received> all;
    for (auto at = outputs.begin(); at != outputs.end();) {
        if (at->connection == connection && std::holds_alternative<delivery>(at->body)) {
            for (received& each : messages_of(std::get<delivery>(at->body).runs, at->depends_on)) {
                all.push_back(std::move(each));
            }
            at = outputs.erase(at);
        } else {
            ++at;
        }
    }
    return all;
}

codec::settled harness::settle(connection_id connection, queue_id queue, settle_action action,
                               std::vector<lease_run> runs, duration_us delay,
                               const std::string& reason) {
    return ask<codec::settled>(connection, codec::settle{.queue = queue,
                                                         .action = action,
                                                         .confirm = true,
                                                         .delay = delay,
                                                         .reason = reason,
                                                         .runs = std::move(runs)});
}

codec::queue_item harness::queue_info(const std::string& path) {
    auto page = ask<codec::queues>(admin, codec::queue_list{.queue = path});
    EXPECT_EQ(page.items.size(), 1U);
    return page.items.empty() ? codec::queue_item{} : page.items.front();
}

codec::topic_item harness::topic_info(const std::string& name) {
    auto page = ask<codec::topics>(admin, codec::topic_list{.topic = name});
    EXPECT_EQ(page.items.size(), 1U);
    return page.items.empty() ? codec::topic_item{} : page.items.front();
}

std::string harness::explain(const std::string& path, std::optional<offset_t> offset) {
    return ask<codec::explained>(admin, codec::queue_explain{.queue = path,
                                                             .has_offset = offset.has_value(),
                                                             .offset = offset.value_or(0)})
        .sentence;
}

codec::queue_state_item harness::state_of(const std::string& topic, offset_t offset) {
    auto shown =
        ask<show_result>(admin, codec::message_show{.topic = topic, .offset = offset}).message;
    EXPECT_EQ(shown.queues.size(), 1U);
    return shown.queues.empty() ? codec::queue_state_item{} : shown.queues.front();
}

}  // namespace brokerd::domain::test
