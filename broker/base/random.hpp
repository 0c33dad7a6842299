// A small seeded pseudo-random generator: the same seed gives the same numbers on every machine,
// which the standard distributions do not promise. Not for secrets. One owner at a time.
//
// The generator is xoshiro256** (Blackman and Vigna, public domain), its state filled from the
// seed by splitmix64.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace brokerd::base {

// One step of splitmix64: also a good mixer of a single number.
[[nodiscard]] constexpr std::uint64_t splitmix64(std::uint64_t& state) {
    state += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

class random {
public:
    using result_type = std::uint64_t;

    constexpr explicit random(std::uint64_t seed) {
        for (auto& word : state_) {
            word = splitmix64(seed);
        }
    }

    [[nodiscard]] static constexpr result_type min() { return 0; }
    [[nodiscard]] static constexpr result_type max() { return ~result_type{0}; }

    constexpr result_type operator()() { return next(); }

    constexpr std::uint64_t next() {
        const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

    // Evenly in [0, bound); bound > 0. The bias of the multiplication is below 2^-32 for bounds
    // below 2^32 and does not matter here.
    constexpr std::uint64_t below(std::uint64_t bound) {
        __extension__ using wide = unsigned __int128;
        return static_cast<std::uint64_t>((static_cast<wide>(next()) * bound) >> 64);
    }
    // Evenly in [low, high].
    constexpr std::int64_t between(std::int64_t low, std::int64_t high) {
        return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
    }
    // True `numerator` times out of `denominator`.
    constexpr bool chance(std::uint64_t numerator, std::uint64_t denominator) {
        return below(denominator) < numerator;
    }

private:
    std::array<std::uint64_t, 4> state_{};
};

}  // namespace brokerd::base
