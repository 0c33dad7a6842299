// An HTTP service that has an e-mail sent for each request, without making the caller wait for it:
//
//     POST /send-email   {"to": "ada@example.com", "subject": "Welcome", "body": "Hello Ada"}
//     202                {"message": "emails@0"}
//
// The answer means that the e-mail is on the broker's disk; email_worker sends it. 4xx: the request
// is wrong, the text says how. 503: the broker did not take it, a later request may pass.
#include <CLI/CLI.hpp>
#include <httplib.h>
#include <nlohmann/json.hpp>

#include "tools/samples/email.hpp"
#include "tools/samples/service.hpp"
#include <brokerd/client.hpp>

namespace {

struct options {
    std::string broker = "127.0.0.1:4650";
    std::string host = "127.0.0.1";
    int port = 8080;
    std::string topic = "emails";
    std::size_t body_bytes_max = 64 * 1024;
    unsigned timeout_s = 5;
};

options parse_options(int argc, char** argv) {
    options chosen;
    CLI::App app{"Takes e-mails over HTTP and publishes them to a topic."};
    app.add_option("--broker", chosen.broker, "HOST:PORT of brokerd")
        ->envname("BROKERD_SERVER")
        ->capture_default_str();
    app.add_option("--host", chosen.host, "address to listen on")->capture_default_str();
    app.add_option("--port", chosen.port, "port to listen on; 0 takes a free one")
        ->check(CLI::Range(0, 65535))
        ->capture_default_str();
    app.add_option("--topic", chosen.topic, "topic to publish to")->capture_default_str();
    app.add_option("--body-bytes-max", chosen.body_bytes_max, "largest request accepted")
        ->check(CLI::Range(1, 1000 * 1000))
        ->capture_default_str();
    app.add_option("--timeout", chosen.timeout_s, "seconds to wait for a lost broker, then 503")
        ->check(CLI::Range(1, 60))
        ->capture_default_str();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error) == 0 ? 0 : 64);
    }
    return chosen;
}

void answer(httplib::Response& response, int status, std::string_view name, std::string text) {
    response.status = status;
    response.set_content(nlohmann::json{{name, std::move(text)}}.dump() + "\n", "application/json");
}

// Runs on any of the server's threads, many at a time; the client batches what they publish.
void send_email(brokerd::client& client, const std::string& topic, const httplib::Request& request,
                httplib::Response& response) {
    const auto mail = samples::parse_email(request.body);
    if (!mail) {
        answer(response, 400, "error", mail.error());
        return;
    }
    try {
        const brokerd::address at =
            client.publish(topic, {.key = mail->to, .payload = to_json(*mail)});
        answer(response, 202, "message", to_string(at));
        samples::log(fmt::format("{} accepted for {}", to_string(at), mail->to));
    } catch (const brokerd::error& error) {
        response.set_header("Retry-After", "1");
        answer(response, 503, "error", error.what());
        samples::log(fmt::format("refused for {}: {}", mail->to, error.what()));
    }
}

// What the server refuses by itself is answered as JSON, too.
void explain_refusal(const httplib::Request&, httplib::Response& response) {
    if (!response.body.empty()) {
        return;
    }
    switch (response.status) {
        case 404: answer(response, 404, "error", "no such resource; use POST /send-email"); break;
        case 413: answer(response, 413, "error", "the request is too large"); break;
        default: answer(response, response.status, "error", "the request cannot be served"); break;
    }
}

// The default options would let a second process listen on the same port.
void set_socket_options(socket_t socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
}

int run(const options& chosen) {
    samples::stop_signal stop;
    auto client = samples::connect(stop, chosen.broker,
                                   {.give_up_after = std::chrono::seconds(chosen.timeout_s)});
    client.ensure_topic(chosen.topic);

    httplib::Server server;
    server.set_payload_max_length(chosen.body_bytes_max);
    server.set_keep_alive_timeout(1);  // idle connections hold up a stop no longer than this
    server.set_socket_options(set_socket_options);
    server.set_error_handler(httplib::Server::Handler(explain_refusal));
    server.Post("/send-email", [&](const httplib::Request& request, httplib::Response& response) {
        send_email(client, chosen.topic, request, response);
    });

    int port = chosen.port;
    if (port == 0) {
        port = server.bind_to_any_port(chosen.host);
    } else if (!server.bind_to_port(chosen.host, port)) {
        port = -1;
    }
    if (port < 0) {
        samples::log(fmt::format("cannot listen on {}:{}", chosen.host, chosen.port));
        return 69;
    }
    std::thread listener([&] { server.listen_after_bind(); });
    while (!server.is_running()) {
        std::this_thread::yield();
    }
    fmt::print("listening on {}:{}\n", chosen.host, port);
    std::fflush(stdout);

    stop.wait();
    server.stop();  // requests that are being answered are answered
    listener.join();
    samples::log("stopped");
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(parse_options(argc, argv));
    } catch (const std::exception& error) {
        samples::log(error.what());
        return 1;
    }
}
