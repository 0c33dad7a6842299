// That a match allocates nothing: it counts what the whole program allocates.
#include <atomic>
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "tests/unit/filter/sample.hpp"

namespace {

std::atomic<std::uint64_t> allocations{0};

}  // namespace

void* operator new(std::size_t size) {
    ++allocations;
    if (void* const memory = std::malloc(size == 0 ? 1 : size)) {
        return memory;
    }
    throw std::bad_alloc();
}

void operator delete(void* memory) noexcept {
    std::free(memory);
}

void operator delete(void* memory, std::size_t /*size*/) noexcept {
    std::free(memory);
}

namespace brokerd::filters {
namespace {

TEST(filter_allocation, a_match_needs_none) {
    const auto parsed = filter::parse(
        "not (offset = 1 or time < '2020-01-01T00:00:00Z' or age > 1h or size > 1MiB or "
        "attempts > 99 or state = dead) and key like '*rd*r*7' and header.\"odd name\" = 'x' and "
        "header.amount > 12 and header.amount not in (1, 2, 'none') and reason not like '*x*' and "
        "header.country in ('a text that is long enough', 'DE') and not has header.missing");
    ASSERT_TRUE(parsed);
    const sample of;
    byte_buffer record;
    codec::encode_record(record, of.fields);
    subject about = of.about;
    about.record = record;
    const std::uint64_t before = allocations;
    const bool matched = parsed->matches(about);
    const std::uint64_t after = allocations;
    EXPECT_TRUE(matched);
    EXPECT_EQ(after, before);
    EXPECT_GT(before, 0U);
}

}  // namespace
}  // namespace brokerd::filters
