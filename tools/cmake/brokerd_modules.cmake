# The functions that each module's CMakeLists.txt is written with:
#
#   brokerd_module(NAME broker_domain SOURCES topic.cpp queue.cpp
#                  DEPS brokerd_types broker_base PRIVATE_DEPS brokerd_codec)
#       a static library, or an interface library when there are no sources. DEPS are seen by who
#       links the module (its headers include theirs), PRIVATE_DEPS only by its sources.
#
#   brokerd_client_library(SOURCES src/client.cpp ...)
#       the client: one archive that holds protocol/ as well, so that it can be installed alone.
#
#   brokerd_program(NAME brokerctl SOURCES main.cpp DEPS brokerd_client CLI11::CLI11)
#       an executable in bin/ of the build directory.
#
#   brokerd_test(NAME domain_test SOURCES lease_test.cpp DEPS broker_domain
#                [LABELS unit] [TIMEOUT 60] [SERIAL])
#       an executable in bin/tests/ with GoogleTest's main, each of its test cases a test of its
#       own for ctest. Tests run in parallel, from the top directory of the repository (golden
#       files are "tests/golden/..."), with BROKERD_BIN_DIR naming the directory of the programs.
#
#   brokerd_fuzz_target(NAME frame_fuzz SOURCES frame_fuzz.cpp DEPS brokerd_codec [CORPUS dir])
#       a libFuzzer program in a fuzz build; in any other, a test that replays the corpus through
#       the same LLVMFuzzerTestOneInput (main is tests/fuzz/replay_main.cpp).
#
#   brokerd_benchmark(NAME codec_bench SOURCES codec_bench.cpp DEPS brokerd_codec)
#       a Google Benchmark program in bin/bench/, not in sanitizer builds.

include(GoogleTest)

# The shared precompiled headers. Each kind is made of layers, tools/cmake/pch/LAYER.hpp; a target
# gets the first kind one of whose `targets` it is or depends on, and with GoogleTest the same plus
# the layer `test`. One compilation serves all targets of a kind, as all are compiled with the same
# flags. (What a source of the domain includes takes g++ 12 seven seconds to parse and instantiate,
# and half a second to load.)
set(brokerd_pch_kinds core broker tool domain asio codec std)
set(brokerd_pch_core_targets brokerd_client client_test)
set(brokerd_pch_core_layers std asio core)
set(brokerd_pch_tool_targets brokerctl_commands CLI11::CLI11)
set(brokerd_pch_tool_layers std asio tool)
set(brokerd_pch_broker_targets broker_engine broker_session broker_app)
set(brokerd_pch_broker_layers std asio domain)
set(brokerd_pch_domain_targets
    broker_domain broker_storage_format broker_storage test_storage sim_world)
set(brokerd_pch_domain_layers std domain)
set(brokerd_pch_asio_targets
    asio::asio brokerd_transport broker_admin test_support crash_run)
set(brokerd_pch_asio_layers std asio codec)
set(brokerd_pch_codec_targets brokerd_codec)
set(brokerd_pch_codec_layers std codec)
set(brokerd_pch_std_layers std)
if(CMAKE_UNITY_BUILD)
    # A target is one source or two then: few kinds, as each takes longer to make than it saves one
    # source.
    set(brokerd_pch_kinds broker tool std)
    list(APPEND brokerd_pch_broker_targets ${brokerd_pch_domain_targets})
    list(APPEND brokerd_pch_tool_targets ${brokerd_pch_core_targets})
    set(brokerd_pch_std_layers std asio codec)
endif()
# What the headers of a layer need to be found and compiled.
set(brokerd_pch_std_deps fmt::fmt)
set(brokerd_pch_asio_deps asio::asio)
set(brokerd_pch_tool_deps CLI11::CLI11 nlohmann_json::nlohmann_json)
set(brokerd_pch_test_deps GTest::gmock)

# Adds a module's directory once it has a CMakeLists.txt; the glob makes the next build notice.
# With EXCLUDE_FROM_ALL, what is in it is built only when it is asked for or needed by others.
macro(brokerd_add_directory directory)
    file(GLOB brokerd_found CONFIGURE_DEPENDS
        "${CMAKE_CURRENT_SOURCE_DIR}/${directory}/CMakeLists.txt")
    if(brokerd_found)
        add_subdirectory(${directory} ${ARGN})
    endif()
endmacro()

# Makes the precompiled header of these layers unless it is there.
function(brokerd_make_pch pch layers)
    if(TARGET ${pch})
        return()
    endif()
    add_library(${pch} OBJECT "${PROJECT_SOURCE_DIR}/tools/cmake/pch/empty.cpp")
    brokerd_target_options(${pch})
    # Without ccache: it takes the precompiled header that is left from before for what the new one
    # is made of, and so finds the old one again.
    set_target_properties(${pch} PROPERTIES CXX_COMPILER_LAUNCHER "")
    target_include_directories(${pch} PRIVATE "${PROJECT_SOURCE_DIR}/client/include")
    set(headers)
    foreach(layer IN LISTS layers)
        # Quoted names, as an absolute path would keep ccache from a hit in another clone.
        list(APPEND headers "\"tools/cmake/pch/${layer}.hpp\"")
        target_link_libraries(${pch} PRIVATE ${brokerd_pch_${layer}_deps})
    endforeach()
    target_precompile_headers(${pch} PRIVATE ${headers})
endfunction()

# Gives a target the kind its dependencies ask for, with the layers `more`.
function(brokerd_use_pch target more deps)
    if(NOT BROKERD_PCH)
        return()
    endif()
    set(kind std)
    foreach(candidate IN LISTS brokerd_pch_kinds)
        set(wanted ${brokerd_pch_${candidate}_targets})
        list(REMOVE_ITEM wanted ${target} ${deps})
        if(NOT wanted STREQUAL brokerd_pch_${candidate}_targets)
            set(kind ${candidate})
            break()
        endif()
    endforeach()
    set(layers ${brokerd_pch_${kind}_layers} ${more})
    list(JOIN layers "_" name)
    brokerd_make_pch(brokerd_pch_${name} "${layers}")
    # The headers contain fmt, whose FMT_SHARED must be the same everywhere.
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:fmt::fmt>)
    target_precompile_headers(${target} REUSE_FROM brokerd_pch_${name})
endfunction()

function(brokerd_module)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;DEPS;PRIVATE_DEPS")
    if(NOT arg_SOURCES)
        add_library(${arg_NAME} INTERFACE)
        target_include_directories(${arg_NAME} INTERFACE "${PROJECT_SOURCE_DIR}")
        target_link_libraries(${arg_NAME} INTERFACE ${arg_DEPS} ${arg_PRIVATE_DEPS})
        return()
    endif()
    add_library(${arg_NAME} STATIC ${arg_SOURCES})
    brokerd_target_options(${arg_NAME})
    target_include_directories(${arg_NAME} PUBLIC "${PROJECT_SOURCE_DIR}")
    target_link_libraries(${arg_NAME} PUBLIC ${arg_DEPS} PRIVATE ${arg_PRIVATE_DEPS})
    brokerd_use_pch(${arg_NAME} "" "${arg_DEPS};${arg_PRIVATE_DEPS}")
endfunction()

function(brokerd_client_library)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "SOURCES")
    add_library(brokerd_client STATIC ${arg_SOURCES})
    add_library(brokerd::client ALIAS brokerd_client)
    brokerd_target_options(brokerd_client)
    foreach(part brokerd_types brokerd_codec brokerd_filter brokerd_transport)
        if(TARGET ${part})
            get_target_property(type ${part} TYPE)
            if(NOT type STREQUAL "INTERFACE_LIBRARY")
                target_sources(brokerd_client PRIVATE $<TARGET_OBJECTS:${part}>)
            endif()
        endif()
    endforeach()
    set_target_properties(brokerd_client PROPERTIES
        OUTPUT_NAME brokerd-client
        EXPORT_NAME client)
    target_compile_features(brokerd_client PUBLIC cxx_std_20)
    target_include_directories(brokerd_client
        PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/client/include>
               $<INSTALL_INTERFACE:include>)
    target_link_libraries(brokerd_client PUBLIC asio::asio Threads::Threads PRIVATE fmt::fmt)
    brokerd_use_pch(brokerd_client "" asio::asio)
endfunction()

function(brokerd_program)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;DEPS")
    add_executable(${arg_NAME} ${arg_SOURCES})
    brokerd_target_options(${arg_NAME})
    target_link_libraries(${arg_NAME} PRIVATE ${arg_DEPS})
    brokerd_use_pch(${arg_NAME} "" "${arg_DEPS}")
endfunction()

function(brokerd_test)
    cmake_parse_arguments(PARSE_ARGV 0 arg "SERIAL" "NAME;TIMEOUT" "SOURCES;DEPS;LABELS")
    if(NOT arg_LABELS)
        set(arg_LABELS unit)
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 60)
    endif()
    add_executable(${arg_NAME} ${arg_SOURCES})
    brokerd_target_options(${arg_NAME})
    set_target_properties(${arg_NAME} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin/tests")
    target_link_libraries(${arg_NAME} PRIVATE ${arg_DEPS} GTest::gmock GTest::gtest_main)
    brokerd_use_pch(${arg_NAME} test "${arg_DEPS}")
    set(properties
        LABELS "${arg_LABELS}"
        TIMEOUT ${arg_TIMEOUT}
        ENVIRONMENT "BROKERD_BIN_DIR=${PROJECT_BINARY_DIR}/bin")
    if(arg_SERIAL)
        list(APPEND properties RUN_SERIAL ON)
    endif()
    gtest_discover_tests(${arg_NAME}
        DISCOVERY_MODE PRE_TEST
        DISCOVERY_TIMEOUT 60
        WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
        PROPERTIES ${properties})
endfunction()

function(brokerd_fuzz_target)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;CORPUS" "SOURCES;DEPS")
    add_executable(${arg_NAME} ${arg_SOURCES})
    brokerd_target_options(${arg_NAME})
    set_target_properties(${arg_NAME} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin/fuzz")
    target_link_libraries(${arg_NAME} PRIVATE ${arg_DEPS})
    if(BROKERD_FUZZ)
        target_compile_options(${arg_NAME} PRIVATE -fsanitize=fuzzer)
        target_link_options(${arg_NAME} PRIVATE -fsanitize=fuzzer)
        return()
    endif()
    target_sources(${arg_NAME} PRIVATE "${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cpp")
    brokerd_use_pch(${arg_NAME} "" "${arg_DEPS}")
    if(NOT arg_CORPUS)
        set(arg_CORPUS "corpus/${arg_NAME}")
    endif()
    cmake_path(ABSOLUTE_PATH arg_CORPUS BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
    add_test(NAME fuzz.replay.${arg_NAME} COMMAND ${arg_NAME} "${arg_CORPUS}")
    set_tests_properties(fuzz.replay.${arg_NAME} PROPERTIES LABELS fuzz TIMEOUT 60)
endfunction()

function(brokerd_benchmark)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;DEPS")
    if(BROKERD_SANITIZE OR NOT TARGET benchmark::benchmark_main)
        return()
    endif()
    add_executable(${arg_NAME} ${arg_SOURCES})
    brokerd_target_options(${arg_NAME})
    set_target_properties(${arg_NAME} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin/bench")
    target_link_libraries(${arg_NAME} PRIVATE ${arg_DEPS} benchmark::benchmark_main)
    brokerd_use_pch(${arg_NAME} "" "${arg_DEPS}")
endfunction()
