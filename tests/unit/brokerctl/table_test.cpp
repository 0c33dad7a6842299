// Layout of tables: alignment, colours, no blanks at line ends.
#include "tools/brokerctl/table.hpp"

#include <array>
#include <vector>

#include <gtest/gtest.h>

namespace brokerd::ctl {
namespace {

constexpr std::array three_columns{
    column{"QUEUE", align::left, [](const json& row) { return cell{row.at("queue")}; }},
    column{"COUNT", align::right,
           [](const json& row) {
               return cell{std::to_string(row.at("count").get<int>()), tone::bad};
           }},
    column{"SAMPLE", align::left, [](const json& row) { return cell{row.at("sample")}; }},
};

const std::vector<json> two_rows{
    {{"queue", "orders/billing"}, {"count", 1}, {"sample", "orders@0"}},
    {{"queue", "größe/q"}, {"count", 12345678}, {"sample", ""}},
};

TEST(table, columns_line_up) {
    EXPECT_EQ(render_table(three_columns, two_rows, false),
              "QUEUE              COUNT  SAMPLE\n"
              "orders/billing         1  orders@0\n"
              "größe/q         12345678\n");
}

TEST(table, without_rows_the_headings_remain) {
    EXPECT_EQ(render_table(three_columns, {}, false), "QUEUE  COUNT  SAMPLE\n");
}

TEST(table, a_column_of_what_is_rare_is_there_when_there_is_some) {
    auto columns = three_columns;
    columns[1].matters = [](const json& row) { return row.at("count") != 0; };
    std::vector<json> rows{{{"queue", "a/b"}, {"count", 0}, {"sample", "a@0"}}};
    EXPECT_EQ(render_table(columns, rows, false), "QUEUE  SAMPLE\na/b    a@0\n");
    rows.push_back({{"queue", "c/d"}, {"count", 7}, {"sample", ""}});
    EXPECT_EQ(render_table(columns, rows, false),
              "QUEUE  COUNT  SAMPLE\n"
              "a/b        0  a@0\n"
              "c/d        7\n");
    EXPECT_EQ(render_table(columns, {}, false), "QUEUE  SAMPLE\n");
}

TEST(table, colours_do_not_move_columns) {
    const auto text = render_table(three_columns, std::span{two_rows}.first(1), true);
    EXPECT_EQ(text,
              "\x1b[1mQUEUE\x1b[0m           \x1b[1mCOUNT\x1b[0m  \x1b[1mSAMPLE\x1b[0m\n"
              "orders/billing      \x1b[31m1\x1b[0m  orders@0\n");
}

TEST(table, details_line_up) {
    const std::array details{detail{"name", {"orders"}}, detail{"messages", {"3"}},
                             detail{"queues", {""}}};
    EXPECT_EQ(render_details(details, false),
              "name      orders\n"
              "messages  3\n"
              "queues\n");
}

}  // namespace
}  // namespace brokerd::ctl
