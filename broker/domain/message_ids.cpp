// Message ids: a publish whose id is remembered is not stored again. Looking one up may take a read
// of the store, so what carries an id waits for that in the line of its topic, and what comes
// behind it waits too: the order of publishes stays as it is. While one read is on its way the next
// ids gather, as commits do.
#include <algorithm>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/operations.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

message_id_book& ids_of(topic& of) {
    if (!of.ids) {
        of.ids = std::make_unique<message_id_book>();
    }
    return *of.ids;
}

bool all_known(const message_id_book& book, const std::vector<std::string>& ids) {
    return std::ranges::all_of(ids, [&](const std::string& id) { return book.knows(id); });
}

void take_first(core& c, turn& t, topic& of, outcome<void> known) {
    message_id_book::waiting first = std::move(of.ids->line.front());
    of.ids->line.pop_front();
    first.then(c, t, of, std::move(known));
}

void read_ids(core& c, turn& t, topic& of);

void take_read(core& c, turn& t, topic& of, const std::vector<std::string>& asked,
               fetch_result& result) {
    message_id_book& book = *of.ids;
    const auto* failed = std::get_if<failure>(&result);
    std::unordered_set<std::string> missed;
    if (failed != nullptr) {
        missed.insert(asked.begin(), asked.end());
    } else {
        book.take_read(asked, std::get<message_ids_fetched>(result).entries);
    }
    while (!book.line.empty()) {
        const std::vector<std::string>& ids = book.line.front().ids;
        if (all_known(book, ids)) {
            take_first(c, t, of, {});
        } else if (std::ranges::any_of(ids, [&](const auto& id) { return missed.contains(id); })) {
            take_first(c, t, of, std::unexpected(*failed));
        } else {
            break;
        }
    }
    book.forget_read();
}

void read_ids(core& c, turn& t, topic& of) {
    message_id_book& book = *of.ids;
    std::vector<std::string> ids = book.unknown_ids();
    book.reads.begin(c.applied());
    book.read_since = c.applied();
    c.read(t, fetch_message_ids{of.id, ids},
           [&c, id = of.id, asked = ids](turn& later, fetch_result& result) {
               topic* then = c.topic_by_id(id);
               if (then == nullptr) {
                   return;  // what waited was told when it went
               }
               take_read(c, later, *then, asked, result);
               message_id_book& mine = *then->ids;
               mine.reads.end(*std::exchange(mine.read_since, std::nullopt));
               if (!mine.line.empty()) {
                   read_ids(c, later, *then);
               }
           });
}

}  // namespace

bool looks_at_id(const topic& of, const publish_request& what) {
    return !what.id.empty() && of.settings.message_id_window > duration_us{0};
}

bool something_waits_for_ids(const topic& of) {
    return of.ids && !of.ids->line.empty();
}

void when_ids_are_known(core& c, turn& t, topic& of, std::vector<std::string> ids,
                        ids_handler then) {
    message_id_book& book = ids_of(of);
    if (book.line.empty() && all_known(book, ids)) {
        then(c, t, of, {});
        return;
    }
    book.line.push_back({std::move(ids), std::move(then)});
    if (!book.read_since) {
        read_ids(c, t, of);
    }
}

std::optional<known_message_id> find_id(core& c, turn& t, topic& of, const std::string& id) {
    message_id_book& book = ids_of(of);
    if (book.forget_old(t.retry_now, of.settings.message_id_window, of.next_offset())) {
        c.emit(t, book.forgotten(of.id), false);
        c.retries_put = true;
    }
    return base::seeded_fault(base::fault::forget_message_ids) ? std::nullopt : book.find(id);
}

outcome<void> check_id_kind(const topic& of, const publish_request& what,
                            const known_message_id& known) {
    if (known.entry.scheduled == what.later.has_value()) {
        return {};
    }
    return refuse(error_code::invalid_argument,
                  fmt::format("the message id '{}' was used on topic {} by a message {}; it cannot "
                              "be used by one {}",
                              printable(what.id), of.name,
                              known.entry.scheduled ? "published for later" : "published at once",
                              known.entry.scheduled ? "published at once" : "published for later"));
}

void remember_id(core& c, turn& t, topic& of, const publish_request& what, std::uint64_t value) {
    message_id_book& book = ids_of(of);
    bool told = false;
    const message_id_entry entry{.time = book.arrive(t.retry_now, of.next_offset(), told),
                                 .value = value,
                                 .scheduled = what.later.has_value()};
    book.put(what.id, entry, c.gathering);
    c.emit(t, message_id_put{of.id, what.id, entry}, false);
    c.retries_put = true;
    if (told) {
        c.emit(t, book.forgotten(of.id), false);
    }
    if (!book.noted) {
        book.noted = true;
        c.topics_with_ids.push_back(&of);
    }
}

void message_id_window_changed(core& c, turn& t, topic& of, duration_us before) {
    const duration_us now = of.settings.message_id_window;
    if (now == before) {
        return;
    }
    message_id_book& book = ids_of(of);
    // What the window was before does not come back, however long it is from now on.
    (void)book.forget_old(t.retry_now, std::min(before, now), of.next_offset());
    if (now == duration_us{0}) {
        book.forget_all(t.retry_now);
    }
    c.emit(t, book.forgotten(of.id));
    c.retries_put = true;
}

void forget_applied_ids(core& c) {
    std::erase_if(c.topics_with_ids, [&](topic* of) {
        of->ids->noted = !of->ids->forget_applied(c.applied());
        return !of->ids->noted;
    });
}

void forget_message_ids(core& c, turn& t, topic& of, const failure& why) {
    if (!of.ids) {
        return;
    }
    while (!of.ids->line.empty()) {
        take_first(c, t, of, std::unexpected(why));
    }
    std::erase(c.topics_with_ids, &of);
}

void restore_message_ids(topic& of, const message_ids_forgotten& stored) {
    ids_of(of).load(stored);
}

}  // namespace brokerd::domain
