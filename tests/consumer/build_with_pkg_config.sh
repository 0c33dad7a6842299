#!/bin/sh
# Builds the consumer program with the flags pkg-config tells, and runs it.
# Usage: build_with_pkg_config.sh COMPILER PREFIX LIBDIR OUTPUT
set -eu
compiler=$1 prefix=$2 libdir=$3 output=$4

PKG_CONFIG_PATH="$prefix/$libdir/pkgconfig"
export PKG_CONFIG_PATH
flags=$(pkg-config --cflags --libs brokerd-client)

mkdir -p "$output"
# shellcheck disable=SC2086 # the flags are words
"$compiler" -std=c++20 -Wall -Wextra -Werror -o "$output/consumer" \
    "$(dirname "$0")/program/main.cpp" $flags
"$output/consumer"
