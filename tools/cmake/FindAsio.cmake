# Finds standalone Asio, which has no CMake configuration of its own: asio::asio.

include(FindPackageHandleStandardArgs)

find_path(Asio_INCLUDE_DIR asio/version.hpp)
mark_as_advanced(Asio_INCLUDE_DIR)

if(Asio_INCLUDE_DIR)
    file(STRINGS "${Asio_INCLUDE_DIR}/asio/version.hpp" version_line
        REGEX "^#define ASIO_VERSION [0-9]+")
    string(REGEX MATCH "[0-9]+" version_number "${version_line}")
    math(EXPR version_major "${version_number} / 100000")
    math(EXPR version_minor "${version_number} / 100 % 1000")
    math(EXPR version_patch "${version_number} % 100")
    set(Asio_VERSION "${version_major}.${version_minor}.${version_patch}")
endif()

find_package_handle_standard_args(Asio
    REQUIRED_VARS Asio_INCLUDE_DIR
    VERSION_VAR Asio_VERSION)

if(Asio_FOUND AND NOT TARGET asio::asio)
    find_package(Threads REQUIRED)
    add_library(asio::asio INTERFACE IMPORTED)
    set_target_properties(asio::asio PROPERTIES
        INTERFACE_INCLUDE_DIRECTORIES "${Asio_INCLUDE_DIR}"
        INTERFACE_LINK_LIBRARIES Threads::Threads)
endif()
