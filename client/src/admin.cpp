// Administration: each function is one request, or one per page.
#include "brokerd/admin.hpp"

#include <iterator>
#include <utility>

#include "client/src/blocking.hpp"
#include "client/src/convert.hpp"

namespace brokerd {

using client_core::repeat;
using client_core::to_public;

namespace {

constexpr auto nothing = [](const codec::ok&) {};

constexpr auto as_public = [](const auto& reply) { return to_public(reply); };

// All pages of a listing; `after` of the next is made of the last item.
template <typename Reply, typename Request, typename After>
auto all_pages(client_core::blocking_client& of, Request request, After after) {
    using items = decltype(client_core::to_public_list(std::declval<Reply>().items));
    items all;
    bool more = true;
    while (more) {
        auto page = of.ask<Reply>(request, repeat::look, [&](const Reply& reply) {
            request.after = reply.items.empty() ? std::string() : after(reply.items.back());
            more = reply.more && !reply.items.empty();
            return client_core::to_public_list(reply.items);
        });
        std::move(page.begin(), page.end(), std::back_inserter(all));
    }
    return all;
}

template <typename Request>
Request selected(std::string_view queue, const selection& which, bool dry_run) {
    Request request;
    request.queue = queue;
    request.from = which.from;
    request.until = which.until;
    request.filter = which.filter;
    request.limit = which.limit;
    request.dry_run = dry_run;
    return request;
}

[[noreturn]] void throw_missing(error_code code, const std::string& text) {
    throw error(client_core::make_error(failure{code, text}));
}

}  // namespace

admin::admin(client& client) : state_(client.state_) {}

std::vector<topic_info> admin::topics(std::string_view only) {
    codec::topic_list request;
    request.topic = only;
    return all_pages<codec::topics>(*state_, std::move(request),
                                    [](const codec::topic_item& last) { return last.name; });
}

topic_info admin::topic(std::string_view topic) {
    std::vector<topic_info> found = topics(topic);
    if (found.empty()) {
        throw_missing(error_code::topic_not_found, "no topic " + std::string(topic) +
                                                       "; create it with: brokerctl topic create " +
                                                       std::string(topic));
    }
    return std::move(found.front());
}

void admin::set_topic(std::string_view topic, const topic_options& settings) {
    codec::topic_set request;
    request.topic = topic;
    request.settings = client_core::to_wire(settings);
    state_->ask<codec::ok>(std::move(request), repeat::harmless, nothing);
}

void admin::remove_topic(std::string_view topic) {
    codec::topic_remove request;
    request.topic = topic;
    state_->ask<codec::ok>(std::move(request), repeat::never, nothing);
}

std::vector<queue_info> admin::queues(std::string_view topic) {
    codec::queue_list request;
    request.topic = topic;
    return all_pages<codec::queues>(*state_, std::move(request), [](const codec::queue_item& last) {
        return last.topic + '/' + last.queue;
    });
}

queue_info admin::queue(std::string_view queue) {
    codec::queue_list request;
    request.queue = queue;
    std::vector<queue_info> found = state_->ask<codec::queues>(
        std::move(request), repeat::look,
        [](const codec::queues& reply) { return client_core::to_public_list(reply.items); });
    if (found.empty()) {
        throw_missing(error_code::queue_not_found, "no queue " + std::string(queue) +
                                                       "; create it with: brokerctl queue create " +
                                                       std::string(queue));
    }
    return std::move(found.front());
}

void admin::set_queue(std::string_view queue, const queue_options& settings) {
    codec::queue_set request;
    request.queue = queue;
    request.settings = client_core::to_wire(settings);
    state_->ask<codec::ok>(std::move(request), repeat::harmless, nothing);
}

queue_options admin::clone_queue(std::string_view queue, std::string_view name) {
    codec::queue_clone request;
    request.queue = queue;
    request.name = name;
    return state_->ask<codec::queue_created>(
        std::move(request), repeat::never,
        [](const codec::queue_created& reply) { return to_public(reply.settings); });
}

level_counts admin::queue_levels(std::string_view queue) {
    level_counts out;
    codec::queue_levels request;
    request.queue = queue;
    for (bool more = true; more;) {
        const client_core::level_slice part =
            state_->ask<codec::queue_levels_counted>(request, repeat::look, as_public);
        client_core::add(out, part);
        request.from = part.next;
        more = part.more;
    }
    return out;
}

void admin::remove_queue(std::string_view queue) {
    codec::queue_remove request;
    request.queue = queue;
    state_->ask<codec::ok>(std::move(request), repeat::never, nothing);
}

void admin::pause_queue(std::string_view queue) {
    codec::queue_pause request;
    request.queue = queue;
    request.paused = true;
    state_->ask<codec::ok>(std::move(request), repeat::harmless, nothing);
}

void admin::resume_queue(std::string_view queue) {
    codec::queue_pause request;
    request.queue = queue;
    state_->ask<codec::ok>(std::move(request), repeat::harmless, nothing);
}

std::vector<pattern_info> admin::patterns() {
    return all_pages<codec::patterns>(*state_, codec::pattern_list{},
                                      [](const codec::pattern_item& last) { return last.pattern; });
}

pattern_info admin::pattern(std::string_view pattern) {
    codec::pattern_list request;
    request.pattern = pattern;
    std::vector<pattern_info> found = state_->ask<codec::patterns>(
        std::move(request), repeat::look,
        [](const codec::patterns& reply) { return client_core::to_public_list(reply.items); });
    if (found.empty()) {
        throw_missing(error_code::pattern_not_found,
                      "no pattern queue " + std::string(pattern) +
                          "; create it with: brokerctl queue create '" + std::string(pattern) +
                          "'");
    }
    return std::move(found.front());
}

changed_pattern admin::set_pattern(std::string_view pattern, const queue_options& settings) {
    // Its mode goes with the request, and one that is missing is not to be created.
    const delivery_mode mode = this->pattern(pattern).mode;
    codec::pattern_create request = client_core::value_or_throw(
        client_core::to_pattern_create(pattern, settings, log_position::earliest(), mode));
    request.replace = true;
    // Not repeated: what it changed the first time would not be counted the second time, and one
    // that was removed meanwhile would be there again.
    return state_->ask<codec::pattern_created>(
        std::move(request), repeat::never, [](const codec::pattern_created& reply) {
            return changed_pattern{.queues = reply.queues, .changed = reply.changed};
        });
}

std::uint64_t admin::remove_pattern(std::string_view pattern, bool remove_queues, bool dry_run) {
    codec::pattern_remove request;
    request.pattern = pattern;
    request.queues = remove_queues;
    request.dry_run = dry_run;
    return state_->ask<codec::counted>(std::move(request), dry_run ? repeat::look : repeat::never,
                                       [](const codec::counted& reply) { return reply.messages; });
}

slice admin::seek_queue(std::string_view queue, log_position to, bool dry_run) {
    codec::queue_seek request;
    request.queue = queue;
    request.to = client_core::to_wire(to);
    request.dry_run = dry_run;
    return state_->ask<codec::counted>(std::move(request), dry_run ? repeat::look : repeat::never,
                                       as_public);
}

slice admin::purge_queue(std::string_view queue, const selection& which, bool dry_run) {
    return state_->ask<codec::counted>(selected<codec::queue_purge>(queue, which, dry_run),
                                       dry_run ? repeat::look : repeat::never, as_public);
}

std::string admin::explain(std::string_view queue, std::optional<std::uint64_t> offset) {
    codec::queue_explain request;
    request.queue = queue;
    request.has_offset = offset.has_value();
    request.offset = offset.value_or(0);
    return state_->ask<codec::explained>(
        std::move(request), repeat::look,
        [](const codec::explained& reply) { return reply.sentence; });
}

read_page admin::read(std::string_view topic, log_position from, const read_options& options) {
    codec::read request;
    request.topic = topic;
    request.from = client_core::to_wire(from);
    request.messages_max = options.messages_max;
    request.bytes_max = options.bytes_max;
    request.wait = options.wait;
    return client_core::value_or_throw(state_->ask<codec::messages>(
        std::move(request), repeat::look,
        [name = std::string(topic)](const codec::messages& reply) {
            return client_core::to_page(name, reply);
        },
        options.wait));
}

shown_message admin::show(std::string_view topic, std::uint64_t offset) {
    codec::message_show request;
    request.topic = topic;
    request.offset = offset;
    return client_core::value_or_throw(
        state_->ask<codec::shown>(std::move(request), repeat::look,
                                  [name = std::string(topic), offset](const codec::shown& reply) {
                                      return client_core::to_shown(name, offset, reply);
                                  }));
}

schedule_page admin::schedules(std::string_view topic, const schedule_position& from,
                               std::uint32_t limit) {
    codec::schedule_list request;
    request.topic = topic;
    request.after_due = from.due;
    request.after_id = from.id;
    request.limit = limit;
    return state_->ask<codec::schedules>(
        std::move(request), repeat::look,
        [from](const codec::schedules& reply) { return client_core::to_page(from, reply); });
}

std::uint64_t admin::cancel_schedules(std::string_view topic,
                                      const std::vector<std::uint64_t>& ids) {
    codec::schedule_cancel request;
    request.topic = topic;
    request.ids = ids;
    // Not repeated: those it cancelled the first time would not be counted the second time.
    return state_->ask<codec::counted>(std::move(request), repeat::never,
                                       [](const codec::counted& reply) { return reply.messages; });
}

dead_page admin::dead(std::string_view queue, std::uint64_t from, std::uint32_t limit,
                      std::string_view filter) {
    codec::dead_list request;
    request.queue = queue;
    request.from = from;
    request.limit = limit;
    request.filter = filter;
    return state_->ask<codec::dead>(std::move(request), repeat::look, as_public);
}

slice admin::redrive_dead(std::string_view queue, const selection& which, bool dry_run) {
    return state_->ask<codec::counted>(selected<codec::dead_redrive>(queue, which, dry_run),
                                       dry_run ? repeat::look : repeat::never, as_public);
}

slice admin::purge_dead(std::string_view queue, const selection& which, bool dry_run) {
    return state_->ask<codec::counted>(selected<codec::dead_purge>(queue, which, dry_run),
                                       dry_run ? repeat::look : repeat::never, as_public);
}

std::vector<consumer_info> admin::consumers(std::string_view queue) {
    codec::consumer_list request;
    request.queue = queue;
    return state_->ask<codec::consumers>(
        std::move(request), repeat::look,
        [](const codec::consumers& reply) { return client_core::to_public_list(reply.items); });
}

std::vector<service_info> admin::services() {
    return all_pages<codec::services>(*state_, codec::service_list{},
                                      [](const codec::service_item& last) { return last.service; });
}

std::vector<connection_info> admin::connections() {
    return state_->ask<codec::connections>(
        codec::connection_list{}, repeat::look,
        [](const codec::connections& reply) { return client_core::to_public_list(reply.items); });
}

void admin::close_connection(std::uint64_t connection) {
    state_->ask<codec::ok>(codec::connection_close{connection_id(connection)}, repeat::never,
                           nothing);
}

health_info admin::health() {
    return state_->ask<codec::health_report>(codec::health{}, repeat::look, as_public);
}

std::vector<stat> admin::stats() {
    return state_->ask<codec::stats_report>(
        codec::stats{}, repeat::look,
        [](const codec::stats_report& reply) { return client_core::to_public_list(reply.items); });
}

}  // namespace brokerd
