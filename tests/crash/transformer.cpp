// The process that a transform run kills: consumes, transforms and produces in transactions of a
// few messages, for ever. Usage: transformer SERVER TOPIC/QUEUE TOPIC. Ends with 1 if a commit
// fails in a way that it may not.
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include "tests/crash/crash_clients.hpp"
#include <brokerd/client.hpp>
#include <brokerd/transaction.hpp>

namespace {

using namespace std::chrono_literals;

constexpr std::size_t messages_max = 4;  // of one transaction

brokerd::transaction next_batch(brokerd::consumer& from, const char* to, std::size_t size) {
    brokerd::transaction batch;
    auto message = from.next();
    while (message) {
        batch.publish(to, {.key = {}, .headers = {}, .payload = std::string(message->payload())});
        batch.ack(std::move(*message));
        message = --size > 0 ? from.next(5ms) : std::nullopt;
    }
    return batch;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        return 2;
    }
    auto client = brokerd::connect(argv[1], brokerd::crash::patient());
    auto from = client.open_consumer(argv[2], {.prefetch_messages = 20});
    for (std::size_t size = 1;; size = size % messages_max + 1) {
        auto batch = next_batch(from, argv[3], size);
        try {
            (void)client.commit(batch);
        } catch (const brokerd::error& failed) {
            // The broker was away for longer than the lease lasts: somebody else has the message.
            if (failed.code() != brokerd::broker_errc::lease_gone) {
                std::fprintf(stderr, "a commit failed: %s\n", failed.what());
                return 1;
            }
        }
    }
}
