// One entry, one line, in both formats, whatever is in the text.
#include "broker/base/log.hpp"

#include <cstdio>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace brokerd::base {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

// A stream in memory.
class captured {
public:
    captured() : stream_(open_memstream(&bytes_, &size_)) {}
    ~captured() {
        std::fclose(stream_);
        std::free(bytes_);
    }
    captured(const captured&) = delete;
    captured& operator=(const captured&) = delete;

    std::FILE* stream() { return stream_; }
    std::string text() {
        std::fflush(stream_);
        return {bytes_, size_};
    }

private:
    char* bytes_ = nullptr;
    std::size_t size_ = 0;
    std::FILE* stream_;
};

TEST(log, text_has_time_level_and_module) {
    captured to;
    const logs all({.stream = to.stream()});
    all.module("engine").warning("commit {} took {} ms", 7, 812);
    EXPECT_THAT(to.text(),
                MatchesRegex("[0-9]+-[0-9][0-9]-[0-9][0-9]T[0-9:]+\\.[0-9]+Z warning engine   "
                             "commit 7 took 812 ms\n"));
}

// Promise: limits.names
TEST(log, an_entry_stays_on_its_line) {
    captured to;
    const logs all({.stream = to.stream()});
    all.module("session").info("client {}", "evil\n2026 error broker all is lost\x1b[2J");
    EXPECT_THAT(to.text(), EndsWith("client evil\\x0a2026 error broker all is lost\\x1b[2J\n"));
}

TEST(log, json_escapes) {
    captured to;
    const logs all({.format = log_format::json, .stream = to.stream()});
    all.module("session").error("say \"{}\" \\ {}", "hi", "\n");
    EXPECT_THAT(to.text(), EndsWith(R"(","level":"error","module":"session",)"
                                    R"("text":"say \"hi\" \\ \u000a"})"
                                    "\n"));
}

TEST(log, levels_below_the_wanted_one_are_left_out) {
    captured to;
    const logs all({.level = log_level::warning, .stream = to.stream()});
    all.module("m").info("quiet");
    all.module("m").debug("quieter");
    all.module("m").error("loud");
    EXPECT_THAT(to.text(), Not(HasSubstr("quiet")));
    EXPECT_THAT(to.text(), HasSubstr("loud"));
}

TEST(log, a_default_logger_writes_nothing) {
    const logger none;
    none.error("to nobody");
}

TEST(log, level_names_are_read_back) {
    for (const auto level :
         {log_level::debug, log_level::info, log_level::warning, log_level::error}) {
        EXPECT_EQ(parse_log_level(to_string(level)), level);
    }
    EXPECT_EQ(parse_log_level("loud"), std::nullopt);
}

}  // namespace
}  // namespace brokerd::base
