// A part of an object that most of its kind never need: two pointers until it is changed for the
// first time, from when on it stays. A part that was never made reads as an empty one. With
// thousands of queues this is what decides how much memory one takes. Owner: that of the object.
#pragma once

#include <memory>
#include <memory_resource>
#include <type_traits>

namespace brokerd::domain {

template <typename Part>
class lazy {
    using allocator = std::pmr::polymorphic_allocator<>;

public:
    explicit lazy(std::pmr::memory_resource* pool) : pool_(pool) {}
    ~lazy() {
        if (part_ != nullptr) {
            allocator(pool_).delete_object(part_);
        }
    }
    lazy(const lazy&) = delete;
    lazy& operator=(const lazy&) = delete;

    [[nodiscard]] bool is_made() const { return part_ != nullptr; }
    const Part& operator*() const { return part_ != nullptr ? *part_ : none; }
    const Part* operator->() const { return part_ != nullptr ? part_ : &none; }

    // To be changed.
    Part& made() {
        if (part_ == nullptr) {
            allocator from(pool_);
            // What it takes comes from the pool, too, if it can; new_object tells containers.
            if constexpr (std::is_constructible_v<Part, std::pmr::memory_resource*> &&
                          !std::uses_allocator_v<Part, allocator>) {
                part_ = from.template new_object<Part>(pool_);
            } else {
                part_ = from.template new_object<Part>();
            }
        }
        return *part_;
    }

private:
    inline static const Part none{};

    std::pmr::memory_resource* pool_;
    Part* part_ = nullptr;
};

}  // namespace brokerd::domain
