// Times sorted into buckets whose width grows with the time: fixed size, no allocation, and an
// error below 1 % at any time. One thread writes.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace brokerd::ctl {

class bench_histogram {
public:
    void record(std::uint64_t nanoseconds) {
        ++counts_[bucket_of(nanoseconds)];
        ++count_;
        max_ = std::max(max_, nanoseconds);
    }
    void add(const bench_histogram& other);

    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::uint64_t max() const { return max_; }  // exact
    // The time that `part` (0 to 1) of all do not exceed; 0 without any.
    [[nodiscard]] std::uint64_t percentile(double part) const;

private:
    // Each power of two has this many buckets, so one is at most 1/128 of its times wide.
    static constexpr unsigned sub_bits = 7;
    static constexpr std::size_t sub_buckets = std::size_t{1} << sub_bits;
    static constexpr std::size_t buckets = (64 - sub_bits + 1) * sub_buckets;

    [[nodiscard]] static std::size_t bucket_of(std::uint64_t value) {
        if (value < sub_buckets) {
            return value;
        }
        const auto shift = static_cast<unsigned>(std::bit_width(value)) - sub_bits - 1;
        return shift * sub_buckets + (value >> shift);
    }
    // The middle of a bucket.
    [[nodiscard]] static std::uint64_t value_of(std::size_t bucket) {
        if (bucket < 2 * sub_buckets) {
            return bucket;
        }
        const auto shift = bucket / sub_buckets - 1;
        const std::uint64_t lowest = (bucket - shift * sub_buckets) << shift;
        return lowest + (std::uint64_t{1} << shift) / 2;
    }

    std::array<std::uint64_t, buckets> counts_{};
    std::uint64_t count_ = 0;
    std::uint64_t max_ = 0;
};

}  // namespace brokerd::ctl
