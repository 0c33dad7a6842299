// Durable enum values, strong ids and times: what storage and wire rely on.
#include "protocol/types/settings.hpp"

#include <array>
#include <type_traits>

#include <gtest/gtest.h>

#include "protocol/types/bytes.hpp"

namespace brokerd {
namespace {

static_assert(!std::is_convertible_v<std::uint64_t, topic_id>);
static_assert(!std::is_convertible_v<topic_id, queue_id>);
static_assert(lease_id{broker_epoch{1}, 9} < lease_id{broker_epoch{2}, 1});
static_assert(lease_id{broker_epoch{2}, 1} < lease_id{broker_epoch{2}, 2});
static_assert(wall_from_us(to_us(wall_never)) == wall_never);

TEST(settings, durable_values_stay) {
    EXPECT_EQ(static_cast<int>(queue_mode::shared), 1);
    EXPECT_EQ(static_cast<int>(queue_mode::keyed), 2);
    EXPECT_EQ(static_cast<int>(queue_mode::single), 3);
    EXPECT_EQ(static_cast<int>(after_failure::block), 1);
    EXPECT_EQ(static_cast<int>(after_failure::skip), 2);
    EXPECT_EQ(static_cast<int>(message_state::ready), 1);
    EXPECT_EQ(static_cast<int>(message_state::done), 5);
    EXPECT_EQ(static_cast<int>(attempt_outcome::rejected), 4);
    EXPECT_EQ(static_cast<int>(attempt_outcome::ttl_expired), 5);
    EXPECT_EQ(static_cast<int>(expiry_action::done), 1);
    EXPECT_EQ(static_cast<int>(expiry_action::dead), 2);
    EXPECT_EQ(static_cast<int>(settle_action::extend), 5);
    EXPECT_EQ(static_cast<int>(position_kind::time), 4);
    EXPECT_EQ(static_cast<int>(durability::disk), 1);
}

TEST(settings, unknown_values_have_a_name) {
    EXPECT_EQ(to_string(static_cast<message_state>(99)), "unknown");
    EXPECT_EQ(to_string(message_state::retrying), "retrying");
    EXPECT_EQ(to_string(settle_action::release), "release");
    EXPECT_EQ(to_string(attempt_outcome::ttl_expired), "ttl expired");
    EXPECT_EQ(to_string(expiry_action::dead), "dead");
    EXPECT_EQ(to_string(static_cast<expiry_action>(3)), "unknown");
}

TEST(bytes, little_endian) {
    std::array<std::byte, 4> bytes{};
    store_le<std::uint32_t>(bytes.data(), 0x01020304U);
    EXPECT_EQ(bytes[0], std::byte{4});
    EXPECT_EQ(bytes[3], std::byte{1});
    EXPECT_EQ(load_le<std::uint32_t>(bytes.data()), 0x01020304U);
}

}  // namespace
}  // namespace brokerd
