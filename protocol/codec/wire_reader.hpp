// The one cursor that decodes foreign bytes: every step checks what is left, the first problem and
// the path of the field it is in are kept. Header only; no thread affinity.
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

#include "protocol/types/bytes.hpp"

namespace brokerd::codec {

class wire_reader {
public:
    explicit wire_reader(byte_view bytes) : left_(bytes) {}

    [[nodiscard]] std::size_t left() const { return left_.size(); }
    [[nodiscard]] bool empty() const { return left_.empty(); }

    template <std::integral T>
    [[nodiscard]] bool number(T& value) {
        if (left_.size() < sizeof(T)) {
            return fail("the body ends inside it");
        }
        value = load_le<T>(left_.data());
        left_ = left_.subspan(sizeof(T));
        return true;
    }

    [[nodiscard]] bool bytes(std::size_t count, byte_view& value) {
        if (count > left_.size()) {
            return fail("its length is larger than what is left of the body");
        }
        value = left_.first(count);
        left_ = left_.subspan(count);
        return true;
    }

    [[nodiscard]] byte_view rest() {
        const byte_view all = left_;
        left_ = {};
        return all;
    }

    // Always false, so that a step can `return reader.fail(...)`.
    bool fail(const char* problem) {
        problem_ = problem;
        return false;
    }
    // Takes over the problem of a reader of a part.
    bool fail(const wire_reader& part) {
        problem_ = part.problem_;
        path_ = part.path_;
        return false;
    }
    // On the way out of a failed step: names what it was part of, innermost first.
    void in_field(std::string_view name) {
        path_ = path_.empty() ? std::string(name) : std::string(name) + "." + path_;
    }

    [[nodiscard]] const char* problem() const { return problem_; }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    byte_view left_;
    const char* problem_ = "";
    std::string path_;
};

}  // namespace brokerd::codec
