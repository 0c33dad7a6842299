// The open connections as tools see them: each connection writes its own entry, anyone lists them.
// Any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "broker/base/counter.hpp"
#include "protocol/codec/admin_messages.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::session {

// The constant part is set before the entry is added.
struct connection_entry {
    connection_id connection;
    std::string name;
    std::string address;
    wall_time connected{};
    base::counter consumers;
    base::counter bytes_in;
    base::counter bytes_out;
    base::counter outbox_bytes;
    base::counter credit_messages;
    base::counter credit_bytes;
};

class connection_registry {
public:
    void add(std::shared_ptr<const connection_entry> entry) {
        const std::lock_guard lock(mutex_);
        entries_.insert_or_assign(entry->connection, std::move(entry));
    }
    void remove(connection_id connection) {
        const std::lock_guard lock(mutex_);
        entries_.erase(connection);
    }
    // Oldest first, at most limits::list_items_max.
    [[nodiscard]] codec::connections list() const {
        codec::connections result;
        const std::lock_guard lock(mutex_);
        for (const auto& [id, entry] : entries_) {
            if (result.items.size() == limits::list_items_max) {
                break;
            }
            result.items.push_back(
                {.connection = id,
                 .name = entry->name,
                 .address = entry->address,
                 .connected = entry->connected,
                 .consumers = static_cast<std::uint32_t>(entry->consumers.get()),
                 .bytes_in = entry->bytes_in.get(),
                 .bytes_out = entry->bytes_out.get(),
                 .outbox_bytes = entry->outbox_bytes.get(),
                 .credit_messages = static_cast<std::uint32_t>(entry->credit_messages.get()),
                 .credit_bytes = entry->credit_bytes.get()});
        }
        return result;
    }

private:
    mutable std::mutex mutex_;
    std::map<connection_id, std::shared_ptr<const connection_entry>> entries_;
};

}  // namespace brokerd::session
