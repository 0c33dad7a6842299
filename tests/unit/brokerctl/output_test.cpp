// The three output forms, and what is said on standard error to whom.
#include "tools/brokerctl/output.hpp"

#include <array>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>

namespace brokerd::ctl {
namespace {

constexpr std::array one_column{
    column{"NAME", align::left, [](const json& row) { return cell{row.at("name")}; }},
};
const std::vector<json> two_names{{{"name", "a"}, {"extra", 1}},
                                  {{"name", "b"}, {"extra", nullptr}}};

struct output_test : testing::Test {
    std::ostringstream out;
    std::ostringstream err;

    output make(output_format format, bool error_terminal = false) {
        return {out, err, {.format = format, .error_terminal = error_terminal}};
    }
};

TEST_F(output_test, listing_as_table) {
    make(output_format::table).list(one_column, two_names);
    EXPECT_EQ(out.str(), "NAME\na\nb\n");
}

TEST_F(output_test, listing_as_array) {
    make(output_format::array).list(one_column, two_names);
    EXPECT_EQ(out.str(),
              "[\n  {\"name\":\"a\",\"extra\":1},\n  {\"name\":\"b\",\"extra\":null}\n]\n");
    EXPECT_EQ(json::parse(out.str()).size(), 2U);
}

TEST_F(output_test, empty_listing_is_an_empty_array) {
    make(output_format::array).list(one_column, {});
    EXPECT_EQ(json::parse(out.str()), json::array());
}

TEST_F(output_test, listing_as_lines) {
    make(output_format::lines).list(one_column, two_names);
    EXPECT_EQ(out.str(), "{\"name\":\"a\",\"extra\":1}\n{\"name\":\"b\",\"extra\":null}\n");
}

TEST_F(output_test, object) {
    make(output_format::table).object(two_names[0], "name a\n");
    EXPECT_EQ(out.str(), "name a\n");
    out.str({});
    make(output_format::lines).object(two_names[0], "name a\n");
    EXPECT_EQ(out.str(), "{\"name\":\"a\",\"extra\":1}\n");
}

TEST_F(output_test, broken_text_still_makes_json) {
    EXPECT_EQ(dump_line(json{{"name", "\xff"}}), "{\"name\":\"\xef\xbf\xbd\"}");
}

TEST_F(output_test, remarks_and_progress_are_for_terminals) {
    auto quiet = make(output_format::table);
    quiet.remark("nothing here");
    quiet.progress("messages", 1);
    EXPECT_EQ(err.str(), "");
    make(output_format::table, true).remark("nothing here");
    EXPECT_EQ(err.str(), "nothing here\n");
}

TEST_F(output_test, complaints_are_for_everybody) {
    make(output_format::array).complain("no such topic a; create it");
    EXPECT_EQ(err.str(), "brokerctl: no such topic a; create it\n");
    EXPECT_EQ(out.str(), "");
}

TEST_F(output_test, a_full_disk_is_noticed) {
    auto to_nowhere = make(output_format::table);
    EXPECT_TRUE(to_nowhere.flush());
    out.setstate(std::ios::badbit);
    EXPECT_FALSE(to_nowhere.flush());
}

}  // namespace
}  // namespace brokerd::ctl
