// The libcurl side of smtp_sender.
#include "tools/samples/smtp.hpp"

#include <stdexcept>

#include <curl/curl.h>
#include <fmt/format.h>

namespace samples {
namespace {

// curl hands over each line the server says. The last one is the answer that counts, but for the
// farewell (221) to the QUIT that curl says after a failure.
std::size_t keep_line(const char* data, std::size_t size, std::size_t count, void* last_line) {
    std::string_view line(data, size * count);
    while (line.ends_with('\n') || line.ends_with('\r')) {
        line.remove_suffix(1);
    }
    if (!line.starts_with("221")) {
        *static_cast<std::string*>(last_line) = line;
    }
    return size * count;
}

std::size_t give_message(char* buffer, std::size_t size, std::size_t count, void* rest) {
    auto& message = *static_cast<std::string_view*>(rest);
    const std::size_t given = message.copy(buffer, size * count);
    message.remove_prefix(given);
    return given;
}

}  // namespace

smtp_sender::smtp_sender(std::string url, long timeout_s)
    : url_(std::move(url)), timeout_s_(timeout_s), curl_(curl_easy_init(), curl_easy_cleanup) {
    if (curl_ == nullptr) {
        throw std::runtime_error("libcurl cannot be initialised");
    }
}

smtp_answer smtp_sender::send(std::string_view from, std::string_view to,
                              std::string_view message) {
    const std::string envelope_from = fmt::format("<{}>", from);
    const std::unique_ptr<curl_slist, void (*)(curl_slist*)> envelope_to(
        curl_slist_append(nullptr, fmt::format("<{}>", to).c_str()), curl_slist_free_all);
    std::string last_line;

    CURL* const curl = curl_.get();
    curl_easy_reset(curl);  // keeps the connection
    curl_easy_setopt(curl, CURLOPT_URL, url_.c_str());
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, timeout_s_);
    curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, timeout_s_);
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, envelope_from.c_str());
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, envelope_to.get());
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_message);
    curl_easy_setopt(curl, CURLOPT_READDATA, &message);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, keep_line);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &last_line);

    const CURLcode result = curl_easy_perform(curl);
    if (result == CURLE_OK) {
        return {smtp_verdict::accepted, last_line};
    }
    long code = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    if (code >= 500 && code < 600) {
        return {smtp_verdict::refused, last_line};
    }
    if (code >= 400 && code < 500) {
        return {smtp_verdict::try_later, last_line};
    }
    return {smtp_verdict::try_later, fmt::format("{}: {}", url_, curl_easy_strerror(result))};
}

}  // namespace samples
