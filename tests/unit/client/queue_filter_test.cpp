// Filter and end of a queue: settings that go both ways, whatever the broker knows of them.
#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/src/convert.hpp"
#include "protocol/codec/topology_messages.hpp"

namespace brokerd::client_core {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

TEST(client_queue_filter, settings_go_both_ways) {
    const queue_options queue{.lease = 5s, .filter = "header.country = 'DE'", .until = 812};
    const queue_settings sent = to_wire(queue);
    EXPECT_EQ(sent.filter, "header.country = 'DE'");
    EXPECT_EQ(sent.until, 812U);
    EXPECT_EQ(to_public(sent), queue);
}

TEST(client_queue_filter, by_default_there_is_none) {
    EXPECT_EQ(to_wire(queue_options{}).filter, "");
    EXPECT_EQ(to_wire(queue_options{}).until, 0U);
    EXPECT_EQ(to_public(queue_settings{}), queue_options{});
}

// Whether it is one says the broker, which knows the language of its version.
TEST(client_queue_filter, is_sent_as_it_is_written) {
    EXPECT_EQ(to_wire({.filter = " KEY=\"a\" or "}).filter, " KEY=\"a\" or ");
}

TEST(client_queue_filter, the_one_in_force_and_that_it_differs_are_told) {
    codec::queue_created reply;
    reply.settings.filter = "has key";
    reply.settings.until = 7;
    reply.differing = {"filter", "until"};
    const ensured_queue ensured = to_public(reply);
    EXPECT_EQ(ensured.settings.filter, "has key");
    EXPECT_EQ(ensured.settings.until, 7U);
    EXPECT_THAT(ensured.differing, ElementsAre("filter", "until"));
}

TEST(client_queue_filter, is_seen_where_queues_are_listed) {
    codec::queue_item item;
    item.settings.filter = "has key";
    item.settings.until = 7;
    const queue_info info = to_public(item);
    EXPECT_EQ(info.settings.filter, "has key");
    EXPECT_EQ(info.settings.until, 7U);
}

}  // namespace
}  // namespace brokerd::client_core
