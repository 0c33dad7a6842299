// A number that one thread increments and others read: the building block of the plain counter
// structs that components own and stats reads. Header only.
#pragma once

#include <atomic>
#include <cstdint>

namespace brokerd::base {

class counter {
public:
    void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
    void subtract(std::uint64_t n = 1) { value_.fetch_sub(n, std::memory_order_relaxed); }
    void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

}  // namespace brokerd::base
