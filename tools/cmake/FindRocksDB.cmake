# Finds the shared RocksDB library: RocksDB::rocksdb.
#
# The configuration that Debian ships also looks for everything a static link would need
# (gflags, snappy, zstd, ...); this one asks for no more than is used.

include(FindPackageHandleStandardArgs)

find_path(RocksDB_INCLUDE_DIR rocksdb/version.h)
find_library(RocksDB_LIBRARY rocksdb)
mark_as_advanced(RocksDB_INCLUDE_DIR RocksDB_LIBRARY)

if(RocksDB_INCLUDE_DIR)
    set(RocksDB_VERSION "")
    foreach(part MAJOR MINOR PATCH)
        file(STRINGS "${RocksDB_INCLUDE_DIR}/rocksdb/version.h" version_line
            REGEX "^#define ROCKSDB_${part} [0-9]+")
        string(REGEX MATCH "[0-9]+$" version_number "${version_line}")
        list(APPEND RocksDB_VERSION "${version_number}")
    endforeach()
    list(JOIN RocksDB_VERSION "." RocksDB_VERSION)
endif()

find_package_handle_standard_args(RocksDB
    REQUIRED_VARS RocksDB_LIBRARY RocksDB_INCLUDE_DIR
    VERSION_VAR RocksDB_VERSION)

if(RocksDB_FOUND AND NOT TARGET RocksDB::rocksdb)
    add_library(RocksDB::rocksdb UNKNOWN IMPORTED)
    set_target_properties(RocksDB::rocksdb PROPERTIES
        IMPORTED_LOCATION "${RocksDB_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${RocksDB_INCLUDE_DIR}")
endif()
