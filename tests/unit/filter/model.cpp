// Terms over few values; patterns by plain backtracking, numbers by double.
#include "tests/unit/filter/model.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace brokerd::filters {
namespace {

using std::chrono::microseconds;

template <typename Range>
const auto& pick(base::random& random, const Range& from) {
    return from[random.below(std::size(from))];
}

// Texts that are numbers, that are nearly, that have what needs escapes; stable: views point here.
constexpr std::array<std::string_view, 14> texts{"",    "a",           "b",    "ab",          "aab",
                                                 "a*b", "7",           "07",   "7.5",         "-7",
                                                 "7x",  "it's \"\\\"", "\n\t", "\xff\xc3\xa9"};
constexpr std::array<std::string_view, 4> names{"x", "y", "odd name", "x.y-z_1"};
constexpr std::array<std::string_view, 6> numbers{"7", "007", "7.5", "-7.0", "0", "8"};
constexpr std::array<std::string_view, 8> patterns{"*",   "a*", "*b",    "*a*",
                                                   "a*b", "",   "*a*b*", "7*"};
constexpr std::array<std::string_view, 5> states{"ready", "leased", "retrying", "dead", "done"};
constexpr std::array<std::string_view, 6> comparisons{"=", "!=", "<", "<=", ">", ">="};

std::string in_some_case(base::random& random, std::string_view word) {
    std::string text{word};
    for (char& c : text) {
        if (random.chance(1, 8)) {
            c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        }
    }
    return text;
}

std::string some_space(base::random& random) {
    return std::string(pick(random, std::array<std::string_view, 4>{" ", "  ", "\t", "\n"}));
}

std::string perhaps_space(base::random& random) {
    return random.chance(1, 2) ? "" : some_space(random);
}

std::string quoted(base::random& random, std::string_view text) {
    const char quote = random.chance(1, 2) ? '\'' : '"';
    std::string out(1, quote);
    for (const char c : text) {
        const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == ' ' || c == '*';
        out += plain && random.chance(7, 8)
                   ? std::string(1, c)
                   : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
    return out + quote;
}

// -1, 0, 1; nothing when they cannot be compared.
std::optional<int> sign_of(double difference) {
    return difference < 0 ? -1 : difference > 0 ? 1 : 0;
}

bool agrees(std::string_view comparison, std::optional<int> order) {
    if (!order) {
        return comparison == "!=";
    }
    return comparison == "="    ? *order == 0
           : comparison == "!=" ? *order != 0
           : comparison == "<"  ? *order < 0
           : comparison == "<=" ? *order <= 0
           : comparison == ">"  ? *order > 0
                                : *order >= 0;
}

bool is_number(std::string_view text) {
    text.remove_prefix(text.starts_with('-') ? 1 : 0);
    const bool digits = std::ranges::all_of(
        text, [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '.'; });
    return !text.empty() && digits;
}

bool is_like(std::string_view text, std::string_view pattern) {
    if (pattern.empty()) {
        return text.empty();
    }
    if (pattern.front() == '*') {
        return is_like(text, pattern.substr(1)) ||
               (!text.empty() && is_like(text.substr(1), pattern));
    }
    return !text.empty() && text.front() == pattern.front() &&
           is_like(text.substr(1), pattern.substr(1));
}

// A value to compare with: how it is written, and how the field of a message compares with it.
struct operand {
    std::function<std::string(base::random&)> text;
    std::function<std::optional<int>(const sample&)> compare;
};

struct field {
    std::function<std::string(base::random&)> text;
    std::function<bool(const sample&)> present;
    std::function<std::optional<std::string_view>(const sample&)> value;  // of a text field
};

std::string written(base::random& random, std::string_view name) {
    return in_some_case(random, name);
}

std::optional<std::string_view> header_of(const sample& of, std::string_view name) {
    for (const auto& [each, value] : of.fields.headers) {
        if (each == name) {
            return value;
        }
    }
    return std::nullopt;
}

field text_field(base::random& random) {
    switch (random.below(4)) {
        case 0:
            return {[](auto& r) { return written(r, "key"); },
                    [](const sample& of) { return of.fields.key.has_value(); },
                    [](const sample& of) { return of.fields.key; }};
        case 1:
            return {[](auto& r) { return written(r, "reason"); },
                    [](const sample& of) { return of.about.reason.has_value(); },
                    [](const sample& of) { return of.about.reason; }};
        default: {
            const std::string_view name = pick(random, names);
            return {[name](auto& r) {
                        const bool bare = name.find(' ') == name.npos && r.chance(1, 2);
                        return written(r, "header") + "." +
                               (bare ? std::string(name) : quoted(r, name));
                    },
                    [name](const sample& of) { return header_of(of, name).has_value(); },
                    [name](const sample& of) { return header_of(of, name); }};
        }
    }
}

operand text_operand(base::random& random, const field& of) {
    if (random.chance(1, 2)) {
        const std::string_view number = pick(random, numbers);
        return {[number](auto&) { return std::string(number); },
                [number, of](const sample& message) -> std::optional<int> {
                    const std::string value{*of.value(message)};
                    if (!is_number(value)) {
                        return std::nullopt;
                    }
                    return sign_of(std::strtod(value.c_str(), nullptr) -
                                   std::strtod(std::string(number).c_str(), nullptr));
                }};
    }
    const std::string_view text = pick(random, texts);
    return {
        [text](auto& r) { return quoted(r, text); },
        [text, of](const sample& message) { return sign_of(of.value(message)->compare(text)); }};
}

// A field that is always there.
std::pair<field, std::function<operand(base::random&)>> number_field(base::random& random) {
    const auto always = [](const sample&) { return true; };
    const auto numeric = [](auto of, auto spell) {
        return [of, spell](base::random& r) {
            const auto number = static_cast<std::int64_t>(r.below(5));
            return operand{
                [number, spell](base::random& spelling) { return spell(spelling, number); },
                [number, of](const sample& message) {
                    return sign_of(static_cast<double>(of(message) - number));
                }};
        };
    };
    const auto plain = [](base::random&, std::int64_t n) { return fmt::format("{}", n); };
    switch (random.below(6)) {
        case 0:
            return {
                {[](auto& r) { return written(r, "offset"); }, always, {}},
                numeric([](const sample& s) { return static_cast<std::int64_t>(s.about.offset); },
                        plain)};
        case 1:
            return {{[](auto& r) { return written(r, "attempts"); }, always, {}},
                    numeric([](const sample& s) { return std::int64_t{s.about.attempts}; }, plain)};
        case 2:
            return {{[](auto& r) { return written(r, "size"); }, always, {}},
                    numeric([](const sample& s) { return std::ssize(s.fields.payload); },
                            [](base::random& r, std::int64_t n) {
                                return fmt::format("{}{}", n, r.chance(1, 2) ? "B" : "");
                            })};
        case 3:
            return {{[](auto& r) { return written(r, "age"); }, always, {}},
                    numeric(
                        [](const sample& s) {
                            return std::max((s.about.now - s.about.time) / std::chrono::minutes{1},
                                            std::int64_t{0});
                        },
                        [](base::random& r, std::int64_t n) {
                            return r.chance(1, 2) ? fmt::format("{}m", n)
                                                  : fmt::format("{}s", n * 60);
                        })};
        case 4:
            return {{[](auto& r) { return written(r, "time"); }, always, {}},
                    numeric(
                        [](const sample& s) {
                            return (s.about.time - sample_time) / std::chrono::minutes{1};
                        },
                        [](base::random& r, std::int64_t n) {
                            return fmt::format(
                                fmt::runtime(r.chance(1, 2) ? "'2026-03-01T12:0{}:00Z'"
                                                            : "\"2026-03-01 14:0{}:00.000+02:00\""),
                                n);
                        })};
        default:
            return {
                {[](auto& r) { return written(r, "offset"); }, always, {}},
                numeric([](const sample& s) { return static_cast<std::int64_t>(s.about.offset); },
                        [](base::random&, std::int64_t n) { return fmt::format("00{}", n); })};
    }
}

class presence : public model {
public:
    explicit presence(field of) : field_(std::move(of)) {}

    std::string text(base::random& r) const override {
        return in_some_case(r, "has") + some_space(r) + field_.text(r);
    }
    bool matches(const sample& of) const override { return field_.present(of); }

private:
    field field_;
};

class comparison : public model {
public:
    comparison(field of, std::string_view op, operand with)
        : field_(std::move(of)), op_(op), with_(std::move(with)) {}

    std::string text(base::random& r) const override {
        return field_.text(r) + perhaps_space(r) + std::string(op_) + perhaps_space(r) +
               with_.text(r);
    }
    bool matches(const sample& of) const override {
        return field_.present(of) && agrees(op_, with_.compare(of));
    }

private:
    field field_;
    std::string_view op_;
    operand with_;
};

class list : public model {
public:
    list(field of, bool negated, std::vector<operand> items)
        : field_(std::move(of)), negated_(negated), items_(std::move(items)) {}

    std::string text(base::random& r) const override {
        std::string text = field_.text(r) + some_space(r);
        text += negated_ ? in_some_case(r, "not") + some_space(r) : "";
        text += in_some_case(r, "in") + perhaps_space(r) + "(";
        for (const operand& item : items_) {
            text += (&item == &items_.front() ? "" : ",") + perhaps_space(r) + item.text(r);
        }
        return text + perhaps_space(r) + ")";
    }
    bool matches(const sample& of) const override {
        if (!field_.present(of)) {
            return false;
        }
        bool found = false;
        for (const operand& item : items_) {
            found = found || agrees("=", item.compare(of));
        }
        return found != negated_;
    }

private:
    field field_;
    bool negated_;
    std::vector<operand> items_;
};

class likeness : public model {
public:
    likeness(field of, bool negated, std::string_view pattern)
        : field_(std::move(of)), negated_(negated), pattern_(pattern) {}

    std::string text(base::random& r) const override {
        const char* const quote = r.chance(1, 2) ? "'" : "\"";
        return field_.text(r) + some_space(r) +
               (negated_ ? in_some_case(r, "not") + some_space(r) : "") + in_some_case(r, "like") +
               perhaps_space(r) + quote + std::string(pattern_) + quote;
    }
    bool matches(const sample& of) const override {
        return field_.present(of) && is_like(*field_.value(of), pattern_) != negated_;
    }

private:
    field field_;
    bool negated_;
    std::string_view pattern_;
};

class state_comparison : public model {
public:
    state_comparison(bool equal, std::string_view state) : equal_(equal), state_(state) {}

    std::string text(base::random& r) const override {
        const std::string state = in_some_case(r, state_);
        return written(r, "state") + (equal_ ? "=" : "!=") +
               (r.chance(1, 2) ? state : "'" + state + "'");
    }
    bool matches(const sample& of) const override {
        return (to_string(of.about.state) == state_) == equal_;
    }

private:
    bool equal_;
    std::string_view state_;
};

class negation : public model {
public:
    explicit negation(std::unique_ptr<model> of) : of_(std::move(of)) {}

    std::string text(base::random& r) const override {
        return in_some_case(r, "not") + perhaps_space(r) + "(" + of_->text(r) + ")";
    }
    bool matches(const sample& of) const override { return !of_->matches(of); }

private:
    std::unique_ptr<model> of_;
};

class chain : public model {
public:
    chain(bool all, std::vector<std::unique_ptr<model>> parts)
        : all_(all), parts_(std::move(parts)) {}

    std::string text(base::random& r) const override {
        std::string text;
        for (const auto& part : parts_) {
            if (!text.empty()) {
                text += some_space(r) + in_some_case(r, all_ ? "and" : "or") + some_space(r);
            }
            const bool needless = dynamic_cast<const chain*>(part.get()) == nullptr;
            text += needless && r.chance(1, 2) ? part->text(r) : "(" + part->text(r) + ")";
        }
        return text;
    }
    bool matches(const sample& of) const override {
        bool result = all_;
        for (const auto& part : parts_) {
            const bool matched = part->matches(of);
            result = all_ ? result && matched : result || matched;
        }
        return result;
    }

private:
    bool all_;
    std::vector<std::unique_ptr<model>> parts_;
};

std::unique_ptr<model> random_term(base::random& random) {
    if (random.chance(1, 8)) {
        return std::make_unique<state_comparison>(random.chance(1, 2), pick(random, states));
    }
    const bool negated = random.chance(1, 2);
    std::vector<operand> items;
    const std::size_t count = 1 + random.below(3);
    if (random.chance(1, 3)) {
        auto [of, make] = number_field(random);
        while (items.size() < count) {
            items.push_back(make(random));
        }
        if (random.chance(1, 3)) {
            return std::make_unique<list>(of, negated, std::move(items));
        }
        return std::make_unique<comparison>(of, pick(random, comparisons), items.front());
    }
    const field of = text_field(random);
    while (items.size() < count) {
        items.push_back(text_operand(random, of));
    }
    switch (random.below(4)) {
        case 0: return std::make_unique<presence>(of);
        case 1: return std::make_unique<list>(of, negated, std::move(items));
        case 2: return std::make_unique<likeness>(of, negated, pick(random, patterns));
        default: return std::make_unique<comparison>(of, pick(random, comparisons), items.front());
    }
}

}  // namespace

std::unique_ptr<model> random_model(base::random& random, int depth) {
    if (depth == 0 || random.chance(1, 4)) {
        return random_term(random);
    }
    if (random.chance(1, 4)) {
        return std::make_unique<negation>(random_model(random, depth - 1));
    }
    std::vector<std::unique_ptr<model>> parts;
    const std::size_t count = 2 + random.below(2);
    while (parts.size() < count) {
        parts.push_back(random_model(random, depth - 1));
    }
    return std::make_unique<chain>(random.chance(1, 2), std::move(parts));
}

sample random_sample(base::random& random) {
    static constexpr std::string_view payload = "01234";
    sample of;
    of.fields = {};
    if (random.chance(3, 4)) {
        of.fields.key = pick(random, texts);
    }
    for (std::uint64_t i = random.below(4); i > 0; --i) {
        of.fields.headers.emplace_back(pick(random, names), pick(random, texts));
    }
    of.fields.payload = as_bytes(payload.substr(0, random.below(5)));
    of.about.offset = random.below(5);
    of.about.time = sample_time + std::chrono::minutes{random.below(5)};
    of.about.now = sample_time + std::chrono::minutes{random.below(10)};
    of.about.attempts = static_cast<std::uint32_t>(random.below(5));
    of.about.state = static_cast<message_state>(1 + random.below(5));
    of.about.reason = random.chance(1, 4) ? std::nullopt : std::optional{pick(random, texts)};
    return of;
}

}  // namespace brokerd::filters
