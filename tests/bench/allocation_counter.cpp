// The replaced operator new. It must not allocate itself, so the table of places has a fixed size.
#include "tests/bench/allocation_counter.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <execinfo.h>
#include <new>
#include <unistd.h>

namespace brokerd::bench {
namespace {

constexpr std::size_t parts = static_cast<std::size_t>(part::count);
constexpr int frames_max = 16;
constexpr std::size_t places_max = 256;
constexpr std::size_t places_shown = 8;

struct place {
    std::array<void*, frames_max> frames{};
    int depth = 0;
    std::uint64_t times = 0;
};

thread_local part current = part::none;
thread_local std::array<std::uint64_t, parts> counts{};
thread_local part traced_part = part::none;
thread_local std::array<place, places_max> places{};
thread_local std::size_t places_used = 0;

void note_place() {
    std::array<void*, frames_max> frames{};
    const int depth = ::backtrace(frames.data(), frames_max);
    for (std::size_t i = 0; i < places_used; ++i) {
        if (places[i].depth == depth && places[i].frames == frames) {
            ++places[i].times;
            return;
        }
    }
    if (places_used < places_max) {
        places[places_used++] = {frames, depth, 1};
    }
}

void note_allocation() {
    const part at = current;
    if (at == part::none) {
        return;
    }
    ++counts[static_cast<std::size_t>(at)];
    if (at == traced_part) {
        current = part::none;
        note_place();
        current = at;
    }
}

void* allocate(std::size_t size, std::size_t alignment) {
    note_allocation();
    const std::size_t rounded = (std::max<std::size_t>(size, 1) + alignment - 1) & ~(alignment - 1);
    void* const memory = alignment <= alignof(std::max_align_t)
                             ? std::malloc(rounded)
                             : std::aligned_alloc(alignment, rounded);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

}  // namespace

const char* name_of(part which) {
    switch (which) {
        case part::client_submit: return "client: submit a message";
        case part::client_write: return "client: write frames";
        case part::session_read: return "session: frames to commands";
        case part::engine: return "engine and domain: turns";
        case part::storage: return "storage: commits";
        case part::session_write: return "session: outputs to frames";
        case part::client_read: return "client: frames to messages, callbacks";
        case part::client_take: return "client: take a message, ack it";
        case part::none:
        case part::count: break;
    }
    return "";
}

at_work::at_work(part which) : before_(current) {
    current = which;
}

at_work::~at_work() {
    current = before_;
}

std::uint64_t allocations_of(part which) {
    return counts[static_cast<std::size_t>(which)];
}

void trace_allocations(part which) {
    traced_part = which;
}

void reset_allocations() {
    counts = {};
    places_used = 0;
}

void print_places(double messages) {
    const auto end = places.begin() + static_cast<std::ptrdiff_t>(places_used);
    std::sort(places.begin(), end,
              [](const place& a, const place& b) { return a.times > b.times; });
    for (std::size_t i = 0; i < std::min(places_used, places_shown); ++i) {
        std::fprintf(stderr, "%.4f per message, from\n",
                     static_cast<double>(places[i].times) / messages);
        // The two on top are those of this file.
        ::backtrace_symbols_fd(places[i].frames.data() + 2, std::max(places[i].depth - 2, 0),
                               STDERR_FILENO);
    }
}

}  // namespace brokerd::bench

void* operator new(std::size_t size) {
    return brokerd::bench::allocate(size, alignof(std::max_align_t));
}

void* operator new(std::size_t size, std::align_val_t alignment) {
    return brokerd::bench::allocate(size, static_cast<std::size_t>(alignment));
}

void operator delete(void* memory) noexcept {
    std::free(memory);
}

void operator delete(void* memory, std::size_t /*size*/) noexcept {
    std::free(memory);
}

void operator delete(void* memory, std::align_val_t /*alignment*/) noexcept {
    std::free(memory);
}

void operator delete(void* memory, std::size_t /*size*/, std::align_val_t /*alignment*/) noexcept {
    std::free(memory);
}
