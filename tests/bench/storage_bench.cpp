// What a commit costs before it is written: the mutations of the domain to the keys and values of
// one RocksDB batch, as the commit thread makes it.
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include "broker/storage/rocks_handles.hpp"
#include "broker/storage/rocks_options.hpp"
#include "broker/storage/topic_table.hpp"
#include "broker/storage/write_translation.hpp"
#include "tests/bench/domain_driver.hpp"

namespace brokerd::bench {
namespace {

// Only its families are used; nothing is written to it.
class empty_database {
public:
    empty_database() : env_(rocksdb::NewMemEnv(rocksdb::Env::Default())) {
        storage::rocks_parts parts;
        parts.env = env_.get();
        auto options =
            storage::make_db_options({}, parts, rocksdb::WALRecoveryMode::kPointInTimeRecovery);
        options.create_if_missing = true;
        options.listeners.clear();
        options.info_log_level = rocksdb::HEADER_LEVEL;
        std::vector<rocksdb::ColumnFamilyHandle*> handles;
        rocksdb::DB* db = nullptr;
        const auto status = rocksdb::DB::Open(options, "/storage_bench",
                                              storage::make_families({}, parts), &handles, &db);
        if (!status.ok()) {
            throw std::runtime_error(status.ToString());
        }
        opened_ = std::make_unique<storage::rocks_database>(std::unique_ptr<rocksdb::DB>(db),
                                                            std::move(handles));
    }

    [[nodiscard]] storage::rocks_database& get() { return *opened_; }

private:
    std::unique_ptr<rocksdb::Env> env_;
    std::unique_ptr<storage::rocks_database> opened_;
};

// A commit of the steady state: it appends as many messages as it acks. Argument: batches of 64
// messages.
void encode_commit(benchmark::State& state, queue_mode mode) {
    constexpr int warm_up_commits = 100;
    constexpr std::uint64_t keys = 100'000;
    empty_database database;
    storage::topic_table topics;
    storage::write_translation translation(database.get(), topics, {}, 1);
    const auto input = make_batches(64, mode == queue_mode::keyed ? keys : 0);
    domain_driver broker(mode, 100'000);
    translation.start(broker.mutations());  // makes the topic known
    std::size_t next = 0;
    for (int i = 0; i < warm_up_commits; ++i) {
        broker.cut();
        broker.take_deliveries();
        broker.choose_all();
        broker.ack();
        for (std::int64_t n = 0; n < state.range(0); ++n) {
            broker.publish(input[next++ % input.size()]);
        }
        broker.seal();
    }
    std::size_t bytes = 0;
    for (auto _ : state) {
        translation.start(broker.mutations());
        bytes = translation.finish({.number = broker.gathering(), .synced = {}}).GetDataSize();
        benchmark::DoNotOptimize(translation.take_trims());
    }
    state.SetItemsProcessed(state.iterations() * state.range(0) * batch_messages);
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}
BENCHMARK_CAPTURE(encode_commit, shared, queue_mode::shared)->Arg(1)->Arg(16);
BENCHMARK_CAPTURE(encode_commit, keyed, queue_mode::keyed)->Arg(16);

}  // namespace
}  // namespace brokerd::bench
