# Install rules, in two components: "programs", and "client", the client library for
# find_package(brokerd) and pkg-config.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

foreach(program brokerd brokerctl)
    if(TARGET ${program})
        install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
    endif()
endforeach()

if(NOT TARGET brokerd_client)
    return()
endif()

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/brokerd")

install(TARGETS brokerd_client EXPORT brokerd_targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/client/include/"
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT client
    FILES_MATCHING PATTERN "*.hpp")
install(EXPORT brokerd_targets
    NAMESPACE brokerd::
    FILE brokerd-targets.cmake
    DESTINATION ${package_dir} COMPONENT client)

configure_package_config_file(
    "${PROJECT_SOURCE_DIR}/tools/cmake/brokerd-config.cmake.in"
    "${PROJECT_BINARY_DIR}/brokerd-config.cmake"
    INSTALL_DESTINATION ${package_dir}
    NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(
    "${PROJECT_BINARY_DIR}/brokerd-config-version.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES
    "${PROJECT_BINARY_DIR}/brokerd-config.cmake"
    "${PROJECT_BINARY_DIR}/brokerd-config-version.cmake"
    "${PROJECT_SOURCE_DIR}/tools/cmake/FindAsio.cmake"
    DESTINATION ${package_dir} COMPONENT client)

# pkg-config's own place is relative to the prefix, so an installed tree can be moved.
file(RELATIVE_PATH pc_prefix
    "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
configure_file(
    "${PROJECT_SOURCE_DIR}/tools/cmake/brokerd-client.pc.in"
    "${PROJECT_BINARY_DIR}/brokerd-client.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/brokerd-client.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT client)
