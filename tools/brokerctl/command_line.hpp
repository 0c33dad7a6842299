// The tree of nouns and verbs over CLI11: each verb has its options, examples in its help, and the
// function that runs it. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <CLI/CLI.hpp>

#include "tools/brokerctl/context.hpp"
#include "tools/brokerctl/exit_code.hpp"
#include "tools/brokerctl/values.hpp"

namespace brokerd::ctl {

struct verb_text {
    const char* name;
    const char* what;      // one sentence
    const char* examples;  // whole command lines, one a line
};

// A verb under construction: add options to `app` that store into `options`.
template <typename Options>
struct verb {
    CLI::App& app;
    Options& options;
};

struct global_options {
    connect_settings connection;
    output_format format = output_format::table;
};

class command_line {
public:
    using action = std::function<exit_code(context&)>;

    command_line();

    [[nodiscard]] CLI::App& root() { return app_; }
    [[nodiscard]] CLI::App& add_noun(const char* name, const char* what);

    // Adds a verb that `run` carries out with the options as parsed.
    template <typename Options>
    verb<Options> add_verb(CLI::App& noun, const verb_text& text,
                           exit_code (*run)(context&, const Options&)) {
        auto options = std::make_shared<Options>();
        CLI::App& app = add_command(noun, text);
        actions_[&app] = [options, run](context& ctx) { return run(ctx, *options); };
        return {app, *options};
    }

    // The verb to run; or the exit code, with help or what is wrong already written.
    [[nodiscard]] std::expected<action, exit_code> parse(int argc, const char* const* argv,
                                                         std::ostream& out, std::ostream& err);
    [[nodiscard]] const global_options& globals() const { return globals_; }

private:
    CLI::App& add_command(CLI::App& noun, const verb_text& text);
    [[nodiscard]] CLI::App& selected();
    [[nodiscard]] std::string explain_error(const CLI::ParseError& error);

    CLI::App app_;
    global_options globals_;
    std::unordered_map<const CLI::App*, action> actions_;
};

// An option or positional whose text `parse` turns into a value; what it says is wrong is shown.
template <typename Target, typename Parse>
CLI::Option* add_value(CLI::App& app, const std::string& name, Target& target, Parse parse,
                       const char* form, const std::string& what) {
    auto* option = app.add_option_function<std::string>(
        name,
        [&target, parse, name](const std::string& text) {
            auto value = parse(text);
            if (!value) {
                throw CLI::ValidationError(name, value.error());
            }
            target = *std::move(value);
        },
        what);
    return option->type_name(form);
}

// One of a few words, with the value each stands for.
template <typename Value, std::size_t N>
CLI::Option* add_choice(CLI::App& app, const std::string& name, std::optional<Value>& target,
                        const std::array<Value, N>& values, const std::string& what) {
    std::string form;
    for (const Value value : values) {
        form += (form.empty() ? "" : "|") + std::string(to_string(value));
    }
    auto* option = app.add_option_function<std::string>(
        name,
        [&target, &values, form, name](const std::string& text) {
            for (const Value value : values) {
                if (text == to_string(value)) {
                    target = value;
                    return;
                }
            }
            throw CLI::ValidationError(name, "expected one of " + form);
        },
        what);
    return option->type_name(form);
}
inline constexpr std::array failure_policies{failure_policy::block, failure_policy::skip};
inline constexpr std::array expiry_policies{expiry_policy::done, expiry_policy::dead};
inline constexpr std::array overflow_policies{overflow_policy::refuse,
                                              overflow_policy::drop_oldest};
// Those a topic may ask for.
inline constexpr std::array durability_levels{durability_level::disk, durability_level::os};
inline constexpr std::array delivery_modes{delivery_mode::shared, delivery_mode::keyed,
                                           delivery_mode::single};

// A positional that must be given: what the verb is about.
CLI::Option* add_name(CLI::App& app, const char* form, std::string& target, const char* what);

template <typename Count>
CLI::Option* add_count(CLI::App& app, const std::string& name, Count& target, const char* what) {
    return add_value(app, name, target, parse_count, "N", what);
}
CLI::Option* add_bound(CLI::App& app, const std::string& name, std::optional<std::uint64_t>& target,
                       const std::string& what);
CLI::Option* add_duration(CLI::App& app, const std::string& name,
                          std::optional<microseconds>& target, const std::string& what);
CLI::Option* add_size(CLI::App& app, const std::string& name, std::optional<std::uint64_t>& target,
                      const std::string& what);
CLI::Option* add_position(CLI::App& app, const std::string& name,
                          std::optional<log_position>& target, const std::string& what);

// The verbs, one file per noun.
void add_topic_verbs(command_line& line);
void add_queue_verbs(command_line& line);
void add_message_verbs(command_line& line);
void add_dead_verbs(command_line& line);
void add_schedule_verbs(command_line& line);
void add_service_verbs(command_line& line);
void add_consumer_verbs(command_line& line);
void add_connection_verbs(command_line& line);
void add_broker_verbs(command_line& line);
void add_bench_verbs(command_line& line);

}  // namespace brokerd::ctl
