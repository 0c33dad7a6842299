# Finds cpp-httplib as Debian builds it, a compiled library: httplib::httplib.

include(FindPackageHandleStandardArgs)

find_path(Httplib_INCLUDE_DIR httplib.h)
find_library(Httplib_LIBRARY cpp-httplib)
mark_as_advanced(Httplib_INCLUDE_DIR Httplib_LIBRARY)

if(Httplib_INCLUDE_DIR)
    file(STRINGS "${Httplib_INCLUDE_DIR}/httplib.h" version_line
        REGEX "^#define CPPHTTPLIB_VERSION \"")
    string(REGEX MATCH "[0-9.]+" Httplib_VERSION "${version_line}")
endif()

find_package_handle_standard_args(Httplib
    REQUIRED_VARS Httplib_LIBRARY Httplib_INCLUDE_DIR
    VERSION_VAR Httplib_VERSION)

if(Httplib_FOUND AND NOT TARGET httplib::httplib)
    find_package(Threads REQUIRED)
    find_package(OpenSSL REQUIRED)
    add_library(httplib::httplib UNKNOWN IMPORTED)
    # The layout of httplib's classes depends on these, so they must be those Debian built it with.
    set_target_properties(httplib::httplib PROPERTIES
        IMPORTED_LOCATION "${Httplib_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${Httplib_INCLUDE_DIR}"
        INTERFACE_COMPILE_DEFINITIONS
            "CPPHTTPLIB_OPENSSL_SUPPORT;CPPHTTPLIB_ZLIB_SUPPORT;CPPHTTPLIB_BROTLI_SUPPORT"
        INTERFACE_LINK_LIBRARIES "OpenSSL::SSL;OpenSSL::Crypto;Threads::Threads")
endif()
