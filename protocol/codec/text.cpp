// The printer, generated for every message.
#include "protocol/codec/text.hpp"

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <vector>

#include <fmt/format.h>

#include "protocol/codec/registry.hpp"
#include "protocol/codec/wire.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::codec {
namespace {

constexpr std::size_t items_shown_max = 8;

template <typename T>
void print(std::string& out, const T& value);

template <typename Tag, typename Rep>
void print(std::string& out, const strong_id<Tag, Rep>& id) {
    fmt::format_to(std::back_inserter(out), "{}", id.value());
}

void print(std::string& out, const std::string& text) {
    fmt::format_to(std::back_inserter(out), "\"{}\"", printable(text));
}

void print(std::string& out, const duration_us& value) {
    fmt::format_to(std::back_inserter(out), "{}us", value.count());
}

void print(std::string& out, const wall_time& value) {
    fmt::format_to(std::back_inserter(out), "@{}us", to_us(value));
}

void print(std::string& out, const bytes_field& bytes) {
    fmt::format_to(std::back_inserter(out), "<{} bytes>", bytes.view.size());
}

void print(std::string& out, const rest_bytes& bytes) {
    fmt::format_to(std::back_inserter(out), "<{} bytes>", bytes.view.size());
}

void print(std::string& out, const lease_id& lease) {
    fmt::format_to(std::back_inserter(out), "{}:{}", lease.epoch.value(), lease.counter);
}

void print(std::string& out, const lease_run& run) {
    fmt::format_to(std::back_inserter(out), "{}+{}@{}:{}", run.first_offset, run.count,
                   run.epoch.value(), run.first_lease);
}

void print(std::string& out, const delivery_run& run) {
    print(out, run.leases);
    fmt::format_to(std::back_inserter(out), " append_time=@{}us attempt={} ",
                   to_us(run.append_time), run.attempt);
    if (run.queue != queue_id{}) {
        fmt::format_to(std::back_inserter(out), "queue={} ", run.queue.value());
    }
    print(out, run.records);
}

void print(std::string& out, const error_code& code) {
    const error_info& row = describe(code);
    if (row.code == code) {
        out += row.name;
    } else {
        fmt::format_to(std::back_inserter(out), "{}", static_cast<std::uint16_t>(code));
    }
}

template <typename Item>
void print(std::string& out, const std::vector<Item>& items) {
    out += '[';
    for (std::size_t i = 0; i < std::min(items.size(), items_shown_max); ++i) {
        out += i == 0 ? "" : ", ";
        print(out, items[i]);
    }
    if (items.size() > items_shown_max) {
        fmt::format_to(std::back_inserter(out), ", ... {} in all", items.size());
    }
    out += ']';
}

template <described T>
void print_fields(std::string& out, const T& value) {
    out += '{';
    std::apply(
        [&](const auto&... each) {
            std::size_t place = 0;
            const auto one = [&](const auto& field) {
                out += place++ == 0 ? "" : " ";
                out += field.name;
                out += '=';
                print(out, value.*field.member);
            };
            (one(each), ...);
            static_cast<void>(one);
        },
        T::fields());
    out += '}';
}

void print(std::string& out, const deliver& message) {
    fmt::format_to(std::back_inserter(out), "{{consumer={} runs=", message.consumer.value());
    print(out, message.runs);
    out += '}';
}

void print(std::string& out, const messages& message) {
    fmt::format_to(std::back_inserter(out),
                   "{{incarnation={} first_offset={} next_offset={} position={} runs=",
                   message.incarnation.value(), message.first_offset, message.next_offset,
                   message.position);
    print(out, message.runs);
    out += '}';
}

// Numbers, enums, structs.
template <typename T>
void print(std::string& out, const T& value) {
    if constexpr (described<T>) {
        print_fields(out, value);
    } else if constexpr (requires { brokerd::to_string(value); }) {
        out += brokerd::to_string(value);
    } else if constexpr (std::is_enum_v<T>) {
        fmt::format_to(std::back_inserter(out), "{}",
                       static_cast<std::underlying_type_t<T>>(value));
    } else {
        fmt::format_to(std::back_inserter(out), "{}", value);
    }
}

}  // namespace

template <frame_message T>
std::string to_text(const T& message) {
    std::string out(message_name<T>);
    print(out, message);
    return out;
}

#define BROKERD_INSTANTIATE(name) template std::string to_text<name>(const name&);
BROKERD_MESSAGES(BROKERD_INSTANTIATE)
#undef BROKERD_INSTANTIATE

namespace {

template <frame_message T>
std::string body_text(byte_view body) {
    const auto decoded = decode<T>(body);
    return decoded ? to_text(*decoded) : decoded.error().text;
}

}  // namespace

std::string to_text(const frame& frame) {
    std::string body = fmt::format("type {} with {} bytes", frame.type, frame.body.size());
    switch (static_cast<frame_type>(frame.type)) {
#define BROKERD_BODY_TEXT(name) \
    case frame_type::name: body = body_text<name>(frame.body); break;
        BROKERD_MESSAGES(BROKERD_BODY_TEXT)
#undef BROKERD_BODY_TEXT
    }
    return fmt::format("#{} {}", frame.request_id, body);
}

}  // namespace brokerd::codec
