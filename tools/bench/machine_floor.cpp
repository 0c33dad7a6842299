// What this machine gives at best just now, as JSON on one line: the time of fdatasync of an
// appended 4 KiB block in a directory, and of a round trip of 64 bytes over loopback. To be run
// right before and after a latency that is to be judged.
//
//   machine_floor DIRECTORY [SECONDS]     SECONDS for each of the two (default 1)
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <fmt/format.h>

namespace {

using steady = std::chrono::steady_clock;
using tcp = asio::ip::tcp;
using microseconds = std::chrono::duration<double, std::micro>;

constexpr std::size_t block_bytes = 4096;
constexpr std::size_t message_bytes = 64;
constexpr std::size_t times_max = 1'000'000;

// How long `once` takes, again and again for so long.
template <typename Once>
std::vector<double> measure(std::chrono::duration<double> time, Once once) {
    std::vector<double> micros;
    const auto until = steady::now() + time;
    for (auto start = steady::now(); start < until && micros.size() < times_max;) {
        once();
        const auto end = steady::now();
        micros.push_back(microseconds(end - start).count());
        start = end;
    }
    return micros;
}

std::vector<double> syncs(const std::filesystem::path& directory,
                          std::chrono::duration<double> time) {
    std::string name = (directory / "machine_floor-XXXXXX").string();
    const int file = ::mkostemp(name.data(), O_CLOEXEC);
    if (file < 0) {
        throw std::system_error(errno, std::generic_category(), name);
    }
    ::unlink(name.c_str());  // nothing is left behind, whatever happens
    const std::vector<char> block(block_bytes, 'x');
    auto micros = measure(time, [&] {
        if (::write(file, block.data(), block.size()) != static_cast<ssize_t>(block.size()) ||
            ::fdatasync(file) != 0) {
            throw std::system_error(errno, std::generic_category(), name);
        }
    });
    ::close(file);
    return micros;
}

void echo(tcp::socket socket) {
    std::array<char, message_bytes> message{};
    asio::error_code ended;
    while (!ended) {
        asio::read(socket, asio::buffer(message), ended);
        if (!ended) {
            asio::write(socket, asio::buffer(message), ended);
        }
    }
}

std::vector<double> round_trips(std::chrono::duration<double> time) {
    asio::io_context context;
    tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    tcp::socket socket(context);
    socket.connect(acceptor.local_endpoint());
    socket.set_option(tcp::no_delay(true));
    tcp::socket other = acceptor.accept();
    other.set_option(tcp::no_delay(true));
    const std::jthread answering(echo, std::move(other));
    std::array<char, message_bytes> message{};
    auto micros = measure(time, [&] {
        asio::write(socket, asio::buffer(message));
        asio::read(socket, asio::buffer(message));
    });
    socket.close();  // which ends the other thread
    return micros;
}

std::string percentiles(std::vector<double> micros) {
    std::ranges::sort(micros);
    const auto at = [&](double part) {
        return micros.at(static_cast<std::size_t>(part * static_cast<double>(micros.size() - 1)));
    };
    return fmt::format(R"({{"p50": {:.1f}, "p99": {:.1f}, "times": {}}})", at(0.5), at(0.99),
                       micros.size());
}

}  // namespace

int main(int argc, char** argv) {
    double seconds = 1;
    if (argc == 3) {
        const char* const end = argv[2] + std::strlen(argv[2]);
        if (std::from_chars(argv[2], end, seconds).ptr != end) {
            seconds = 0;
        }
    }
    constexpr double seconds_max = 60;
    if (argc < 2 || argc > 3 || seconds <= 0 || seconds > seconds_max) {
        fmt::print(stderr, "usage: machine_floor DIRECTORY [SECONDS]\n");
        return 64;
    }
    try {
        const std::chrono::duration<double> time(seconds);
        fmt::print("{{\"fdatasync_us\": {}, \"round_trip_us\": {}}}\n",
                   percentiles(syncs(argv[1], time)), percentiles(round_trips(time)));
        return 0;
    } catch (const std::exception& failed) {
        fmt::print(stderr, "machine_floor: {}\n", failed.what());
        return 1;
    }
}
