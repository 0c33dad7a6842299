// How explain says why a queue or one of its messages does not move: tables of reasons, asked in
// order. The first that holds is the answer, so a row may rely on those above it. A sentence lies
// in its row as a text, so that a test can see whether each one was ever said. Private to
// explain.cpp and explain_waiting.cpp. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/domain/operations.hpp"

namespace brokerd::domain {

// What is asked about: a queue or one of its messages.
struct question {
    core& c;
    const turn& t;
    const queue& q;
    offset_t offset = offset_end;            // offset_end: the queue
    const exception_state* known = nullptr;  // of the message, if it has an exception
    key_hash key = no_key;                   // that has to be free; unknown_key: it cannot be read

    [[nodiscard]] bool about_queue() const { return offset == offset_end; }
};

struct reason_row {
    std::string_view sentence;  // with {} for each text of `fill`
    bool (*holds)(const question& of);
    std::vector<std::string> (*fill)(const question& of) = nullptr;
};

// The sentence of the first reason that holds, filled in; empty if none does.
[[nodiscard]] std::string first_of(std::span<const reason_row> reasons, const question& of);

// explain_waiting.cpp: why what is ready is not given out. For a queue in which something moves
// none of them holds.
extern const std::span<const reason_row> reasons_to_wait;
// `worker@host:7 for 12 s more, attempt 1 of 16`; the message is leased.
// A message in memory that the filter of the queue does not take, or that lies behind its end.
[[nodiscard]] bool is_not_taken(const question& of);
[[nodiscard]] std::string lease_text(const question& of, const lease_span& span);
// Those that may be given messages: all but the ones that stand by.
[[nodiscard]] std::span<consumer* const> active_consumers(const queue& q);
// The key that holds back all that is ready in a queue; no_key if there is no such single one.
[[nodiscard]] key_hash key_of_all(const queue& q);

// Every sentence of every table.
[[nodiscard]] std::vector<std::string_view> explain_sentences();

}  // namespace brokerd::domain
