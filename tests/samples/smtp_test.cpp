// What each answer of an SMTP server means for a retry: a scripted server on a port of its own.
#include "tools/samples/smtp.hpp"

#include <arpa/inet.h>
#include <map>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace samples {
namespace {

using testing::HasSubstr;

// Serves one connection. Answers each command by its first word; an empty answer closes.
class scripted_server {
public:
    explicit scripted_server(std::map<std::string, std::string> script)
        : script_(std::move(script)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{.sin_family = AF_INET,
                            .sin_port = 0,
                            .sin_addr = {htonl(INADDR_LOOPBACK)},
                            .sin_zero = {}};
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 1) != 0 ||
            ::getsockname(listener_, generic, &size) != 0) {
            throw std::runtime_error("no port for the scripted server");
        }
        url_ = fmt::format("smtp://127.0.0.1:{}", ntohs(address.sin_port));
        thread_ = std::thread([this] { serve(); });
    }
    ~scripted_server() {
        ::shutdown(listener_, SHUT_RDWR);
        if (thread_.joinable()) {
            thread_.join();
        }
        ::close(listener_);
    }
    scripted_server(const scripted_server&) = delete;
    scripted_server& operator=(const scripted_server&) = delete;

    const std::string& url() const { return url_; }
    const std::string& received() {  // all the client said; valid once it has gone
        thread_.join();
        return received_;
    }

private:
    void serve() {
        const int peer = ::accept(listener_, nullptr, nullptr);
        std::string pending;
        bool in_data = false;
        bool open = peer >= 0 && say(peer, "greeting");
        char buffer[4096];
        while (open) {
            const ssize_t count = ::recv(peer, buffer, sizeof buffer, 0);
            if (count <= 0) {
                break;
            }
            pending.append(buffer, static_cast<std::size_t>(count));
            std::size_t end = 0;
            while (open && (end = pending.find("\r\n")) != std::string::npos) {
                const std::string line = pending.substr(0, end);
                pending.erase(0, end + 2);
                received_ += line + "\n";
                if (in_data && line != ".") {
                    continue;
                }
                const std::string command = in_data ? "." : line.substr(0, 4);
                open = say(peer, command);
                in_data = command == "DATA" && !script_.contains(command);
            }
        }
        ::close(peer);
    }

    bool say(int peer, const std::string& command) const {
        static const std::map<std::string, std::string> usual{{"greeting", "220 ready"},
                                                              {"DATA", "354 go ahead"},
                                                              {".", "250 kept"},
                                                              {"QUIT", "221 bye"}};
        std::string answer = "250 ok";
        for (const auto* script : {&usual, &script_}) {
            if (const auto found = script->find(command); found != script->end()) {
                answer = found->second;
            }
        }
        if (answer.empty()) {
            return false;
        }
        answer += "\r\n";
        return ::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL) > 0;
    }

    std::map<std::string, std::string> script_;
    int listener_;
    std::string url_;
    std::string received_;
    std::thread thread_;
};

smtp_answer send_to(const scripted_server& server) {
    smtp_sender sender(server.url(), 10);
    return sender.send("from@example.com", "to@example.com", "Subject: x\r\n\r\nhello\r\n.dot\r\n");
}

TEST(smtp, accepted_message_arrives_whole) {
    scripted_server server({});
    const smtp_answer answer = send_to(server);
    EXPECT_EQ(answer.verdict, smtp_verdict::accepted);
    EXPECT_EQ(answer.text, "250 kept");
    const std::string& said = server.received();
    EXPECT_THAT(said, HasSubstr("MAIL FROM:<from@example.com>"));
    EXPECT_THAT(said, HasSubstr("RCPT TO:<to@example.com>\n"));
    EXPECT_THAT(said, HasSubstr("Subject: x\n\nhello\n..dot\n.\n"));  // a leading dot is doubled
}

TEST(smtp, a_5xx_anywhere_is_refused_with_the_servers_text) {
    for (const std::string command : {"MAIL", "RCPT", "DATA", "."}) {
        scripted_server server({{command, "550 5.1.1 no such mailbox"}});
        const smtp_answer answer = send_to(server);
        EXPECT_EQ(answer.verdict, smtp_verdict::refused) << command;
        EXPECT_EQ(answer.text, "550 5.1.1 no such mailbox") << command;
    }
}

TEST(smtp, a_4xx_anywhere_may_pass_later) {
    for (const std::string command : {"greeting", "MAIL", "RCPT", "DATA", "."}) {
        scripted_server server({{command, "451-4.2.0 busy\r\n451 4.2.0 try again"}});
        const smtp_answer answer = send_to(server);
        EXPECT_EQ(answer.verdict, smtp_verdict::try_later) << command;
        EXPECT_EQ(answer.text, "451 4.2.0 try again") << command;
    }
}

TEST(smtp, a_lost_connection_may_pass_later) {
    for (const std::string command : {"greeting", "EHLO", "MAIL", "RCPT", "DATA", "."}) {
        scripted_server server({{command, ""}});
        const smtp_answer answer = send_to(server);
        EXPECT_EQ(answer.verdict, smtp_verdict::try_later) << command;
        EXPECT_THAT(answer.text, HasSubstr(server.url())) << command;
    }
}

TEST(smtp, a_server_that_is_not_there_may_pass_later) {
    std::string url;
    {
        scripted_server gone({});
        url = gone.url();
    }
    smtp_sender sender(url, 10);
    EXPECT_EQ(sender.send("a@b", "c@d", "x\r\n").verdict, smtp_verdict::try_later);
}

}  // namespace
}  // namespace samples
