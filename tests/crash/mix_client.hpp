// What the loads and audits of a mixed crash run have in common.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/base/random.hpp"
#include "tests/crash/mix_scene.hpp"
#include <brokerd/admin.hpp>
#include <brokerd/client.hpp>

namespace brokerd::crash {

// Comes back fast, and gives up only when there is no broker any more, so that a run ends.
[[nodiscard]] client mix_connect(const mix_scene& scene);

// The result of a change, or nothing if it is unknown whether it was done.
template <typename Change>
[[nodiscard]] auto outcome_of(Change change) -> std::optional<decltype(change())> {
    try {
        return change();
    } catch (const error& failed) {
        if (failed.code() != client_errc::outcome_unknown) {
            throw;
        }
    }
    return std::nullopt;
}

// No lease ends by itself while a machine is slow: what was not given back would be missed.
inline constexpr auto mix_lease = std::chrono::minutes{10};

enum class answer : std::uint8_t { ack, ack_confirmed, nack, reject, release };

// As an application with a bad day would: one in forty is rejected, most are acked.
[[nodiscard]] answer choose_answer(base::random& random);

// True: confirmed. False: the lease was lost before, so it may come again.
[[nodiscard]] bool confirmed_ack(message& which);

// The whole topic, which keeps everything.
[[nodiscard]] std::vector<stored_message> read_topic(client& with, const std::string& topic);
// Its payloads, which are numbers.
[[nodiscard]] std::map<std::uint64_t, std::uint64_t> read_numbers(client& with,
                                                                  const std::string& topic);

[[nodiscard]] std::vector<dead_message> read_dead(client& with, const std::string& queue);

// Takes what is left in a queue until nothing is ready, leased or retrying; `each` is called with a
// message before it is acked. Tells if the queue does not become empty, or if its counts are wrong:
// each offset of the topic has to be done or dead. `prefetch`: messages held at a time.
void drain_queue(client& with, findings& told, const std::string& queue,
                 const std::function<void(const message&)>& each, std::uint32_t prefetch = 256);

// Removes a queue, whatever is known of an attempt before.
void remove_surely(client& with, const std::string& queue);

}  // namespace brokerd::crash
