# ccache as compiler launcher, when it is installed and nobody chose another launcher.
#
# The settings let precompiled headers be cached and let a clone in another directory hit the
# cache: paths below the source directory are made relative, the working directory is not hashed,
# and debug information names files relative to the source directory.

find_program(BROKERD_CCACHE ccache)
mark_as_advanced(BROKERD_CCACHE)
if(NOT BROKERD_CCACHE OR CMAKE_CXX_COMPILER_LAUNCHER)
    return()
endif()

set(CMAKE_CXX_COMPILER_LAUNCHER
    env
    "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}"
    CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    "${BROKERD_CCACHE}")
add_compile_options("-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
endif()
