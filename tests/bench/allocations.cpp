// Fails when a message costs an allocation in the steady state. Counts, not times, so it is a test
// as well.
//
//   allocations [--places PART]     PART: number of a part; shows where its allocations come from
//
// Of messages in batches, what is allocated for each read, batch or commit is allowed, as it is
// shared by many; of messages that come in a frame each, what each frame needs.
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string_view>

#include "tests/bench/allocation_counter.hpp"
#include "tests/bench/single_thread_broker.hpp"

namespace brokerd::bench {
namespace {

constexpr std::uint64_t round_messages = 1024;
constexpr int warm_up_rounds = 40;
constexpr int counted_rounds = 60;

struct scenario {
    const char* name;
    single_thread_broker::shape shape;
    // Allocations per message, at most, of each part from the first on.
    std::array<double, static_cast<std::size_t>(part::count) - 1> bounds;
};

// What a batch and what a frame needs, for batches of 64: the client a batch with two vectors that
// grow, an entry in each of its tables, and what keeps a delivered run; the session a name.
constexpr std::array batch_bounds{0.3, 0.05, 0.05, 0.06, 0.06, 0.01, 0.12, 0.01};
// The same for each message when it is a batch of its own. The broker behind the session needs
// nothing for it.
constexpr std::array frame_bounds{4.1, 2.1, 1.1, 0.1, 0.1, 0.01, 5.1, 0.01};

const std::array scenarios{
    scenario{"shared, batches of 64", {queue_mode::shared, 64, 0}, batch_bounds},
    scenario{"keyed, batches of 64, 10000 keys", {queue_mode::keyed, 64, 10'000}, batch_bounds},
    scenario{"shared, a frame for each message", {queue_mode::shared, 1, 0}, frame_bounds},
};

bool run(const scenario& what, part traced) {
    single_thread_broker broker(what.shape);
    for (int i = 0; i < warm_up_rounds; ++i) {
        broker.round(round_messages);
    }
    trace_allocations(traced);
    reset_allocations();
    for (int i = 0; i < counted_rounds; ++i) {
        broker.round(round_messages);
    }
    const double messages = static_cast<double>(round_messages) * counted_rounds;
    std::printf("%s\n", what.name);
    bool kept = true;
    for (std::size_t i = 0; i < what.bounds.size(); ++i) {
        const part of = static_cast<part>(i + 1);
        const double each = static_cast<double>(allocations_of(of)) / messages;
        const bool exceeded = each > what.bounds[i];
        std::printf("  %zu %-38s %8.4f per message, at most %.2f%s\n", i + 1, name_of(of), each,
                    what.bounds[i], exceeded ? "   EXCEEDED" : "");
        kept = kept && !exceeded;
    }
    if (traced != part::none) {
        std::fflush(stdout);
        print_places(messages);
    }
    return kept;
}

}  // namespace
}  // namespace brokerd::bench

int main(int argc, char** argv) {
    using brokerd::bench::part;
    unsigned traced = 0;
    if (argc == 3 && std::string_view(argv[1]) == "--places") {
        std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), traced);
    }
    try {
        bool kept = true;
        for (const auto& each : brokerd::bench::scenarios) {
            kept = brokerd::bench::run(each, static_cast<part>(traced)) && kept;
        }
        return kept ? 0 : 1;
    } catch (const std::exception& failed) {
        std::fprintf(stderr, "allocations: %s\n", failed.what());
        return 1;
    }
}
