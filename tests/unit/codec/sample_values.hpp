// Values of every message, filled in from the descriptions: fixed ones, the same for ever, for the
// golden files, and random ones from a seed. Used by unit tests, golden tests and the fuzz corpus.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "protocol/codec/record_batch.hpp"
#include "protocol/codec/registry.hpp"
#include "protocol/codec/wire.hpp"
#include "protocol/types/crc32c.hpp"

namespace brokerd::codec::sample {

// Numbers that depend on the name of the field alone: two fields of one type that change places
// change the bytes. Everything is small and representative.
class fixed_source {
public:
    std::uint64_t number(std::string_view name) {
        return (std::uint64_t{crc32c(0, as_bytes(name))} << 32U) | crc32c(1, as_bytes(name));
    }
    std::string text(std::string_view name) { return std::string(name) + "-\xc3\xa9"; }
    std::size_t count(std::string_view) { return 2; }
};

// Sizes from nothing to many, numbers from the whole range with a liking for its ends.
class random_source {
public:
    explicit random_source(std::uint64_t seed) : random_(seed) {}

    std::uint64_t number(std::string_view) {
        switch (random_() % 4) {
            case 0: return random_() % 3;
            case 1: return ~std::uint64_t{0} - random_() % 3;
            default: return random_();
        }
    }
    std::string text(std::string_view) {
        std::string text(random_() % 40, '\0');
        for (char& c : text) {
            c = static_cast<char>(random_());
        }
        return text;
    }
    std::size_t count(std::string_view) { return random_() % 5; }

private:
    std::mt19937_64 random_;
};

// Fills values from a source and keeps the bytes that their views point to.
template <typename Source>
class filler {
public:
    explicit filler(Source source) : source_(std::move(source)) {}

    template <typename T>
    T make(std::string_view name) {
        T value{};
        fill(name, value);
        return value;
    }

private:
    template <typename T>
    void fill(std::string_view name, T& value) {
        if constexpr (described<T>) {
            std::apply([&](const auto&... each) { (fill(each.name, value.*each.member), ...); },
                       T::fields());
        } else if constexpr (std::is_same_v<T, bool>) {
            value = source_.number(name) % 2 == 1;
        } else if constexpr (std::is_enum_v<T>) {
            fill_enum(name, value);
        } else if constexpr (std::is_same_v<T, double>) {
            value = static_cast<double>(source_.number(name) % 1000000) / 8;
        } else {
            value = static_cast<T>(source_.number(name));
        }
    }

    template <typename Enum>
    void fill_enum(std::string_view name, Enum& value) {
        do {
            value = static_cast<Enum>(source_.number(name) % 8);
            name = name.substr(0, name.size() - 1);
        } while (!is_known(value) && !name.empty());
        if (!is_known(value)) {
            value = static_cast<Enum>(1);
        }
    }

    void fill(std::string_view name, error_code& value) {
        // As many rows as the first version had: new ones must not change the golden files.
        constexpr std::size_t rows_at_first = 51;
        value = error_table()[source_.number(name) % rows_at_first].code;
    }

    template <typename Tag, typename Rep>
    void fill(std::string_view name, strong_id<Tag, Rep>& id) {
        id = strong_id<Tag, Rep>(static_cast<Rep>(source_.number(name)));
    }

    void fill(std::string_view name, std::string& text) { text = source_.text(name); }

    void fill(std::string_view name, duration_us& value) {
        value = duration_us(static_cast<std::int64_t>(source_.number(name)));
    }

    void fill(std::string_view name, wall_time& value) {
        value = wall_from_us(static_cast<std::int64_t>(source_.number(name)));
    }

    void fill(std::string_view name, lease_id& lease) {
        fill(name, lease.epoch);
        lease.counter = source_.number(name);
    }

    void fill(std::string_view name, lease_run& run) {
        run.first_offset = source_.number(name) >> 1U;
        run.count = static_cast<std::uint32_t>(source_.number(name) % 1000) + 1;
        fill(name, run.epoch);
        run.first_lease = source_.number(name) >> 2U;
    }

    void fill(std::string_view name, bytes_field& bytes) { bytes.view = records(name, 1); }

    void fill(std::string_view name, rest_bytes& bytes) {
        batch_builder builder;
        const std::string key = source_.text("key");
        for (std::size_t i = 0; i <= source_.count(name); ++i) {
            builder.add({.key = key, .headers = {}, .payload = as_bytes(key)});
        }
        bytes.view = keep(builder.take(producer_id(source_.number("producer") | 1U), 1));
    }

    void fill(std::string_view name, delivery_run& run) {
        fill(name, run.leases);
        run.leases.count = static_cast<std::uint32_t>(source_.count(name)) + 1;
        fill("append_time", run.append_time);
        run.attempt = static_cast<std::uint32_t>(source_.number("attempt") % 16);
        run.records.view = records(name, run.leases.count);
    }

    void fill(std::string_view name, message_run& run) {
        run.first_offset = source_.number(name) >> 1U;
        run.count = static_cast<std::uint32_t>(source_.count(name)) + 1;
        fill("append_time", run.append_time);
        run.records.view = records(name, run.count);
    }

    void fill(std::string_view, deliver& message) {
        fill("consumer", message.consumer);
        fill("runs", message.runs);
    }

    void fill(std::string_view, messages& message) {
        fill("incarnation", message.incarnation);
        message.first_offset = source_.number("first_offset");
        message.next_offset = source_.number("next_offset");
        message.position = source_.number("position");
        fill("runs", message.runs);
    }

    template <typename Item>
    void fill(std::string_view name, std::vector<Item>& items) {
        items.resize(source_.count(name));
        for (std::size_t i = 0; i < items.size(); ++i) {
            fill(std::string(name) + std::to_string(i), items[i]);
        }
    }

    byte_view records(std::string_view name, std::size_t count) {
        byte_buffer bytes;
        for (std::size_t i = 0; i < count; ++i) {
            const std::string payload = source_.text(name);
            encode_record(bytes, {.key = payload, .headers = {}, .payload = as_bytes(payload)});
        }
        return keep(std::move(bytes));
    }

    byte_view keep(byte_buffer bytes) { return kept_.emplace_back(std::move(bytes)); }

    Source source_;
    std::deque<byte_buffer> kept_;
};

}  // namespace brokerd::codec::sample
