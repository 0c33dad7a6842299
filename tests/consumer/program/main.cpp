// A program that knows nothing of brokerd but its public header. Without an argument it only shows
// that it compiles, links and starts.
#include <brokerd/client.hpp>

int main(int argc, char** argv) {
    if (argc < 2) {
        return 0;
    }
    auto client = brokerd::connect(argv[1]);
    client.publish("orders.eu", {.key = "42", .payload = "hello"});
}
