# Compiler and linker flags of our own targets. Nothing here reaches a program that links the
# client: the flags are private to each target, and a build as a subproject gets none of them
# but the language version.

if(PROJECT_IS_TOP_LEVEL)
    set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
    set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
    # An optimised build with symbols, and with assertions (no NDEBUG), unless told otherwise.
    if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
        set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
        set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1" CACHE STRING "Flags of RelWithDebInfo" FORCE)
    endif()
    include(brokerd_ccache)
endif()

# For the whole build: the definition is part of the precompiled headers.
option(BROKERD_SEEDED_FAULTS "Compile in the faults that tests plant to prove they are found" OFF)
if(BROKERD_SEEDED_FAULTS)
    add_compile_definitions(BROKERD_SEEDED_FAULTS)
endif()

set(brokerd_warnings
    -Wall
    -Wextra
    -Wpedantic
    -Wshadow
    -Wconversion
    -Wsign-conversion
    -Wnon-virtual-dtor
    -Wold-style-cast
    -Woverloaded-virtual)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 reports these inside inlined std::string, std::variant and coroutine frames where
    # there is nothing wrong; -Wnull-dereference is left out for the same reason.
    list(APPEND brokerd_warnings
        -Wno-maybe-uninitialized
        -Wno-stringop-overflow
        -Wno-stringop-overread
        -Wno-array-bounds
        -Wno-restrict
        -Wno-dangling-pointer
        -Wno-mismatched-new-delete)
endif()
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # It is about types in headers, and takes every source that a unity build includes for one.
    list(APPEND brokerd_warnings -Wno-subobject-linkage)
endif()
if(BROKERD_WERROR)
    list(APPEND brokerd_warnings -Werror)
endif()

set(brokerd_hardening -D_GLIBCXX_ASSERTIONS -fstack-protector-strong -fPIC)
set(brokerd_link_hardening -pie -Wl,-z,relro,-z,now)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND brokerd_hardening -fno-semantic-interposition)
endif()

if(BROKERD_SANITIZE)
    set(sanitizer_flags -fsanitize=${BROKERD_SANITIZE} -fno-omit-frame-pointer)
    if(BROKERD_SANITIZE MATCHES "undefined")
        list(APPEND sanitizer_flags -fno-sanitize-recover=all)
    endif()
    if(BROKERD_SANITIZE MATCHES "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # To compile in less time: no checks at every use of a pointer for what AddressSanitizer
        # finds as well (alignment apart, which the fuzz build checks), and calls to do its work
        # instead of code at every access.
        list(APPEND sanitizer_flags
            -fno-sanitize=null,alignment,object-size,vptr
            --param=asan-instrumentation-with-call-threshold=0)
    endif()
    add_compile_options(${sanitizer_flags})
    add_link_options(${sanitizer_flags})
    if(BROKERD_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        list(APPEND brokerd_warnings -Wno-tsan) # std::atomic_thread_fence inside Asio
    endif()
else()
    # The sanitizers have their own interceptors, and without optimisation it only warns.
    list(APPEND brokerd_hardening
        "$<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>"
        "$<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>")
endif()

find_program(BROKERD_LLD ld.lld)
mark_as_advanced(BROKERD_LLD)

# Flags every target of ours is compiled with. Precompiled headers are shared between targets,
# which works only as long as this function is the one place that sets flags.
function(brokerd_target_options target)
    set_target_properties(${target} PROPERTIES
        CXX_STANDARD 23
        CXX_STANDARD_REQUIRED ON
        CXX_EXTENSIONS OFF)
    # Includes read "protocol/types/ids.hpp".
    target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
    if(PROJECT_IS_TOP_LEVEL)
        target_compile_options(${target} PRIVATE ${brokerd_warnings} ${brokerd_hardening})
        get_target_property(type ${target} TYPE)
        if(type STREQUAL "EXECUTABLE")
            target_link_options(${target} PRIVATE ${brokerd_link_hardening})
            if(BROKERD_LLD)
                target_link_options(${target} PRIVATE -fuse-ld=lld)
            endif()
        endif()
    else()
        set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    endif()
endfunction()
