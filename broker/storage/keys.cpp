// Layout of each key, front to back; parse refuses whatever encode would not produce.
#include "broker/storage/keys.hpp"

#include <utility>

#include "protocol/types/limits.hpp"

namespace brokerd::storage {

namespace {

constexpr std::uint8_t exception_by_offset = 1;
constexpr std::uint8_t exception_by_due = 2;
constexpr std::uint8_t schedule_by_due = 1;
constexpr std::uint8_t schedule_by_id = 2;

// Takes a key apart from the front. A field beyond the end fails the whole key.
class key_reader {
public:
    explicit key_reader(std::string_view key) : left_(key) {}

    std::uint64_t number(std::size_t bytes) {
        if (left_.size() < bytes) {
            whole_ = false;
            return 0;
        }
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < bytes; ++i) {
            value = value << 8 | static_cast<unsigned char>(left_[i]);
        }
        left_.remove_prefix(bytes);
        return value;
    }
    std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
    std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
    std::uint64_t u64() { return number(8); }
    wall_time time() {
        return wall_from_us(static_cast<std::int64_t>(u64() ^ (std::uint64_t{1} << 63)));
    }
    void expect(std::uint64_t value, std::size_t bytes) { whole_ &= number(bytes) == value; }
    std::uint8_t lane() {
        const std::uint8_t value = u8();
        whole_ &= value < limits::priorities_max;
        return value;
    }
    topic_id topic() {
        expect(the_shard.value(), 2);
        return topic_id{u64()};
    }
    queue_id queue() { return queue_id{u64()}; }

    std::string_view rest() { return std::exchange(left_, {}); }

    [[nodiscard]] bool done() const { return whole_ && left_.empty(); }

private:
    std::string_view left_;
    bool whole_ = true;
};

template <typename Key>
std::optional<Key> complete(const key_reader& reader, const Key& key) {
    return reader.done() ? std::optional<Key>(key) : std::nullopt;
}

}  // namespace

key_bytes behind(const key_bytes& prefix) {
    // Prefixes end in an id or a lane, which never have all bits set.
    std::string_view view = prefix.view();
    while (!view.empty() && static_cast<unsigned char>(view.back()) == 0xFF) {
        view.remove_suffix(1);
    }
    key_bytes result;
    for (std::size_t i = 0; i < view.size(); ++i) {
        const auto byte = static_cast<unsigned char>(view[i]);
        result.u8(static_cast<std::uint8_t>(byte + (i + 1 == view.size() ? 1 : 0)));
    }
    return result;
}

key_bytes topic_prefix(topic_id topic) {
    return key_bytes{}.u16(the_shard.value()).u64(topic.value());
}

key_bytes queue_prefix(topic_id topic, queue_id queue) {
    return topic_prefix(topic).u64(queue.value());
}

key_bytes lane_prefix(topic_id topic, std::uint8_t lane) {
    return topic_prefix(topic).u8(lane);
}

key_bytes meta_key::encode() const {
    return topic_prefix(topic).u8(static_cast<std::uint8_t>(kind)).u64(queue.value());
}

std::optional<meta_key> meta_key::parse(std::string_view key) {
    key_reader from(key);
    meta_key result;
    result.topic = from.topic();
    result.kind = static_cast<meta_kind>(from.u8());
    result.queue = from.queue();
    return complete(from, result);
}

key_bytes log_key::encode() const {
    return lane_prefix(topic, lane).u64(last_offset);
}

std::optional<log_key> log_key::parse(std::string_view key) {
    key_reader from(key);
    log_key result;
    result.topic = from.topic();
    result.lane = from.lane();
    result.last_offset = from.u64();
    return complete(from, result);
}

key_bytes kept_key::encode() const {
    return queue_prefix(topic, queue).u64(offset);
}

std::optional<kept_key> kept_key::parse(std::string_view key) {
    key_reader from(key);
    kept_key result;
    result.topic = from.topic();
    result.queue = from.queue();
    result.offset = from.u64();
    return complete(from, result);
}

key_bytes cursor_key::encode() const {
    return queue_prefix(topic, queue).u8(static_cast<std::uint8_t>(kind)).u64(number);
}

std::optional<cursor_key> cursor_key::parse(std::string_view key) {
    key_reader from(key);
    cursor_key result;
    result.topic = from.topic();
    result.queue = from.queue();
    result.kind = static_cast<cursor_kind>(from.u8());
    result.number = from.u64();
    const bool known = result.kind == cursor_kind::snapshot || result.kind == cursor_kind::delta;
    return known ? complete(from, result) : std::nullopt;
}

key_bytes exception_key::encode() const {
    return queue_prefix(topic, queue).u8(exception_by_offset).u64(offset);
}

std::optional<exception_key> exception_key::parse(std::string_view key) {
    key_reader from(key);
    exception_key result;
    result.topic = from.topic();
    result.queue = from.queue();
    from.expect(exception_by_offset, 1);
    result.offset = from.u64();
    return complete(from, result);
}

key_bytes due_key::encode() const {
    return queue_prefix(topic, queue).u8(exception_by_due).time(due).u64(offset);
}

std::optional<due_key> due_key::parse(std::string_view key) {
    key_reader from(key);
    due_key result;
    result.topic = from.topic();
    result.queue = from.queue();
    from.expect(exception_by_due, 1);
    result.due = from.time();
    result.offset = from.u64();
    return complete(from, result);
}

key_bytes dedup_key::encode() const {
    return queue_prefix(topic, queue).u64(producer.value()).u32(slot);
}

std::optional<dedup_key> dedup_key::parse(std::string_view key) {
    key_reader from(key);
    dedup_key result;
    result.topic = from.topic();
    result.queue = from.queue();
    result.producer = producer_id{from.u64()};
    result.slot = from.u32();
    return complete(from, result);
}

key_bytes schedule_due_key::encode() const {
    return topic_prefix(topic).u8(schedule_by_due).time(due).u64(id);
}

std::optional<schedule_due_key> schedule_due_key::parse(std::string_view key) {
    key_reader from(key);
    schedule_due_key result;
    result.topic = from.topic();
    from.expect(schedule_by_due, 1);
    result.due = from.time();
    result.id = from.u64();
    return complete(from, result);
}

key_bytes schedule_id_key::encode() const {
    return topic_prefix(topic).u8(schedule_by_id).u64(id);
}

std::optional<schedule_id_key> schedule_id_key::parse(std::string_view key) {
    key_reader from(key);
    schedule_id_key result;
    result.topic = from.topic();
    from.expect(schedule_by_id, 1);
    result.id = from.u64();
    return complete(from, result);
}

key_bytes expiry_key::encode() const {
    return topic_prefix(topic).time(at).u64(last_offset);
}

std::optional<expiry_key> expiry_key::parse(std::string_view key) {
    key_reader from(key);
    expiry_key result;
    result.topic = from.topic();
    result.at = from.time();
    result.last_offset = from.u64();
    return complete(from, result);
}

std::string message_id_key::encode() const {
    std::string key(topic_prefix(topic).view());
    key += id;
    return key;
}

std::optional<message_id_key> message_id_key::parse(std::string_view key) {
    key_reader from(key);
    message_id_key result;
    result.topic = from.topic();
    result.id = from.rest();
    return result.id.empty() ? std::nullopt : complete(from, result);
}

}  // namespace brokerd::storage
