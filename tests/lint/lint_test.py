#!/usr/bin/env python3
"""Shows that every rule of the lint bites, and that it leaves good code alone."""

import contextlib
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
import lint  # noqa: E402
import rules  # noqa: E402

PURPOSE = "// A file for a test of the lint.\n"
HEADER = PURPOSE + "#pragma once\n"


def findings_of(files):
    """The (rule, path) pairs the lint reports for a tree with these files."""
    with tempfile.TemporaryDirectory() as top:
        for path, text in files.items():
            target = Path(top) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        run = lint.Lint(top)
        run.run()
        return [(finding.split("[")[1].split("]")[0], finding.split(":")[0])
                for finding in run.findings]


@contextlib.contextmanager
def exceptions(table):
    """The given exceptions in place of the real ones."""
    real, rules.EXCEPTIONS = rules.EXCEPTIONS, table
    try:
        yield
    finally:
        rules.EXCEPTIONS = real


class LintTest(unittest.TestCase):
    def setUp(self):
        context = exceptions({})
        context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def assert_bites(self, rule, path, text):
        self.assertEqual(findings_of({path: text}), [(rule, path)], text)

    def assert_clean(self, path, text):
        self.assertEqual(findings_of({path: text}), [], text)

    def test_include_direction(self):
        for path, included in [
            ("client/src/a.cpp", "broker/base/assert.hpp"),
            ("broker/session/a.cpp", "client/src/a.hpp"),
            ("broker/app/a.cpp", "client/src/a.hpp"),
            ("protocol/types/a.hpp", "protocol/codec/frame.hpp"),
            ("protocol/codec/a.hpp", "protocol/transport/stream.hpp"),
            ("protocol/codec/a.hpp", "broker/base/assert.hpp"),
            ("broker/base/a.hpp", "broker/domain/topic.hpp"),
            ("broker/config/a.hpp", "broker/engine/engine.hpp"),
            ("broker/domain/a.hpp", "broker/storage/store.hpp"),
            ("broker/domain/a.hpp", "protocol/transport/stream.hpp"),
            ("broker/storage/a.hpp", "broker/engine/engine.hpp"),
            ("broker/engine/a.hpp", "broker/session/session.hpp"),
            ("broker/session/a.hpp", "broker/storage/store.hpp"),
            ("broker/session/a.hpp", "broker/app/app.hpp"),
            ("tools/brokerctl/a.hpp", "broker/engine/engine.hpp"),
        ]:
            self.assert_bites("include-direction", path, f'{HEADER}#include "{included}"\n')
        self.assert_bites("include-direction", "broker/app/a.cpp",
                          PURPOSE + "#include <brokerd/client.hpp>\n")

    def test_allowed_includes(self):
        for path, included in [
            ("protocol/codec/a.hpp", '"protocol/types/ids.hpp"'),
            ("protocol/transport/a.hpp", "<asio/awaitable.hpp>"),
            ("client/src/a.hpp", '"protocol/transport/stream.hpp"'),
            ("client/src/a.hpp", "<brokerd/client.hpp>"),
            ("client/src/a.hpp", '"brokerd/client.hpp"'),
            ("client/include/brokerd/a.hpp", "<brokerd/message.hpp>"),
            ("broker/domain/a.hpp", '"broker/base/assert.hpp"'),
            ("broker/storage/a.hpp", "<rocksdb/db.h>"),
            ("broker/session/a.hpp", '"broker/engine/engine.hpp"'),
            ("broker/app/a.hpp", "<CLI/CLI.hpp>"),
            ("broker/main.cpp", '"broker/app/app.hpp"'),
            ("tools/brokerctl/a.hpp", "<CLI/CLI.hpp>"),
            ("tests/sim/a.hpp", '"broker/domain/broker_state.hpp"'),
        ]:
            self.assert_clean(path, f"{HEADER}#include {included}\n")

    def test_libraries(self):
        for path, included in [
            ("protocol/codec/a.hpp", "asio/buffer.hpp"),
            ("broker/domain/a.hpp", "asio.hpp"),
            ("broker/domain/a.hpp", "rocksdb/slice.h"),
            ("broker/engine/a.hpp", "rocksdb/db.h"),
            ("broker/config/a.hpp", "CLI/CLI.hpp"),
            ("client/src/a.hpp", "CLI/CLI.hpp"),
            ("protocol/types/a.hpp", "spdlog/spdlog.h"),
            ("client/src/a.hpp", "nlohmann/json.hpp"),
            ("client/include/brokerd/a.hpp", "fmt/format.h"),
            ("broker/base/a.hpp", "gtest/gtest.h"),
            ("broker/domain/a.hpp", "thread"),
            ("protocol/codec/a.hpp", "fstream"),
        ]:
            self.assert_bites("include-library", path, f"{HEADER}#include <{included}>\n")

    def test_include_paths(self):
        self.assert_bites("include-path", "broker/base/a.cpp", PURPOSE + '#include "a.hpp"\n')
        self.assert_bites("include-public", "client/include/brokerd/a.hpp",
                          HEADER + '#include "protocol/types/ids.hpp"\n')

    def test_text(self):
        long_line = "// " + "x" * rules.COLUMNS_MAX + "\n"
        self.assert_bites("columns", "broker/base/a.cpp", PURPOSE + long_line)
        self.assert_bites("columns", "tools/test", long_line)
        self.assert_bites("tab", "broker/base/a.cpp", PURPOSE + "\tint a;\n")
        self.assert_bites("trailing-space", "tools/cmake/a.cmake", "set(a b) \n")
        self.assert_bites("last-line", "broker/base/a.cpp", PURPOSE + "int a;")
        self.assert_clean("broker/base/a.cpp", PURPOSE + "// " + "\u00e4" * 97 + "\n")
        self.assert_clean("broker/base/a.hpp", HEADER + "#define A " + "a" * 90 + " \\\n    a\n")

    def test_purpose(self):
        self.assert_bites("purpose", "broker/base/a.cpp", "int a;\n")
        self.assert_bites("purpose", "broker/base/a.hpp", "#pragma once\n" + PURPOSE)
        self.assert_bites("pragma-once", "broker/base/a.hpp", PURPOSE + "int a;\n")

    def test_sizes(self):
        self.assert_bites("file-size", "broker/base/a.cpp",
                          PURPOSE + "int a;\n" * rules.FILE_LINES_MAX)
        self.assert_clean("tests/sim/a.cpp", PURPOSE + "int a;\n" * rules.FILE_LINES_MAX)
        self.assert_bites("file-size", "tests/sim/a.cpp",
                          PURPOSE + "int a;\n" * rules.TEST_FILE_LINES_MAX)
        body = "    ++a;\n" * (rules.FUNCTION_LINES_MAX + 1)
        self.assert_bites("function-size", "broker/base/a.cpp",
                          f"{PURPOSE}void grow(int& a) {{\n{body}}}\n")

    def test_banned(self):
        def body(statement):
            return f"{PURPOSE}void run() {{\n    {statement}\n}}\n"

        sleep = body("std::this_thread::sleep_for(std::chrono::seconds(1));")
        for path in ("tests/unit/base/a.cpp", "tests/sim/a.cpp", "tests/conformance/a.cpp"):
            self.assert_bites("sleep", path, sleep)
        self.assert_clean("tests/crash/a.cpp", sleep)
        self.assert_bites("using-namespace-std", "broker/base/a.cpp",
                          PURPOSE + "using namespace std;\n")
        self.assert_clean("broker/base/a.cpp", PURPOSE + "using namespace std::chrono_literals;\n")
        self.assert_bites("rand", "tests/sim/a.cpp", body("int a = std::rand();"))
        self.assert_clean("tests/sim/a.cpp", body("int a = seeded.rand();"))
        detached = body("asio::co_spawn(executor, work(), asio::detached);")
        self.assert_bites("detached", "broker/session/a.cpp", detached)
        self.assert_clean("tests/integration/a.cpp", detached)
        self.assert_bites("detached", "broker/session/a.cpp", body("thread.detach();"))
        self.assert_bites("clock", "broker/domain/a.cpp",
                          body("auto a = std::chrono::steady_clock::now();"))

    def test_lambda_coroutine(self):
        for closure in ("[this]() -> asio::awaitable<void> { co_return; }",
                        "[&](int a) mutable -> awaitable<int> { co_return a; }",
                        "[self = shared_from_this()]\n    -> asio::awaitable<void> { co_return; }"):
            self.assert_bites("lambda-coroutine", "broker/session/a.cpp",
                              f"{PURPOSE}auto a = {closure};\n")
        self.assert_clean("broker/session/a.cpp",
                          PURPOSE + "auto a = [](int b) -> asio::awaitable<int> { co_return b; };\n"
                          "[[nodiscard]] auto work() -> asio::awaitable<void>;\n"
                          "auto c = [this](int b) -> int { return b; };\n")

    def test_comments_and_literals_are_not_code(self):
        self.assert_clean("broker/base/a.cpp", PURPOSE + '// rand() is banned\n/* rand() */\n'
                          'auto a = "rand()";\nauto b = R"x(" rand() )x";\n'
                          "auto c = 1'000;\nauto d = '\"';\n")
        self.assert_bites("rand", "broker/base/a.cpp",
                          PURPOSE + "auto a = 1'000;\nauto b = '\\'';\nauto c = rand();\n")

    def test_absolute_path(self):
        self.assert_bites("absolute-path", "README.md", "see /" + "home/someone/notes\n")
        self.assert_clean("README.md", "see docs/" + "home/notes\n")
        self.assert_clean(".git", "gitdir: /" + "home/someone/repository/.git/worktrees/a\n")

    def test_not_built(self):
        self.assertEqual(findings_of({
            "broker/base/CMakeLists.txt": "brokerd_module(NAME broker_base SOURCES a.cpp)\n",
            "broker/base/a.cpp": PURPOSE,
            "broker/base/aa.cpp": PURPOSE,
        }), [("not-built", "broker/base/aa.cpp")])

    def test_exceptions(self):
        long_file = {"broker/base/a.cpp": PURPOSE + "int a;\n" * rules.FILE_LINES_MAX}
        with exceptions({("file-size", "broker/base/a.cpp"): "a table"}):
            self.assertEqual(findings_of(long_file), [])
        with exceptions({("file-size", "broker/base/b.cpp"): "gone since"}):
            self.assertEqual(findings_of({}), [("exception", "broker/base/b.cpp")])


if __name__ == "__main__":
    unittest.main()
