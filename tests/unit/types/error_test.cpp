// The error table: numbers, order, look-up of known and unknown codes.
#include "protocol/types/error.hpp"

#include <set>

#include <gtest/gtest.h>

namespace brokerd {
namespace {

TEST(error_table, names_and_numbers_are_unique_and_ascending) {
    std::set<std::string_view> names;
    int previous = -1;
    for (const error_info& row : error_table()) {
        EXPECT_TRUE(names.insert(row.name).second) << row.name;
        EXPECT_GT(static_cast<int>(row.code), previous) << row.name;
        previous = static_cast<int>(row.code);
        EXPECT_FALSE(row.text.empty()) << row.name;
    }
}

TEST(error_table, describe_finds_each_row) {
    for (const error_info& row : error_table()) {
        EXPECT_EQ(describe(row.code).name, row.name);
    }
}

TEST(error_table, a_number_of_a_newer_peer_reads_as_internal) {
    EXPECT_EQ(describe(static_cast<error_code>(65535)).code, error_code::internal);
    EXPECT_EQ(describe(static_cast<error_code>(6553)).code, error_code::internal);
}

TEST(error_table, numbers_on_the_wire_stay) {
    EXPECT_EQ(static_cast<int>(error_code::ok), 0);
    EXPECT_EQ(static_cast<int>(error_code::bad_frame), 1);
    EXPECT_EQ(static_cast<int>(error_code::malformed), 5);
    EXPECT_EQ(static_cast<int>(error_code::internal), 20);
    EXPECT_EQ(static_cast<int>(error_code::topic_not_found), 31);
    EXPECT_EQ(static_cast<int>(error_code::bad_batch), 41);
    EXPECT_EQ(static_cast<int>(error_code::lease_gone), 53);
    EXPECT_EQ(static_cast<int>(error_code::cross_shard), 60);
    EXPECT_EQ(static_cast<int>(error_code::no_responder), 61);
    EXPECT_EQ(static_cast<int>(error_code::too_many_responders), 67);
}

TEST(error_table, refuse_carries_code_and_text) {
    const outcome<int> refused = refuse(error_code::gone, "orders@3 was removed");
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error(), (failure{error_code::gone, "orders@3 was removed"}));
}

}  // namespace
}  // namespace brokerd
