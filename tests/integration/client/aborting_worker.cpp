// A worker with a bug: it aborts as soon as it is handed the payload "poison".
// Usage: aborting_worker SERVER TOPIC/QUEUE STOP. Ends with 0 after the message STOP.
#include <cstdlib>
#include <stop_token>

#include <brokerd/client.hpp>

int main(int argc, char** argv) {
    if (argc != 4) {
        return 2;
    }
    const std::string last = argv[3];
    auto client = brokerd::connect(argv[1]);
    std::stop_source stop;
    client.consume(argv[2],
                   [&](const brokerd::message& message) {
                       if (message.payload() == "poison") {
                           std::abort();
                       }
                       if (message.payload() == last) {
                           stop.request_stop();
                       }
                   },
                   {.prefetch_messages = 100, .confirm = true, .stop = stop.get_token()});
    client.close();
    return 0;
}
