// Sends the e-mails of a topic through an SMTP server.
//
// What the server answers decides: 2xx is an ack. 4xx, a lost connection or no answer is a nack,
// and the queue's back-off says when it is tried again. 5xx is a reject: the message is dead, with
// the server's text as the reason, until somebody redrives it. An e-mail can go out twice when the
// worker or the broker dies between the server's answer and the ack; both have one Message-ID.
#include <stdexcept>

#include <CLI/CLI.hpp>

#include "tools/samples/email.hpp"
#include "tools/samples/service.hpp"
#include "tools/samples/smtp.hpp"
#include <brokerd/client.hpp>

namespace {

struct options {
    std::string broker = "127.0.0.1:4650";
    std::string queue = "emails/smtp-sender";
    std::string smtp = "127.0.0.1:25";
    std::string from = "signup@example.com";
    std::uint32_t concurrency = 4;
    long timeout_s = 20;
};

options parse_options(int argc, char** argv) {
    options chosen;
    CLI::App app{"Sends the e-mails of a queue through an SMTP server."};
    app.add_option("--broker", chosen.broker, "HOST:PORT of brokerd")
        ->envname("BROKERD_SERVER")
        ->capture_default_str();
    app.add_option("--queue", chosen.queue, "TOPIC/QUEUE to consume")->capture_default_str();
    app.add_option("--smtp", chosen.smtp, "HOST:PORT of the SMTP server")->capture_default_str();
    app.add_option("--from", chosen.from, "sender of the e-mails")->capture_default_str();
    app.add_option("--concurrency", chosen.concurrency, "e-mails sent at the same time")
        ->check(CLI::Range(1, 256))
        ->capture_default_str();
    app.add_option("--timeout", chosen.timeout_s, "seconds for one e-mail to be sent")
        ->check(CLI::Range(1, 600))
        ->capture_default_str();
    try {
        app.parse(argc, argv);
        if (!samples::is_address(chosen.from)) {
            throw CLI::ValidationError("--from", "must be one mail address");
        }
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error) == 0 ? 0 : 64);
    }
    return chosen;
}

// Returning acks; reject_message makes the message dead; any other exception is a nack.
void send(const options& chosen, const brokerd::message& message) {
    const std::string at = to_string(message.at());
    const auto mail = samples::parse_email(message.payload());
    if (!mail) {
        samples::log(fmt::format("{} is no e-mail: {}", at, mail.error()));
        throw brokerd::reject_message("no e-mail: " + mail.error());
    }
    const std::string message_id = fmt::format("{}.{}@brokerd", message.topic(), message.offset());
    const std::time_t date = std::chrono::system_clock::to_time_t(message.time());

    // Each of the worker's threads keeps a connection to the SMTP server.
    thread_local samples::smtp_sender sender("smtp://" + chosen.smtp, chosen.timeout_s);
    const samples::smtp_answer answer =
        sender.send(chosen.from, mail->to, render(*mail, chosen.from, message_id, date));
    switch (answer.verdict) {
        case samples::smtp_verdict::accepted:
            samples::log(fmt::format("{} sent to {}", at, mail->to));
            return;
        case samples::smtp_verdict::refused:
            samples::log(fmt::format("{} rejected for good: {}", at, answer.text));
            throw brokerd::reject_message(answer.text);
        case samples::smtp_verdict::try_later:
            samples::log(
                fmt::format("{} failed, attempt {}: {}", at, message.attempt(), answer.text));
            throw std::runtime_error(answer.text);
    }
}

void run(const options& chosen) {
    const samples::stop_signal stop;
    auto client = samples::connect(stop, chosen.broker);
    client.ensure_queue(chosen.queue);
    samples::log(fmt::format("consuming {}, sending through {}", chosen.queue, chosen.smtp));
    const std::uint64_t handled =
        client.consume(chosen.queue, [&](brokerd::message& message) { send(chosen, message); },
                       // Little is fetched ahead, so that several workers share the work evenly.
                       {.prefetch_messages = 2 * chosen.concurrency,
                        .concurrency = chosen.concurrency,
                        .stop = stop.token()});
    samples::log(fmt::format("stopped after {} messages", handled));
}

}  // namespace

int main(int argc, char** argv) {
    try {
        run(parse_options(argc, argv));
        return 0;
    } catch (const std::exception& error) {
        samples::log(error.what());
        return 1;
    }
}
