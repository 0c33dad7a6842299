// From syntax to steps, and the run over them.
#include "protocol/filter/program.hpp"

#include <algorithm>
#include <compare>
#include <optional>
#include <span>

#include "protocol/codec/record_parse.hpp"
#include "protocol/filter/decimal.hpp"
#include "protocol/filter/search.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::filters {

// Escapes only shrink a text and decimals are written no longer than 20 digits or as they were, so
// every index into the pools has room.
static_assert(limits::filter_bytes_max * 10 < 0xFFFE);

program::program(const syntax_tree& tree) {
    steps_.reserve(tree.terms.size());
    for (const term& each : tree.terms) {
        add(each);
    }
    connect(tree.root, accept, reject);
}

program::slice program::keep(std::string_view text) {
    const slice kept{static_cast<std::uint16_t>(texts_.size()),
                     static_cast<std::uint16_t>(text.size())};
    texts_ += text;
    return kept;
}

void program::add(const term& from) {
    uses_.add(from.field);
    step next{from.field, from.op, keep(from.header), static_cast<std::uint16_t>(values_.size()),
              static_cast<std::uint16_t>(from.literals.size())};
    for (const literal& each : from.literals) {
        const auto borders = static_cast<std::uint16_t>(borders_.size());
        if (from.op == operation::like || from.op == operation::not_like) {
            append_borders(each.text, borders_);
        }
        values_.push_back({each.number, keep(each.text), borders, each.kind});
    }
    steps_.push_back(next);
}

// The steps of a node are those of its parts one after the other; each part but the last goes on
// with the next one, unless it decides alone.
void program::connect(const node& at, std::uint16_t if_true, std::uint16_t if_false) {
    if (at.kind == node_kind::term) {
        steps_[at.first_term].if_true = if_true;
        steps_[at.first_term].if_false = if_false;
        return;
    }
    if (at.kind == node_kind::negation) {
        connect(at.children.front(), if_false, if_true);
        return;
    }
    const bool all = at.kind == node_kind::all_of;
    for (std::size_t i = 0; i < at.children.size(); ++i) {
        const bool last = i + 1 == at.children.size();
        const auto next = static_cast<std::uint16_t>(last ? 0 : at.children[i + 1].first_term);
        connect(at.children[i], all && !last ? next : if_true, !all && !last ? next : if_false);
    }
}

namespace {

// Whether an ordering is what the operation asks for. Unordered is only unequal: a text that is no
// number is neither less nor greater than one.
bool agrees(operation op, std::partial_ordering order) {
    switch (op) {
        case operation::equal: return std::is_eq(order);
        case operation::unequal: return std::is_neq(order);
        case operation::less: return std::is_lt(order);
        case operation::less_equal: return std::is_lteq(order);
        case operation::greater: return std::is_gt(order);
        case operation::greater_equal: return std::is_gteq(order);
        case operation::in:
        case operation::not_in:
        case operation::like:
        case operation::not_like:
        case operation::has: break;
    }
    return false;
}

std::uint64_t age_us(const subject& of) {
    // As unsigned numbers the difference is right also where it has no place in a signed one.
    return of.now <= of.time ? 0
                             : static_cast<std::uint64_t>(to_us(of.now)) -
                                   static_cast<std::uint64_t>(to_us(of.time));
}

// A text that is read as a number once, and only if it is compared with one: a list may hold many.
class text_reader {
public:
    explicit text_reader(std::string_view text) : text_(text) {}

    [[nodiscard]] std::string_view text() const { return text_; }
    [[nodiscard]] const std::optional<decimal>& number() {
        if (!read_) {
            number_ = parse_decimal(text_);
            read_ = true;
        }
        return number_;
    }

private:
    std::string_view text_;
    std::optional<decimal> number_;
    bool read_ = false;
};

}  // namespace

// One run over one message: the record is taken apart at most once, and only if a step needs it.
class program::evaluation {
public:
    evaluation(const program& of, const subject& message) : program_(of), subject_(message) {}

    bool run() {
        std::uint16_t at = program_.steps_.empty() ? reject : 0;
        while (at < program_.steps_.size()) {
            const step& now = program_.steps_[at];
            at = holds(now) ? now.if_true : now.if_false;
        }
        return at == accept;
    }

private:
    [[nodiscard]] std::string_view text_of(slice of) const {
        return std::string_view(program_.texts_).substr(of.begin, of.length);
    }
    [[nodiscard]] std::span<const value> values_of(const step& at) const {
        return std::span(program_.values_).subspan(at.first_value, at.values);
    }

    bool holds(const step& at) {
        switch (at.field) {
            case field_id::offset: return number_holds(at, subject_.offset);
            case field_id::time: return number_holds(at, ordered(to_us(subject_.time)));
            case field_id::age: return number_holds(at, age_us(subject_));
            case field_id::size: return number_holds(at, payload_bytes());
            case field_id::key: return text_holds(at, key());
            case field_id::header: return text_holds(at, header(text_of(at.header)));
            case field_id::attempts: return number_holds(at, subject_.attempts);
            case field_id::state:
                return number_holds(at, static_cast<std::uint64_t>(subject_.state));
            case field_id::reason: return text_holds(at, subject_.reason);
        }
        return false;
    }

    // --- fields of the record ---

    const codec::record_view& record() {
        if (!record_) {
            record_.emplace();
            if (codec::parse_record_at(subject_.record, false, *record_) !=
                codec::record_fault::none) {
                record_.emplace();
            }
        }
        return *record_;
    }

    std::uint64_t payload_bytes() {
        return subject_.parts != nullptr ? subject_.parts->payload_bytes : record().payload.size();
    }

    std::optional<std::string_view> key() {
        return subject_.parts != nullptr ? subject_.parts->key : record().key;
    }

    std::optional<std::string_view> header(std::string_view name) {
        if (subject_.parts == nullptr) {
            return record().header(name);
        }
        const auto& headers = subject_.parts->headers;
        const auto found = std::ranges::find(headers, name, &codec::header_view::first);
        return found == headers.end() ? std::nullopt : std::optional{found->second};
    }

    // --- comparisons ---

    [[nodiscard]] bool number_holds(const step& at, std::uint64_t number) const {
        const auto values = values_of(at);
        if (at.op == operation::in || at.op == operation::not_in) {
            const bool found = std::ranges::find(values, number, &value::number) != values.end();
            return found == (at.op == operation::in);
        }
        return agrees(at.op, number <=> values.front().number);
    }

    // A missing text is no match for anything: only then are both like and not like false.
    [[nodiscard]] bool text_holds(const step& at, std::optional<std::string_view> text) const {
        if (!text || at.op == operation::has) {
            return text.has_value();
        }
        const auto values = values_of(at);
        text_reader with(*text);
        switch (at.op) {
            case operation::like: return is_like(values, *text);
            case operation::not_like: return !is_like(values, *text);
            case operation::in: return is_one_of(values, with);
            case operation::not_in: return !is_one_of(values, with);
            default: return agrees(at.op, compare(with, values.front()));
        }
    }

    [[nodiscard]] std::partial_ordering compare(text_reader& text, const value& with) const {
        if (with.kind == literal_kind::text) {
            return text.text() <=> text_of(with.text);
        }
        const auto& number = text.number();
        const auto other = parse_decimal(text_of(with.text));
        return number && other ? filters::compare(*number, *other)
                               : std::partial_ordering::unordered;
    }

    [[nodiscard]] bool is_one_of(std::span<const value> values, text_reader& text) const {
        return std::ranges::any_of(
            values, [this, &text](const value& each) { return std::is_eq(compare(text, each)); });
    }

    // The first part stands at the front, the last at the end, and those in the middle are found
    // where each comes first: if there is any way to place them all, this is one.
    [[nodiscard]] bool is_like(std::span<const value> parts, std::string_view text) const {
        const std::string_view first = text_of(parts.front().text);
        const std::string_view last = text_of(parts.back().text);
        if (parts.size() == 1) {
            return text == first;
        }
        if (text.size() < first.size() + last.size() || !text.starts_with(first) ||
            !text.ends_with(last)) {
            return false;
        }
        text = text.substr(first.size(), text.size() - first.size() - last.size());
        for (const value& part : parts.subspan(1, parts.size() - 2)) {
            const std::string_view needle = text_of(part.text);
            const auto borders = std::span(program_.borders_).subspan(part.borders, needle.size());
            const std::size_t at = find_text(text, needle, borders);
            if (at == std::string_view::npos) {
                return false;
            }
            text.remove_prefix(at + needle.size());
        }
        return true;
    }

    const program& program_;
    const subject& subject_;
    std::optional<codec::record_view> record_;
};

bool program::matches(const subject& of) const noexcept {
    return evaluation(*this, of).run();
}

}  // namespace brokerd::filters
