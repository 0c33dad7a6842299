// Adding up and reading the buckets.
#include "tools/brokerctl/bench_histogram.hpp"

#include <cmath>

namespace brokerd::ctl {

void bench_histogram::add(const bench_histogram& other) {
    for (std::size_t i = 0; i < buckets; ++i) {
        counts_[i] += other.counts_[i];
    }
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
}

std::uint64_t bench_histogram::percentile(double part) const {
    const auto wanted = static_cast<std::uint64_t>(
        std::ceil(std::clamp(part, 0.0, 1.0) * static_cast<double>(count_)));
    const std::uint64_t rank = std::max<std::uint64_t>(wanted, 1);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets; ++i) {
        seen += counts_[i];
        if (seen >= rank) {
            return std::min(value_of(i), max_);
        }
    }
    return max_;
}

}  // namespace brokerd::ctl
