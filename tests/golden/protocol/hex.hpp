// Golden files of bytes: hexadecimal, 32 bytes a line, with comment lines that start with #.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "protocol/types/bytes.hpp"

namespace brokerd::golden {

inline bool update_wanted() {
    const char* value = std::getenv("BROKERD_UPDATE_GOLDEN");
    return value != nullptr && std::string_view(value) == "1";
}

inline std::string to_hex(byte_view bytes) {
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        fmt::format_to(std::back_inserter(out), "{:02x}", std::to_integer<int>(bytes[i]));
        if (i % 32 == 31 || i + 1 == bytes.size()) {
            out += '\n';
        }
    }
    return out;
}

inline byte_buffer from_hex(std::string_view text) {
    byte_buffer bytes;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with('#')) {
            continue;
        }
        for (std::size_t i = 0; i + 1 < line.size(); i += 2) {
            bytes.push_back(static_cast<std::byte>(std::stoi(line.substr(i, 2), nullptr, 16)));
        }
    }
    return bytes;
}

inline std::optional<std::string> read_text(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return std::nullopt;
    }
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

inline void write_text(const std::filesystem::path& path, std::string_view text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

}  // namespace brokerd::golden
