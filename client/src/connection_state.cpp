// When to connect, what to say while nobody else speaks, when to give up.
#include "client/src/connection_state.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "client/src/client_limits.hpp"
#include "client/src/deadline.hpp"
#include "protocol/codec/encode.hpp"

namespace brokerd::client_core {
namespace {

std::string human(duration_us time) {
    const double seconds = std::chrono::duration<double>(time).count();
    return fmt::format("{:.{}f} s", seconds, seconds < 1 ? 2 : 0);
}

}  // namespace

connection_state::connection_state(std::string server, const client_options& options,
                                   std::uint64_t seed, mono_time now)
    : server_(std::move(server)),
      client_name_(options.client_name),
      connect_timeout_(options.connect_timeout),
      give_up_after_(options.give_up_after),
      backoff_initial_(options.backoff_initial),
      backoff_max_(options.backoff_max),
      random_(seed),
      retry_at_(now),
      give_up_at_(later(now, options.give_up_after)) {}

connection_state::step connection_state::next_step(mono_time now) {
    if (phase_ == phase::closed || phase_ == phase::leaving) {
        phase_ = phase::closed;
        return {step::kind::stop, mono_never};
    }
    if (retry_at_ > now) {
        return {step::kind::wait, retry_at_};
    }
    phase_ = phase::connecting;
    attempt_until_ = later(now, connect_timeout_);
    return {step::kind::connect, attempt_until_};
}

void connection_state::on_connected(mono_time now) {
    if (phase_ != phase::connecting) {
        return;  // closed meanwhile
    }
    phase_ = phase::greeting;
    hello_due_ = true;
    last_sent_ = now;
    last_received_ = now;
}

result<void> connection_state::on_hello_ok(const codec::hello_ok& terms, mono_time now) {
    if (phase_ != phase::greeting || hello_due_) {
        return std::unexpected(
            make_error(client_errc::protocol_error, "a hello_ok that was not asked for"));
    }
    if (terms.version < codec::protocol_version_min ||
        terms.version > codec::protocol_version_max || terms.batch_records_max == 0 ||
        terms.credit_messages == 0) {
        return std::unexpected(make_error(
            client_errc::protocol_error,
            fmt::format("{} answered the hello with terms that cannot be kept (version {})",
                        server_, terms.version)));
    }
    phase_ = phase::ready;
    terms_ = terms;
    pause_ = duration_us{0};
    last_received_ = now;
    return {};
}

duration_us connection_state::jittered(duration_us pause) {
    random_ ^= random_ << 13U;
    random_ ^= random_ >> 7U;
    random_ ^= random_ << 17U;
    // Half to all of it: many clients that lost one broker do not come back in one moment.
    return pause / 2 + pause * static_cast<std::int64_t>(random_ % 1024) / 2048;
}

std::string connection_state::on_lost(const std::string& why, mono_time now) {
    const bool was_ready = phase_ == phase::ready;
    hello_due_ = false;
    goodbye_due_ = false;
    pong_ = 0;
    last_trouble_ = why;
    const std::string told = fmt::format("{}: {}", server_, why);
    if (phase_ == phase::leaving || phase_ == phase::closed) {
        phase_ = phase::closed;
        return told;
    }
    phase_ = phase::waiting;
    if (was_ready) {
        give_up_at_ = later(now, give_up_after_);
    }
    // At once after a loss, as the broker may only have restarted; with pauses after failures.
    retry_at_ = now + jittered(was_ready ? backoff_initial_ : pause_);
    pause_ = std::clamp(pause_ * 2, backoff_initial_, backoff_max_);
    return told;
}

bool connection_state::wants_write(mono_time now) const {
    return hello_due_ || goodbye_due_ || pong_ != 0 || ping_at() <= now;
}

void connection_state::write(outgoing& out) {
    if (hello_due_) {
        hello_due_ = false;
        codec::hello frame;
        frame.features_offered = codec::feature::attempt_history | codec::feature::schedules |
                                 codec::feature::transactions | codec::feature::services |
                                 codec::feature::message_ids | codec::feature::pattern_queues |
                                 codec::feature::priorities;
        frame.client_name = client_name_;
        codec::encode_frame(out.bytes, out.ids.next(), frame);
    }
    if (pong_ != 0) {
        codec::encode_frame(out.bytes, std::exchange(pong_, 0), codec::pong{});
    }
    if (goodbye_due_) {
        goodbye_due_ = false;
        goodbye_ = out.ids.next();
        codec::encode_frame(out.bytes, goodbye_, codec::goodbye{});
    }
    if (ping_at() <= out.now) {
        codec::encode_frame(out.bytes, out.ids.next(), codec::ping{});
        last_ping_ = out.now;
        last_sent_ = out.now;
    }
}

// Heartbeats show that we live; their answers show that the broker does.
mono_time connection_state::ping_at() const {
    if (phase_ != phase::ready || terms_.heartbeat_ms == 0) {
        return mono_never;
    }
    const duration_us interval = std::chrono::milliseconds{terms_.heartbeat_ms};
    return std::min(later(last_sent_, interval),
                    later(std::max(last_received_, last_ping_), interval));
}

mono_time connection_state::dead_at() const {
    if (phase_ != phase::ready || terms_.dead_after_ms == 0) {
        return mono_never;
    }
    return later(last_received_, std::chrono::milliseconds{terms_.dead_after_ms});
}

std::optional<std::string> connection_state::overdue(mono_time now) const {
    if ((phase_ == phase::connecting || phase_ == phase::greeting) && attempt_until_ <= now) {
        return fmt::format("no {} within {}",
                           phase_ == phase::connecting ? "connection" : "answer to hello",
                           human(connect_timeout_));
    }
    if (dead_at() <= now) {
        return fmt::format("nothing was heard for {}",
                           human(std::chrono::milliseconds{terms_.dead_after_ms}));
    }
    if (phase_ == phase::leaving && leave_until_ <= now) {
        return "no answer to goodbye";
    }
    return std::nullopt;
}

mono_time connection_state::deadline() const {
    switch (phase_) {
        case phase::waiting: return give_up_at_;
        case phase::connecting:
        case phase::greeting: return std::min(attempt_until_, give_up_at_);
        case phase::ready: return std::min(ping_at(), dead_at());
        case phase::leaving: return leave_until_;
        case phase::closed: return mono_never;
    }
    return mono_never;
}

bool connection_state::take_give_up(mono_time now) {
    const bool unconnected =
        phase_ == phase::waiting || phase_ == phase::connecting || phase_ == phase::greeting;
    if (!unconnected || give_up_at_ > now) {
        return false;
    }
    give_up_at_ = later(now, give_up_after_);
    return true;
}

std::string connection_state::trouble() const {
    return fmt::format("no connection to {} for {}: {}", server_, human(give_up_after_),
                       last_trouble_);
}

void connection_state::leave(mono_time now) {
    if (phase_ == phase::ready) {
        phase_ = phase::leaving;
        goodbye_due_ = true;
        leave_until_ = now + client_limits::goodbye_timeout;
    } else if (phase_ != phase::leaving) {
        phase_ = phase::closed;
    }
}

bool connection_state::is_goodbye(std::uint32_t request) const {
    return phase_ == phase::leaving && !goodbye_due_ && request == goodbye_;
}

}  // namespace brokerd::client_core
