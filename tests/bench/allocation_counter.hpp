// Counts what each part of a program allocates: operator new is replaced in a program that links
// allocation_counter.cpp. Counted is only the thread that says which part is at work.
#pragma once

#include <cstddef>
#include <cstdint>

namespace brokerd::bench {

enum class part : std::uint8_t {
    none,  // not counted
    client_submit,
    client_write,
    session_read,
    engine,
    storage,
    session_write,
    client_read,
    client_take,
    count,
};
[[nodiscard]] const char* name_of(part which);

// While it lives, this thread's allocations are those of a part.
class at_work {
public:
    explicit at_work(part which);
    at_work(const at_work&) = delete;
    at_work& operator=(const at_work&) = delete;
    ~at_work();

private:
    part before_;
};

[[nodiscard]] std::uint64_t allocations_of(part which);
// From now on, those of a part are also counted by where they come from.
void trace_allocations(part which);
void reset_allocations();
// The places from which most came, with how often for each message, to stderr.
void print_places(double messages);

}  // namespace brokerd::bench
