// A broker of the test's own and brokerctl to talk to it.
#pragma once

#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/broker_process.hpp"
#include "tests/support/run_program.hpp"
#include "tests/support/temp_dir.hpp"

namespace brokerd::test {

using json = nlohmann::json;

enum ctl_exit : int { done = 0, refused = 1, usage = 2, no_connection = 3, outcome_unknown = 4 };

class brokerctl_test : public testing::Test {
protected:
    using arguments = std::vector<std::string>;

    [[nodiscard]] std::vector<std::string> environment() const {
        // Slow machines and sanitizers: never fail for a late answer.
        return {"BROKERD_SERVER=" + broker.address(), "BROKERCTL_CONNECT_TIMEOUT=20s"};
    }

    program_end ctl(arguments given, std::string_view input = {}) {
        return run_program(program_path("brokerctl"), std::move(given), input, environment());
    }

    // What a command that must succeed prints.
    std::string text(arguments given, std::string_view input = {}) {
        const auto end = ctl(std::move(given), input);
        EXPECT_EQ(end.exit_code, done) << end.err;
        EXPECT_EQ(end.err, "");
        return end.out;
    }

    json as_json(arguments given) {
        given.insert(given.end(), {"-o", "json"});
        return json::parse(text(std::move(given)));
    }

    // One JSON value a line.
    static std::vector<json> lines(const std::string& ndjson) {
        std::vector<json> result;
        std::istringstream in(ndjson);
        for (std::string line; std::getline(in, line);) {
            result.push_back(json::parse(line));
        }
        return result;
    }

    // The one queue, as queue ls -o json says.
    json queue_row() {
        const auto rows = as_json({"queue", "ls"});
        EXPECT_EQ(rows.size(), 1U);
        return rows.at(0);
    }

    // Topic orders, queue orders/billing, messages m0, m1, ...
    void create_orders(int messages) {
        text({"queue", "create", "orders/billing"});
        std::string input;
        for (int i = 0; i < messages; ++i) {
            input += "m" + std::to_string(i) + "\n";
        }
        text({"message", "publish", "orders", "--lines"}, input);
    }

    temp_dir directory;
    support::broker_process broker{
        {.program = {}, .data_dir = directory / "data", .arguments = {}, .environment = {}}};
};

}  // namespace brokerd::test
