"""The rules of the lint, as data: who may include what, what is banned where, and the exceptions.

Paths are relative to the top of the repository and use "/". A path prefix stands for the file or
directory of that name and all below it.
"""

import re

# Directories that are not ours to check.
SKIPPED_DIRECTORIES = {".git", ".cache", "build", "brokerd-data", "__pycache__"}
# Data, kept byte for byte.
SKIPPED_PREFIXES = ["tests/golden/", "tests/fuzz/corpus/", "LICENSE"]

# --- Which module may include which ---------------------------------------------------------------
#
#   types <- codec <- transport <- client <- tools      codec <- filter <- domain, client
#   types, base <- domain <- storage <- engine <- session, admin <- app <- main
#   base <- config <- app      types, base <- auth <- session      codec, transport <- session
#
# The longest prefix names a file's module. A module may always include itself.

_PURE = ["protocol/types", "protocol/codec"]
_PROTOCOL = _PURE + ["protocol/filter", "protocol/transport"]
_DOMAIN = _PURE + ["protocol/filter", "broker/base", "broker/domain"]

MODULES = {
    "protocol/types": [],
    "protocol/codec": ["protocol/types"],
    "protocol/filter": _PURE,
    "protocol/transport": _PURE,
    "client": _PROTOCOL,
    "broker/base": ["protocol/types"],
    "broker/config": ["protocol/types", "broker/base"],
    "broker/auth": ["protocol/types", "broker/base"],
    "broker/domain": _PURE + ["protocol/filter", "broker/base"],
    "broker/storage": _DOMAIN,
    "broker/engine": _DOMAIN + ["broker/storage"],
    "broker/session": _DOMAIN + ["protocol/transport", "broker/engine", "broker/auth"],
    "broker/admin": _DOMAIN + ["broker/engine", "broker/session"],
    "broker/app": ["protocol", "broker"],
    "broker/main.cpp": ["protocol", "broker"],
    "tools": ["protocol", "client"],
    "tools/cmake/pch": ["protocol", "broker", "client"],
    "tests": ["protocol", "broker", "client", "tools"],
}

# --- Which library headers may be included where --------------------------------------------------

_ASIO = ["protocol/transport", "client", "broker/engine", "broker/session", "broker/admin",
         "broker/app", "tools", "tests"]
_LOGGING = ["broker/base", "broker/config", "broker/storage", "broker/engine", "broker/auth",
            "broker/session", "broker/admin", "broker/app", "broker/main.cpp", "tools", "tests"]

LIBRARIES = {
    r"asio(/|\.hpp)": _ASIO,
    r"rocksdb/": ["broker/storage", "tests"],
    r"CLI/": ["broker/app", "broker/main.cpp", "tools"],
    r"spdlog/": _LOGGING,
    r"nlohmann/": ["broker/admin", "broker/app", "tools", "tests"],
    r"httplib\.h": ["broker/admin", "tools", "tests"],
    r"curl/": ["tools/samples", "tests"],
    r"(hiredis/|nats/|amqp\w*\.h)": ["tools/bench/peers"],
    r"openssl/": ["protocol/transport", "client/src", "broker/auth", "broker/app", "tests"],
    r"(gtest|gmock|benchmark)/": ["tests", "tools/cmake/pch"],
    # Public headers stay free of what their users would have to have.
    r"fmt/": ["protocol", "client/src", "broker", "tools", "tests"],
    # The pure parts have no threads and no files.
    r"(thread|mutex|shared_mutex|condition_variable|future|fstream|iostream)$":
        ["protocol/transport", "client", "broker/base", "broker/config", "broker/storage",
         "broker/engine", "broker/auth", "broker/session", "broker/admin", "broker/app",
         "broker/main.cpp", "tools", "tests"],
}

# --- Style ----------------------------------------------------------------------------------------

COLUMNS_MAX = 100
FILE_LINES_NOTED = 500
FILE_LINES_MAX = 800
TEST_FILE_LINES_MAX = 1000
# Between one unindented line that ends in an open brace and the closing one. The aim is 70.
FUNCTION_LINES_MAX = 100

SOURCE_SUFFIXES = (".hpp", ".cpp")
TEXT_SUFFIXES = SOURCE_SUFFIXES + (".py", ".sh", ".cmake", ".txt", ".in")
TEXT_PREFIXES = ["tools/test", "tools/dev", "tools/quickstart", "tools/bench/compare",
                 ".ci/run"]

# --- Banned in C++ --------------------------------------------------------------------------------
#
# name: (pattern, only below these prefixes, but not below those, what to do instead). Comments and
# the contents of string literals are removed before the search.

_DETERMINISTIC_TESTS = ["tests/unit", "tests/sim", "tests/conformance"]
_PURE_CODE = ["protocol/types", "protocol/codec", "protocol/filter", "broker/domain"]

BANNED = {
    "sleep": (r"\b(sleep_for|sleep_until|usleep|nanosleep)\b", _DETERMINISTIC_TESTS, [],
              "use the manual clock, or wait for what should happen"),
    "using-namespace-std": (r"\busing\s+namespace\s+std\s*;", [""], [],
                            "name what you use"),
    "rand": (r"(?<![\w.>])s?rand\s*\(", [""], [],
             "use the seeded random source of broker/base"),
    "detached": (r"\basio::detached\b|\.detach\s*\(\s*\)", [""], ["tests"],
                 "spawn through a task_group, which reports errors and joins"),
    "lambda-coroutine": (r"\[[^\[\]]*[^\[\]\s][^\[\]]*\]\s*(\([^{};]*\))?[\w\s]*"
                         r"->\s*[\w:]*(awaitable|task|coroutine)\s*<",
                         [""], [],
                         "captures die with the closure: pass state as parameters"),
    "clock": (r"\b(system|steady|high_resolution)_clock::now\b|\bstd::random_device\b", _PURE_CODE,
              [], "time and randomness are parameters of the pure code"),
}

# --- Banned in every text file --------------------------------------------------------------------

BANNED_TEXT = {
    "absolute-path": (r"(^|[^A-Za-z0-9_.])/(home|root|work)/", "name no place of one machine"),
}

# --- Exceptions -----------------------------------------------------------------------------------
#
# (rule, path): reason. One that is no longer needed is an error.

EXCEPTIONS = {
}


def compiled(table):
    """The same table with its patterns compiled; the pattern is the first of each row."""
    return {name: (re.compile(row[0], re.MULTILINE), *row[1:]) for name, row in table.items()}
