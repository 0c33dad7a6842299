# Shell functions shared by the commands in tools/: packages, configuration, build.
# Source it from the top directory of the repository:
#
#     cd "$(dirname "$0")/.." && . tools/lib/build.sh
#
#   ensure_packages [SECTION...]     installs what is missing of tools/packages (default: build)
#   configure_preset NAME            configures build/NAME if that is needed
#   build_preset NAME [TARGET...]    configures and builds build/NAME
#   run_tests NAME [CTEST-ARG...]    runs ctest in parallel; its closing line ends up in
#                                    tests_closing_line
#
# shellcheck shell=bash

say() { printf '%s\n' "$*"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

jobs=${BROKERD_JOBS:-$(nproc)}
ctest_launcher=()  # a command to run ctest with

# The packages of the given sections of tools/packages.
packages_of() {
    awk -v wanted=" $* " '
        { sub(/#.*/, "") }
        /^\[.*\]/ { section = substr($1, 2, length($1) - 2); next }
        NF && index(wanted, " " section " ") && !listed[$1]++ { print $1 }' tools/packages
}

# Those among the given packages that are not installed.
missing_packages() {
    local package
    for package in "$@"; do
        if [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
            printf '%s\n' "$package"
        fi
    done
}

ensure_packages() {
    local sections=("${@:-build}") wanted missing answer as_root=()
    if ! command -v dpkg-query >/dev/null; then
        say "Not a Debian system: please see to it that what tools/packages lists is there."
        return 0
    fi
    mapfile -t wanted < <(packages_of "${sections[@]}")
    mapfile -t missing < <(missing_packages "${wanted[@]}")
    if ((${#missing[@]} == 0)); then
        return 0
    fi

    say "Missing Debian packages: ${missing[*]}"
    if [[ -t 0 && -t 1 ]]; then
        read -r -p "Install them now? [Y/n] " answer
        if [[ ${answer:-y} != [yY]* ]]; then
            die "stopped; install them with: apt-get install ${missing[*]}"
        fi
    fi
    if ((EUID != 0)); then
        command -v sudo >/dev/null ||
            die "not root and no sudo; as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
        die "apt-get could not install: ${missing[*]}"
}

configure_preset() {
    local preset=$1 log=build/$1/configure.log
    # Ninja notices changes of the build description itself, but not of the presets.
    if [[ -f build/$preset/build.ninja && $log -nt CMakePresets.json ]]; then
        return 0
    fi
    say "Configuring build/$preset"
    mkdir -p "build/$preset"
    if ! cmake --preset "$preset" >"$log" 2>&1; then
        cat "$log" >&2
        rm "$log"
        return 1
    fi
}

build_preset() {
    local preset=$1
    shift
    configure_preset "$preset" || return
    say "Building build/$preset${*:+: $*}"
    NINJA_STATUS='[%f/%t %es] ' cmake --build "build/$preset" -j "$jobs" ${1:+--target "$@"}
}

run_tests() {
    local preset=$1 log=build/$1/test.log status=0
    shift
    "${ctest_launcher[@]}" ctest --preset "$preset" -j "$jobs" --output-on-failure \
        --no-tests=ignore "$@" |
        tee "$log" || status=$?
    tests_closing_line=$(grep -E '^[0-9]+% tests passed' "$log" | tail -n 1 || true)
    tests_closing_line=${tests_closing_line:-no tests}
    return "$status"
}
