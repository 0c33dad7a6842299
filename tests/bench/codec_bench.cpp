// What a frame costs on its way in: cutting frames, verifying a batch, walking over its records,
// matching a filter.
#include <string>

#include <benchmark/benchmark.h>

#include "protocol/codec/encode.hpp"
#include "protocol/codec/frame.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/filter/filter.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd {
namespace {

byte_buffer batch_of(std::int64_t records, std::int64_t payload_bytes) {
    const std::string payload(static_cast<std::size_t>(payload_bytes), 'x');
    const codec::header_view headers[] = {{"country", "DE"}, {"amount", "99.50"}};
    codec::batch_builder builder;
    for (std::int64_t i = 0; i < records; ++i) {
        codec::record_fields fields{.payload = as_bytes(payload)};
        fields.key = "customer-42";
        fields.headers.assign(std::begin(headers), std::end(headers));
        builder.add(fields);
    }
    return builder.take(producer_id{7}, 1);
}

// A piece of 64 KiB with publishes of one message each, as a socket read brings it.
void cut_frames(benchmark::State& state) {
    const byte_buffer batch = batch_of(1, state.range(0));
    byte_buffer piece;
    std::int64_t frames = 0;
    while (piece.size() < 64 * limits::kib) {
        codec::encode_publish(piece, 1, "orders", batch);
        ++frames;
    }
    codec::frame_parser parser(limits::mib);
    for (auto _ : state) {
        parser.feed(piece);
        for (auto frame = parser.next(); frame && *frame; frame = parser.next()) {
            benchmark::DoNotOptimize((*frame)->body.data());
        }
    }
    state.SetItemsProcessed(state.iterations() * frames);
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(piece.size()));
}
BENCHMARK(cut_frames)->Arg(16)->Arg(100)->Arg(1024);

void verify_batch(benchmark::State& state) {
    const byte_buffer batch = batch_of(state.range(0), state.range(1));
    for (auto _ : state) {
        benchmark::DoNotOptimize(codec::check_batch(batch, limits::batch_records_max));
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(batch.size()));
}
BENCHMARK(verify_batch)->Args({1, 100})->Args({100, 100})->Args({100, 1024});

// Over the records of a batch that was verified before, as a consumer or a sieve does it.
void walk_batch(benchmark::State& state) {
    const byte_buffer batch = batch_of(state.range(0), state.range(1));
    for (auto _ : state) {
        byte_view left = byte_view(batch).subspan(codec::batch_header_bytes);
        while (!left.empty()) {
            const std::size_t bytes = codec::record_size_at(left);
            const auto record = codec::parse_record(left.first(bytes));
            benchmark::DoNotOptimize(record->payload.data());
            left = left.subspan(bytes);
        }
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(walk_batch)->Args({1, 100})->Args({100, 100});

void match_filter(benchmark::State& state, const char* text) {
    const auto filter = filters::filter::parse(text);
    const byte_buffer batch = batch_of(1, 100);
    const byte_view record = byte_view(batch).subspan(codec::batch_header_bytes);
    const filters::subject subject{.record = record, .offset = 812};
    for (auto _ : state) {
        benchmark::DoNotOptimize(filter->matches(subject));
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(match_filter, key, "key = 'customer-42'");
BENCHMARK_CAPTURE(match_filter, header, "header.amount > 99.4 and header.country in ('AT', 'DE')");
BENCHMARK_CAPTURE(match_filter, like, "key like '*mer*42' and size < 1KiB");

}  // namespace
}  // namespace brokerd
