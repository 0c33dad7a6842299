// Sends one message through an SMTP server, with libcurl, and says what its answer means for a
// retry. One object per thread; it keeps its connection to the server open between messages.
#pragma once

#include <memory>
#include <string>
#include <string_view>

using CURL = void;

namespace samples {

enum class smtp_verdict {
    accepted,   // 250: the server has the message now
    try_later,  // 4xx, or no answer: the same message may pass later
    refused,    // 5xx: it will not, however often it is sent
};

struct smtp_answer {
    smtp_verdict verdict;
    std::string text;  // the server's last line, or what went wrong on the way to it
};

class smtp_sender {
public:
    // `url` is smtp://HOST:PORT. A server that is silent for `timeout_s` counts as lost.
    smtp_sender(std::string url, long timeout_s);

    [[nodiscard]] smtp_answer send(std::string_view from, std::string_view to,
                                   std::string_view message);

private:
    std::string url_;
    long timeout_s_;
    std::unique_ptr<CURL, void (*)(CURL*)> curl_;
};

}  // namespace samples
