// mkdtemp below the system's directory for temporary files.
#include "broker/app/temporary_directory.hpp"

#include <cerrno>
#include <cstdlib>

namespace brokerd::app {

std::expected<temporary_directory, std::error_code> temporary_directory::create() {
    std::error_code error;
    const auto parent = std::filesystem::temp_directory_path(error);
    if (error) {
        return std::unexpected(error);
    }
    std::string name = parent / "brokerd-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) {
        return std::unexpected(std::error_code{errno, std::generic_category()});
    }
    return temporary_directory{name};
}

temporary_directory::~temporary_directory() {
    if (!path_.empty()) {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
}

}  // namespace brokerd::app
