// The relay of the recipe "Publish once, whoever does it", with a table in a file: lines of an id
// and a payload. The ids that are marked are the lines of another file.
//
// Usage: outbox_relay SERVER TABLE MARKED [KILLED_AT]
// With KILLED_AT it ends as by SIGKILL when it is to mark rows for that time, and marks none.
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "tests/samples/outbox_recipe.hpp"  // generated

namespace {

constexpr std::size_t rows_max = 2;  // of one look at the table

struct outbox {
    std::string table;
    std::string marked;
    int killed_at = 0;  // 0: never
};

outbox& the_outbox() {
    static outbox one;
    return one;
}

std::set<std::string> marked_ids() {
    std::ifstream file(the_outbox().marked);
    std::set<std::string> ids;
    for (std::string id; std::getline(file, id);) {
        ids.insert(id);
    }
    return ids;
}

}  // namespace

std::vector<row> next_rows() {
    const std::set<std::string> marked = marked_ids();
    std::ifstream file(the_outbox().table);
    std::vector<row> rows;
    for (row each; rows.size() < rows_max && file >> each.id >> each.payload;) {
        if (!marked.contains(each.id)) {
            rows.push_back(each);
        }
    }
    return rows;
}

void mark(const std::vector<row>& rows) {
    if (--the_outbox().killed_at == 0) {
        std::raise(SIGKILL);
    }
    std::ofstream file(the_outbox().marked, std::ios::app);
    for (const row& each : rows) {
        file << each.id << '\n';
    }
}

int main(int argc, char** argv) {
    if (argc < 4) {
        return EXIT_FAILURE;
    }
    the_outbox() = {argv[2], argv[3], argc > 4 ? std::atoi(argv[4]) : 0};
    auto client = brokerd::connect(argv[1]);
    relay(client);
}
