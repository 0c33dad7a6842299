// What the broker does when its clients cost next to nothing: one connection publishes batches that
// were made beforehand, another one acks what is delivered, a lease run at a time, without looking
// into it. Everything else is as with the client library: sequences, credit, leases, the topic's
// durability. Two threads that read and write without a loop around them. One line of JSON.
//
//   bench_stream --server HOST:PORT [--size BYTES] [--batch MESSAGES] [--seconds S]
//                [--durability disk|os] [--pid BROKER]
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <asio/buffer.hpp>
#include <asio/connect.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "protocol/codec/encode.hpp"
#include "protocol/codec/frame.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/codec/topology_messages.hpp"
#include "protocol/types/limits.hpp"
#include "tools/bench/process_cpu.hpp"

namespace {

using namespace brokerd;
using steady = std::chrono::steady_clock;
using tcp = asio::ip::tcp;

constexpr std::size_t read_bytes = std::size_t{256} * 1024;
constexpr std::string_view topic_name = "stream";
constexpr std::string_view queue_name = "stream/all";

struct settings {
    std::string server;
    std::uint64_t size = 100;
    std::uint64_t batch = 512;        // messages
    std::uint64_t prefetch = 16'384;  // messages
    double seconds = 2;
    std::string durability = "disk";
    std::uint64_t pid = 0;
};

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(what);
}

// A connection that has said hello.
class connection {
public:
    explicit connection(const std::string& server) : socket_(context_), bytes_(read_bytes) {
        const std::size_t colon = server.rfind(':');
        if (colon == std::string::npos) {
            fail(server + " is no HOST:PORT");
        }
        tcp::resolver resolver(context_);
        asio::connect(socket_, resolver.resolve(server.substr(0, colon), server.substr(colon + 1)));
        socket_.set_option(tcp::no_delay(true));
        codec::hello hello;
        hello.client_name = "bench_stream";
        ask(hello, codec::frame_type::hello_ok);
        parser_.set_body_bytes_max(limits::frame_bytes_max);
    }

    template <typename Request>
    void ask(const Request& request, codec::frame_type answer) {
        byte_buffer out;
        codec::encode_frame(out, 1, request);
        write(out);
        for (bool answered = false; !answered;) {
            read([&](const codec::frame& what) {
                answered = answered || what.type == static_cast<std::uint8_t>(answer);
                seen_ = what.type == static_cast<std::uint8_t>(answer)
                            ? byte_buffer(what.body.begin(), what.body.end())
                            : seen_;
            });
        }
    }
    // The body of what ask() was answered.
    [[nodiscard]] byte_view answer() const { return seen_; }

    void write(byte_view bytes) { asio::write(socket_, asio::buffer(bytes.data(), bytes.size())); }
    // Waits for something, and hands its frames over; pings are answered here, errors thrown.
    template <typename F>
    void read(F&& take) {
        const std::size_t count = socket_.read_some(asio::buffer(bytes_));
        parser_.feed(byte_view(bytes_).first(count));
        while (true) {
            const auto next = parser_.next();
            if (!next) {
                fail(next.error().text);
            }
            if (!*next) {
                return;
            }
            const codec::frame& what = **next;
            if (what.type == static_cast<std::uint8_t>(codec::frame_type::error)) {
                fail(codec::decode<codec::error>(what.body)->text);
            } else if (what.type == static_cast<std::uint8_t>(codec::frame_type::ping)) {
                byte_buffer pong;
                codec::encode_frame(pong, what.request_id, codec::pong{});
                write(pong);
            } else {
                take(what);
            }
        }
    }
    // read() ends with an error from now on, in whatever thread.
    void shut() { ::shutdown(socket_.native_handle(), SHUT_RDWR); }

private:
    asio::io_context context_;
    tcp::socket socket_;
    byte_buffer bytes_;
    byte_buffer seen_;
    codec::frame_parser parser_{limits::frame_bytes_default};
};

// Publishes the same batch again and again, each time with its own sequences.
class publisher {
public:
    publisher(const std::string& server, const settings& with) : to_(server), count_(with.batch) {
        const auto terms = codec::decode<codec::hello_ok>(to_.answer());
        const std::string payload(with.size, 'x');
        codec::batch_builder builder;
        for (std::uint64_t i = 0; i < count_; ++i) {
            codec::record_fields fields;
            fields.payload = as_bytes(payload);
            builder.add(fields);
        }
        batch_ = builder.take(producer_, 1);
        header_ = *codec::load_batch_header(batch_);
        if (batch_.size() + topic_name.size() + sizeof(std::uint16_t) > terms->frame_bytes_max) {
            fail("the messages of a batch do not fit into a frame; make --batch smaller");
        }
        // What the broker remembers of a producer, and its credit.
        window_ = std::min<std::uint64_t>({limits::producer_window / count_,
                                           terms->credit_messages / count_,
                                           terms->credit_bytes / batch_.size()});
        window_ = std::max<std::uint64_t>(window_, 1);
    }

    void run(steady::time_point end, std::atomic<std::uint64_t>& published) {
        byte_buffer out;
        std::uint64_t in_flight = 0;
        while (true) {
            const bool over = steady::now() >= end;
            out.clear();
            for (; in_flight < window_ && !over; ++in_flight) {
                append(out);
            }
            if (!out.empty()) {
                to_.write(out);
            }
            if (in_flight == 0) {
                return;
            }
            to_.read([&](const codec::frame& what) {
                if (what.type == static_cast<std::uint8_t>(codec::frame_type::published)) {
                    const std::size_t answered =
                        codec::decode<codec::published>(what.body)->items.size();
                    in_flight -= answered;
                    published += answered * count_;
                }
            });
        }
    }

private:
    void append(byte_buffer& out) {
        header_.first_sequence = next_sequence_;
        next_sequence_ += count_;
        codec::store_batch_header(batch_.data(), header_);
        codec::encode_publish(out, ++request_, topic_name, batch_);
    }

    connection to_;
    const std::uint64_t count_;
    std::uint64_t window_ = 1;  // batches
    const producer_id producer_{1};
    byte_buffer batch_;
    codec::batch_header header_;
    std::uint64_t next_sequence_ = 1;
    std::uint32_t request_ = 1;
};

class consumer {
public:
    consumer(const std::string& server, const settings& with) : from_(server) {
        codec::attach attach;
        attach.queue = queue_name;
        attach.consumer = consumer_id(1);
        attach.prefetch_messages = static_cast<std::uint32_t>(with.prefetch);
        attach.prefetch_bytes = limits::prefetch_bytes_max;
        from_.ask(attach, codec::frame_type::attached);
        queue_ = codec::decode<codec::attached>(from_.answer())->queue;
    }

    void run(std::atomic<std::uint64_t>& consumed) {
        codec::settle acks;
        acks.queue = queue_;
        byte_buffer out;
        while (true) {
            acks.runs.clear();
            std::uint64_t count = 0;
            from_.read([&](const codec::frame& what) {
                if (what.type == static_cast<std::uint8_t>(codec::frame_type::deliver)) {
                    const auto push = codec::decode<codec::deliver>(what.body);
                    for (const codec::delivery_run& run : push->runs) {
                        append_run(acks.runs, run.leases);
                        count += run.leases.count;
                    }
                }
            });
            if (count > 0) {
                out.clear();
                codec::encode_frame(out, ++request_, acks);
                from_.write(out);
                consumed += count;
            }
        }
    }
    void end() { from_.shut(); }

private:
    connection from_;
    queue_id queue_;
    std::uint32_t request_ = 1;
};

void make_queue(const settings& with) {
    connection to(with.server);
    codec::topic_create topic;
    topic.topic = topic_name;
    topic.settings.durability = with.durability == "os" ? durability::os : durability::disk;
    to.ask(topic, codec::frame_type::topic_created);
    codec::queue_create queue;
    queue.queue = queue_name;
    to.ask(queue, codec::frame_type::queue_created);
}

// From the first publish until all that was published is acked.
nlohmann::json measure(const settings& with) {
    constexpr auto patience = std::chrono::seconds(30);
    make_queue(with);
    publisher publishes(with.server, with);
    consumer consumes(with.server, with);
    std::atomic<std::uint64_t> published = 0;
    std::atomic<std::uint64_t> consumed = 0;
    std::exception_ptr failed;
    std::atomic<bool> over = false;
    std::thread taking([&] {
        try {
            consumes.run(consumed);
        } catch (...) {
            failed = over ? nullptr : std::current_exception();
        }
    });
    const auto joined = [&] {
        over = true;
        consumes.end();
        taking.join();
    };
    const double cpu_before = bench::cpu_seconds(with.pid);
    const auto begin = steady::now();
    const auto end = begin + std::chrono::duration_cast<steady::duration>(
                                 std::chrono::duration<double>(with.seconds));
    try {
        publishes.run(end, published);
        while (consumed < published && steady::now() < end + patience) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    } catch (...) {
        joined();
        throw;
    }
    const double seconds = std::chrono::duration<double>(steady::now() - begin).count();
    const double cpu = bench::cpu_seconds(with.pid) - cpu_before;
    joined();
    if (failed) {
        std::rethrow_exception(failed);
    }
    if (consumed != published) {
        fail(fmt::format("{} of {} messages were delivered", consumed.load(), published.load()));
    }
    return {{"messages", consumed.load()},
            {"seconds", seconds},
            {"messages_per_second", static_cast<double>(consumed) / seconds},
            {"cpu_seconds", cpu}};
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"A stream through brokerd from clients that cost next to nothing."};
    settings with;
    app.add_option("--server", with.server, "HOST:PORT of the broker")->required();
    app.add_option("--size", with.size, "Bytes of a payload (default 100)")
        ->check(CLI::Range(0, 1 << 20));
    app.add_option("--batch", with.batch, "Messages of a frame (default 512)")
        ->check(CLI::Range(1, 1024));
    app.add_option("--prefetch", with.prefetch, "Of the consumer, in messages (default 16384)")
        ->check(CLI::Range(1, 65'536));
    app.add_option("--seconds", with.seconds, "How long (default 2)")
        ->check(CLI::Range(0.01, 3600.0));
    app.add_option("--durability", with.durability, "Of the topic (default disk)")
        ->check(CLI::IsMember({"disk", "os"}));
    app.add_option("--pid", with.pid, "Of the broker: the CPU time it takes is measured, too");
    CLI11_PARSE(app, argc, argv);
    try {
        fmt::print("{}\n", measure(with).dump());
        return 0;
    } catch (const std::exception& failed) {
        fmt::print(stderr, "bench_stream: {}\n", failed.what());
        return 1;
    }
}
