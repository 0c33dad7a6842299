// Where results go: a table for people, JSON for programs; and remarks on standard error that only
// a person sees. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>

#include "tools/brokerctl/table.hpp"

namespace brokerd::ctl {

enum class output_format { table, array, lines };  // -o table, json, ndjson

struct output_options {
    output_format format = output_format::table;
    bool colours = false;         // standard output is a terminal that wants them
    bool out_terminal = false;    // somebody watches standard output
    bool error_terminal = false;  // somebody watches standard error
};

class output {
public:
    output(std::ostream& out, std::ostream& err, output_options options)
        : out_(out), err_(err), options_(options) {}

    [[nodiscard]] bool is_table() const { return options_.format == output_format::table; }
    [[nodiscard]] bool colours() const { return options_.colours && is_table(); }

    // A listing: a table, an array, or one object a line.
    void list(std::span<const column> columns, std::span<const json> rows);

    // One thing: the text (its line end included) in table form, else the object.
    void object(const json& value, std::string_view text);

    // Things that come one by one, in the same three forms: begin, items, end.
    void begin_stream();
    void stream_item(const json& value, std::string_view text);
    void end_stream();

    // Bytes as they are.
    void raw(std::string_view bytes);

    // Hands what was written to the operating system; false if it could not take it.
    [[nodiscard]] bool flush();

    // What to do next, on standard error; not said to who asked for JSON.
    void hint(std::string_view text);
    // A remark for a person at the terminal; programs never see it.
    void remark(std::string_view text);
    // Always said, on standard error: `brokerctl: text`.
    void complain(std::string_view text);

    // A line on standard error that is overwritten as work goes on, at most a few times a second.
    void progress(std::string_view what, std::uint64_t done);
    void end_progress();

private:
    std::ostream& out_;
    std::ostream& err_;
    output_options options_;
    bool stream_empty_ = true;
    bool progress_shown_ = false;
    std::chrono::steady_clock::time_point progress_started_{};
    std::chrono::steady_clock::time_point progress_at_{};
};

// One line of JSON. Bytes that are no UTF-8 become U+FFFD; views encode payloads beforehand.
[[nodiscard]] std::string dump_line(const json& value);

}  // namespace brokerd::ctl
