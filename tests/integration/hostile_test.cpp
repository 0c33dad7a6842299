// Valid frames in a hostile order: every request there is, with contents near what exists, some of
// them damaged behind a right header, on connections that come and go. Nothing they say may end
// the broker, hurt a bystander or leave counts that do not add up.
#include <random>

#include "tests/integration/broker_fixture.hpp"
#include "tests/unit/codec/sample_values.hpp"

namespace brokerd::integration {
namespace {

// Numbers and names that often mean something in a small broker.
class near_source {
public:
    explicit near_source(std::uint64_t seed) : random_(seed) {}

    std::uint64_t number(std::string_view) {
        return random_() % 16 == 0 ? ~std::uint64_t{0} - random_() % 3 : random_() % 6;
    }
    std::string text(std::string_view name) {
        static constexpr std::array topics{"t", "u", "", "nobody"};
        static constexpr std::array queues{"t/q", "t/r", "u/q", "t", "u/nobody"};
        if (name == "queue") {
            return queues[random_() % queues.size()];
        }
        return name == "topic" ? topics[random_() % topics.size()] : "text";
    }
    std::size_t count(std::string_view) { return random_() % 4; }

private:
    std::mt19937_64 random_;
};

// What a client may ask; connection_close is left out, as it would hit the bystander.
using requests = codec::message_list<
    codec::publish, codec::attach, codec::attach, codec::detach, codec::set_prefetch, codec::settle,
    codec::settle, codec::settle, codec::read, codec::message_show, codec::dead_list,
    codec::dead_redrive, codec::dead_purge, codec::consumer_list, codec::connection_list,
    codec::health, codec::stats, codec::topic_create, codec::topic_set, codec::topic_list,
    codec::topic_remove, codec::queue_create, codec::queue_set, codec::queue_list,
    codec::queue_remove, codec::queue_pause, codec::queue_seek, codec::queue_purge,
    codec::queue_clone, codec::queue_levels, codec::queue_explain, codec::pattern_create,
    codec::pattern_list, codec::pattern_remove, codec::pattern_attach>;

class hostile_peer {
public:
    explicit hostile_peer(std::uint64_t seed) : random_(seed), filler_(near_source(seed)) {}

    // Any request; one in sixteen is damaged.
    byte_buffer frame() {
        byte_buffer out;
        std::size_t left = below(requests::size);
        requests::for_each(append_if{*this, left, out});
        const std::size_t body = out.size() - codec::frame_header_bytes;
        if (body > 0 && below(16) == 0) {
            out[codec::frame_header_bytes + below(body)] ^= std::byte{0x10};
        }
        return out;
    }
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

private:
    struct append_if {
        hostile_peer& self;
        std::size_t& left;
        byte_buffer& out;

        template <typename Message>
        void operator()() const {
            if (left-- == 0) {
                const auto message =
                    self.filler_.make<Message>(codec::frame_type_name(Message::type));
                codec::encode_frame(out, static_cast<std::uint32_t>(self.below(100)), message);
            }
        }
    };

    std::mt19937_64 random_;
    codec::sample::filler<near_source> filler_;
};

class hostile_test : public broker_fixture, public testing::WithParamInterface<std::uint64_t> {
protected:
    // What a restart must not change: name, messages to be delivered, dead, done.
    using durable_state =
        std::tuple<std::string, std::string, std::uint64_t, std::uint64_t, std::uint64_t>;

    static std::vector<durable_state> durable_states(raw_client& with) {
        std::vector<durable_state> result;
        for (const auto& each : with.ask<codec::queues>(codec::queue_list{}).items) {
            result.emplace_back(each.topic, each.queue, each.ready + each.leased + each.retrying,
                                each.dead, each.done);
        }
        return result;
    }
    // What the hostile find, again and again: they remove some of it, or change it so that this is
    // refused.
    void furnish() {
        const auto with = client("furnisher@here:1");
        for (const char* queue : {"t/q", "t/r", "u/q"}) {
            with->send(1, codec::queue_create{.queue = queue,
                                              .settings = {.attempts = 3, .backoff = 1ms},
                                              .create_topic = true});
        }
        for (const char* topic : {"t", "u"}) {
            with->publish(1, topic, make_batch({"a", "b", "c"}));
        }
        with->send(2, codec::goodbye{});
        while (with->next()) {
        }
    }
    // A message through its own queue.
    static void use(raw_client& with, const std::string& payload) {
        (void)with.ask<codec::queue_created>(
            codec::queue_create{.queue = "safe/q", .settings = {}, .create_topic = true});
        with.publish(1, "safe", make_batch({payload}));
        (void)with.expect<codec::published>();
        const auto queue =
            with.ask<codec::attached>(codec::attach{.queue = "safe/q", .consumer = consumer_id{1}});
        const auto delivered = with.expect<codec::deliver>();
        ASSERT_EQ(delivered.runs.size(), 1U);
        EXPECT_THAT(payloads_of(delivered.runs[0].records.view), testing::ElementsAre(payload));
        const auto settled = with.ask<codec::settled>(codec::settle{
            .queue = queue.queue, .confirm = true, .runs = {delivered.runs[0].leases}});
        EXPECT_EQ(settled.accepted, 1U);
        (void)with.ask<codec::ok>(codec::detach{consumer_id{1}});
    }
};

// Promise: limits.hostile
TEST_P(hostile_test, whatever_is_said_costs_only_the_one_who_says_it) {
    broker({"--drain", "0"});
    const auto bystander = client("bystander@here:1");
    hostile_peer hostile(GetParam());
    for (int connection = 0; connection < 20; ++connection) {
        furnish();
        raw_client peer(broker().port());
        (void)peer.hello("hostile@here:1");
        for (int i = 0; i < 60; ++i) {
            peer.send_bytes(hostile.frame());
        }
        use(*bystander, std::to_string(connection));
        if (hostile.below(2) == 0) {
            peer.drop();
        }
    }
    furnish();
    // What the hostile asked for last may still be on its way, with the broker or without: only
    // what a start finds stands still.
    EXPECT_EQ(broker().terminate(), 0);
    broker().restart();
    const auto before = durable_states(*client("bystander@here:2"));
    EXPECT_EQ(broker().terminate(), 0);
    broker().restart();
    const auto again = client("bystander@here:3");
    EXPECT_EQ(durable_states(*again), before);
    EXPECT_GE(before.size(), 4U);  // and the clones that were made
    use(*again, "after");
}

INSTANTIATE_TEST_SUITE_P(seeds, hostile_test, testing::Range<std::uint64_t>(1, 13));

}  // namespace
}  // namespace brokerd::integration
