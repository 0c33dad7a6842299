// Results on standard output, remarks on standard error.
#include "tools/brokerctl/output.hpp"

#include <ostream>

#include <fmt/format.h>

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;

constexpr auto progress_first = 500ms;  // short work shows nothing
constexpr auto progress_every = 200ms;

std::string dump(const json& value, int indent) {
    return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::string dump_line(const json& value) {
    return dump(value, -1);
}

void output::list(std::span<const column> columns, std::span<const json> rows) {
    switch (options_.format) {
        case output_format::table: out_ << render_table(columns, rows, options_.colours); return;
        case output_format::array:
        case output_format::lines:
            begin_stream();
            for (const json& row : rows) {
                stream_item(row, {});
            }
            end_stream();
            return;
    }
}

void output::object(const json& value, std::string_view text) {
    switch (options_.format) {
        case output_format::table: out_ << text; return;
        case output_format::array: out_ << dump(value, 2) << '\n'; return;
        case output_format::lines: out_ << dump_line(value) << '\n'; return;
    }
}

void output::begin_stream() {
    stream_empty_ = true;
    if (options_.format == output_format::array) {
        out_ << '[';
    }
}

void output::stream_item(const json& value, std::string_view text) {
    if (options_.out_terminal) {
        end_progress();
    }
    switch (options_.format) {
        case output_format::table: out_ << text; break;
        case output_format::array:
            out_ << (stream_empty_ ? "\n  " : ",\n  ") << dump_line(value);
            break;
        case output_format::lines: out_ << dump_line(value) << '\n'; break;
    }
    stream_empty_ = false;
}

void output::end_stream() {
    if (options_.format == output_format::array) {
        out_ << (stream_empty_ ? "]\n" : "\n]\n");
    }
}

void output::raw(std::string_view bytes) {
    out_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

bool output::flush() {
    out_.flush();
    return out_.good();
}

void output::hint(std::string_view text) {
    if (is_table()) {
        end_progress();
        err_ << text << '\n' << std::flush;
    }
}

void output::remark(std::string_view text) {
    if (options_.error_terminal) {
        end_progress();
        err_ << text << '\n' << std::flush;
    }
}

void output::complain(std::string_view text) {
    end_progress();
    err_ << "brokerctl: " << text << '\n' << std::flush;
}

void output::progress(std::string_view what, std::uint64_t done) {
    if (!options_.error_terminal) {
        return;
    }
    const auto now = std::chrono::steady_clock::now();
    if (progress_started_ == std::chrono::steady_clock::time_point{}) {
        progress_started_ = now;
    }
    if (now - progress_started_ < progress_first || now - progress_at_ < progress_every) {
        return;
    }
    progress_at_ = now;
    progress_shown_ = true;
    out_.flush();  // or results would appear behind this line on the same terminal
    err_ << fmt::format("\r\x1b[K{} {}", done, what) << std::flush;
}

void output::end_progress() {
    if (progress_shown_) {
        err_ << "\r\x1b[K" << std::flush;
        progress_shown_ = false;
    }
}

}  // namespace brokerd::ctl
