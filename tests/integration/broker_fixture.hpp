// A real brokerd with a directory of its own, and raw connections to it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/broker_process.hpp"
#include "tests/support/raw_client.hpp"
#include "tests/support/temp_dir.hpp"

namespace brokerd::integration {

using namespace std::chrono_literals;
using support::make_batch;
using support::payloads_of;
using support::raw_client;

class broker_fixture : public testing::Test {
protected:
    // Starts brokerd with these arguments; the first call counts.
    support::broker_process& broker(std::vector<std::string> arguments = {}) {
        if (!broker_) {
            support::broker_options options;
            options.data_dir = directory_.path() / "data";
            options.arguments = std::move(arguments);
            broker_ = std::make_unique<support::broker_process>(std::move(options));
        }
        return *broker_;
    }
    [[nodiscard]] std::filesystem::path data_dir() const { return directory_.path() / "data"; }

    // A connection that has said hello.
    std::unique_ptr<raw_client> client(const std::string& name = "test@here:1") {
        auto result = std::make_unique<raw_client>(broker().port());
        (void)result->hello(name);
        return result;
    }
    // Topic t with queue q.
    static void create_queue(raw_client& with, queue_settings settings = {}) {
        (void)with.ask<codec::queue_created>(
            codec::queue_create{.queue = "t/q", .settings = settings, .create_topic = true});
    }
    // Publishes and waits for the answer: the offset of the first message.
    static offset_t publish(raw_client& with, const std::vector<std::string>& payloads) {
        with.publish(1, "t", make_batch(payloads));
        return with.expect<codec::published>().items.at(0).base_offset;
    }
    static codec::attached attach(raw_client& with, std::uint32_t consumer = 1,
                                  std::uint32_t prefetch = 100) {
        return with.ask<codec::attached>(codec::attach{
            .queue = "t/q", .consumer = consumer_id{consumer}, .prefetch_messages = prefetch});
    }
    static codec::queue_item queue_state(raw_client& with) {
        return with.ask<codec::queues>(codec::queue_list{.queue = "t/q"}).items.at(0);
    }

private:
    test::temp_dir directory_;
    std::unique_ptr<support::broker_process> broker_;
};

}  // namespace brokerd::integration
