// What every store does with the marks of a log and with what a topic has dropped, tested on each
// of them.
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include "broker/domain/chunk.hpp"
#include "tests/conformance/store_subjects.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd {

namespace {

using test::at;
using test::new_queue;
using test::new_topic;
using test::orders;

constexpr topic_id returns_topic{2};
constexpr queue_id returns_queue{3};
constexpr std::size_t payload_bytes = 100'000;

template <typename Subject>
class retention_conformance : public test::store_fixture<Subject> {
protected:
    // Appends one message, and marks the log at it. Returns the bytes of its batch.
    std::uint64_t append(topic_id topic, offset_t offset, bool marked = false,
                         std::uint8_t lane = 0) {
        const auto chunk = test::make_chunk(topic, offset, 1, at(0), payload_bytes, lane);
        std::vector<domain::mutation> batch{domain::appended{chunk}};
        if (marked) {
            marks_.push_back({offset, 7 * offset, at(static_cast<std::int64_t>(offset))});
            batch.emplace_back(domain::log_marked{topic, marks_});
        }
        this->commit(batch);
        return chunk->bytes().size() - domain::chunk_header_bytes;
    }
    // From tables alone: those of RocksDB are flushed.
    std::uint64_t unmarked_bytes(topic_id topic) {
        this->subject_.restart();
        for (const domain::topic_tail& tail : this->load().tails) {
            if (tail.topic == topic) {
                return tail.unmarked_bytes;
            }
        }
        ADD_FAILURE() << "no topic " << topic.value();
        return 0;
    }
    void expect_bytes(std::uint64_t bytes, std::uint64_t expected, const std::string& where) {
        if (std::is_same_v<Subject, test::memory_subject>) {
            EXPECT_EQ(bytes, expected) << where;
            return;
        }
        EXPECT_GE(bytes, expected * 3 / 4) << where;
        EXPECT_LE(bytes, expected * 3 / 2) << where;
    }

    std::vector<domain::log_mark> marks_;
};

TYPED_TEST_SUITE(retention_conformance, test::store_subjects, test::store_subject_names);

TYPED_TEST(retention_conformance, marks_and_drops_are_replaced_and_loaded_before_the_queues) {
    const domain::log_marked marked{orders, {{0, 0, at(1)}, {900, 70'000, at(5)}}};
    const domain::messages_dropped dropped{orders, 40, 5000, at(7), {{returns_queue, 40}}, 50};
    const domain::log_marked empty{returns_topic, {}};
    const domain::messages_dropped without_queue{returns_topic, 3, 60, at(8), {}, 0};
    this->commit({new_topic(orders, "orders"), new_topic(returns_topic, "returns_topic"),
                  new_queue(orders, returns_queue, "returns_queue"),
                  domain::log_marked{orders, {{0, 0, at(1)}}},
                  domain::messages_dropped{orders, 4, 500, at(2), {}, 7}});
    this->commit({dropped, marked, without_queue, empty});
    const std::vector<domain::mutation> expected{new_topic(orders, "orders"),
                                                 marked,
                                                 dropped,
                                                 new_queue(orders, returns_queue, "returns_queue"),
                                                 new_topic(returns_topic, "returns_topic"),
                                                 empty,
                                                 without_queue};
    EXPECT_EQ(this->load().mutations, expected);
    this->subject_.restart();
    EXPECT_EQ(this->load().mutations, expected);
    this->subject_.crash();
    EXPECT_EQ(this->load().mutations, expected);
}

TYPED_TEST(retention_conformance, marks_and_drops_go_with_their_topic_not_with_their_queue) {
    const domain::log_marked marked{orders, {{0, 0, at(1)}}};
    const domain::messages_dropped dropped{orders, 40, 5000, at(7), {{returns_queue, 40}}, 50};
    this->commit({new_topic(orders, "orders"), new_queue(orders, returns_queue, "returns_queue"),
                  new_topic(returns_topic, "returns_topic"), marked, dropped,
                  domain::log_marked{returns_topic, {{5, 50, at(2)}}}});
    this->commit({domain::queue_removed{orders, returns_queue}});
    this->commit({domain::topic_removed{returns_topic}});
    const std::vector<domain::mutation> expected{new_topic(orders, "orders"), marked, dropped};
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(this->load().mutations, expected);
        this->subject_.restart();
    }
}

TYPED_TEST(retention_conformance, bytes_are_counted_from_the_last_mark_or_the_trim_point_on) {
    constexpr offset_t messages = 16;
    this->commit({new_topic(orders, "orders"), new_topic(returns_topic, "returns_topic")});
    EXPECT_EQ(this->unmarked_bytes(orders), 0U);
    std::uint64_t each = 0;
    for (offset_t offset = 0; offset < messages; ++offset) {
        each = this->append(orders, offset);
        this->append(returns_topic, offset);
    }
    this->expect_bytes(this->unmarked_bytes(orders), messages * each, "no mark");
    this->commit({domain::trimmed{orders, 4}});
    this->expect_bytes(this->unmarked_bytes(orders), (messages - 4) * each, "no mark, trimmed");
    for (offset_t offset = messages; offset < 2 * messages; ++offset) {
        this->append(orders, offset, offset % 8 == 0);
    }
    this->expect_bytes(this->unmarked_bytes(orders), 8 * each, "from the second mark on");
    this->commit({domain::trimmed{orders, 20}});
    this->expect_bytes(this->unmarked_bytes(orders), 8 * each, "trimmed below the last mark");
    this->commit({domain::trimmed{orders, 28}});
    this->expect_bytes(this->unmarked_bytes(orders), 4 * each, "trimmed behind the last mark");
    this->commit({domain::trimmed{orders, 2 * messages}});
    EXPECT_EQ(this->unmarked_bytes(orders), 0U) << "nothing is left";
    this->expect_bytes(this->unmarked_bytes(returns_topic), messages * each, "the other topic");
}

TYPED_TEST(retention_conformance, bytes_are_counted_in_all_lanes) {
    constexpr offset_t messages = 15;
    this->commit({new_topic(orders, "orders", 3), new_topic(returns_topic, "returns_topic", 3)});
    std::uint64_t each = 0;
    const auto append = [&](offset_t offset, bool marked) {
        const auto lane = static_cast<std::uint8_t>(offset % 3);
        each = this->append(orders, offset, marked, lane);
        this->append(returns_topic, offset, false, lane);
    };
    for (offset_t offset = 0; offset < messages; ++offset) {
        append(offset, false);
    }
    this->expect_bytes(this->unmarked_bytes(orders), messages * each, "no mark");
    this->commit({domain::trimmed{orders, 5}});
    this->expect_bytes(this->unmarked_bytes(orders), (messages - 5) * each, "no mark, trimmed");
    for (offset_t offset = messages; offset < 2 * messages; ++offset) {
        append(offset, offset == messages + 3);
    }
    this->expect_bytes(this->unmarked_bytes(orders), (messages - 3) * each, "from the mark on");
    this->commit({domain::trimmed{orders, 2 * messages}});
    EXPECT_EQ(this->unmarked_bytes(orders), 0U) << "nothing is left";
    this->expect_bytes(this->unmarked_bytes(returns_topic), 2 * messages * each, "the other topic");
}

TYPED_TEST(retention_conformance, a_chunk_that_the_trim_point_lies_in_counts_as_a_whole) {
    const auto chunk = test::make_chunk(orders, 0, 10, at(0), payload_bytes / 10);
    this->commit({new_topic(orders, "orders"), domain::appended{chunk},
                  domain::log_marked{orders, {{0, 0, at(0)}}}, domain::trimmed{orders, 9}});
    this->expect_bytes(this->unmarked_bytes(orders),
                       chunk->bytes().size() - domain::chunk_header_bytes, "one of ten is left");
}

}  // namespace

}  // namespace brokerd
