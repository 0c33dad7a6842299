#!/usr/bin/env python3
"""Shows what promises.py finds wrong, and what it calls the tests of each kind."""

import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
import promises  # noqa: E402

PROMISED = "[Order]\nkeyed.order: Messages of a key come in order,\n    one at a time.\n"
HELD = "// Promise: keyed.order\nTEST_F(keyed_queue, keeps_the_order) {}\n"


class PromisesTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.top = Path(directory.name)
        self.write(promises.PROMISES, PROMISED)

    def write(self, path, text):
        target = self.top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def run_main(self, *arguments):
        """The exit code and what was printed."""
        with mock.patch.object(sys, "argv", ["promises.py", *arguments, str(self.top)]), \
                contextlib.redirect_stdout(io.StringIO()) as printed:
            return promises.main(), printed.getvalue()

    def renew(self):
        self.run_main()
        return (self.top / promises.TABLE).read_text(encoding="utf-8")

    def assert_found(self, *texts):
        """A check of an up-to-date table finds these, in this order, and nothing else."""
        self.renew()
        code, printed = self.run_main("--check")
        *findings, last = printed.splitlines()
        self.assertEqual((code, last), (1, f"promises: {len(texts)} findings"), printed)
        self.assertEqual(len(findings), len(texts), printed)
        for finding, text in zip(findings, texts):
            self.assertIn(text, finding)

    def held_by(self, path, text):
        """What the table says holds the one promise."""
        self.write(path, text)
        rows = [line for line in self.renew().splitlines() if path in line]
        self.assertEqual(self.run_main("--check")[0], 0)
        return [row.split(" | ")[1] for row in rows]

    def test_a_table_that_is_up_to_date_passes(self):
        self.write("tests/unit/a_test.cpp", HELD)
        table = self.renew()
        self.assertIn("\n## Order\n", table)
        self.assertIn("| Messages of a key come in order, one at a time. `keyed.order` "
                      "| `keyed_queue.keeps_the_order` "
                      "| [tests/unit/a_test.cpp](unit/a_test.cpp) |\n", table)
        self.assertEqual(self.run_main("--check"), (0, "promises: 1, each held by a test\n"))

    def test_a_table_that_is_missing_or_stale_is_found(self):
        self.write("tests/unit/a_test.cpp", HELD)
        for stale in (None, "older"):
            if stale:
                self.write(promises.TABLE, stale)
            code, printed = self.run_main("--check")
            self.assertEqual(code, 1)
            self.assertIn("tests/PROMISES.md:1: it is not what the annotations", printed)
            self.assertIn("tools/dev promises", printed)

    def test_a_check_writes_nothing(self):
        self.write("tests/unit/a_test.cpp", HELD)
        self.run_main("--check")
        self.assertFalse((self.top / promises.TABLE).exists())

    def test_a_promise_without_a_test_is_found(self):
        self.assert_found("tests/lint/promises.txt:1: no test holds keyed.order")

    def test_an_unknown_promise_is_found(self):
        self.write("tests/unit/a_test.cpp", HELD.replace("order\n", "order, keyed.odor\n", 1))
        self.assert_found("tests/unit/a_test.cpp:1: keyed.odor is not promised")

    def test_an_annotation_above_no_test_is_found(self):
        for below in ("\n" + HELD, "// Why.\nTEST(a, b) {}\n", "struct a {};\n", ""):
            self.write("tests/unit/a_test.cpp", HELD + "\n// Promise: keyed.order\n" + below)
            self.assert_found("tests/unit/a_test.cpp:4: the annotation keyed.order stands above no")
        # A test of parameters that nobody gives does not run.
        self.write("tests/unit/a_test.cpp", HELD + HELD.replace("TEST_F", "TEST_P"))
        self.assert_found("tests/unit/a_test.cpp:3: the annotation keyed.order stands above no")
        # A recipe without a block does not, either.
        self.write("tests/unit/a_test.cpp", HELD)
        self.write("tools/RECIPES.md", "<!-- Promise: keyed.order -->\n## Words\n\n## Others\n")
        self.assert_found("tools/RECIPES.md:1: the annotation keyed.order stands above no test")

    def test_an_annotation_with_a_mistake_is_found(self):
        for wrong in ("promise: keyed.order", "Promises: keyed.order", "Promise: keyed.order.",
                      "Promise: keyed.order keyed.order", "Promise:"):
            self.write("tests/unit/a_test.cpp", f"{HELD}// {wrong}\nTEST(a, b) {{}}\n")
            self.assert_found('tests/unit/a_test.cpp:3: an annotation looks like "Promise: ID, ID"')

    def test_a_mistake_in_the_list_is_found(self):
        self.write("tests/unit/a_test.cpp", HELD)
        self.write(promises.PROMISES, PROMISED + "keyed order\nkeyed.order: Once more.\n")
        self.assert_found('promises.txt:4: neither "[GROUP]"', "keyed.order is promised twice")
        self.write(promises.PROMISES, "keyed.order: In no group.\n" + PROMISED)
        self.assert_found('promises.txt:1: neither "[GROUP]"')

    def test_several_tests_and_several_promises(self):
        self.write(promises.PROMISES, PROMISED + "keyed.skip: Or it does not.\n")
        self.write("tests/a_test.cpp", "// Promise: keyed.order\n// Promise: keyed.skip\n"
                   "TEST(b, c) {}\n\n// Promise: keyed.skip, keyed.order\nTEST(a, b) {}\n")
        rows = [line.rsplit(" | ", 1)[0] for line in self.renew().splitlines() if "(a_" in line]
        self.assertEqual(rows, [
            "| Messages of a key come in order, one at a time. `keyed.order` | `a.b`",
            "|  | `b.c`", "| Or it does not. `keyed.skip` | `a.b`", "|  | `b.c`"])

    def test_names_of_gtest(self):
        mark = "// Promise: keyed.order\n"
        for text, name in [
            ("TEST(a, b) {}\n", "`a.b`"),
            ("TEST_F(a,\n       b) {}\n", "`a.b`"),
            ("TYPED_TEST(a, b) {}\n", "`a/*.b`"),
            ("TEST_P(a, b) {}\nINSTANTIATE_TEST_SUITE_P(\n    seeds, a, c);\n", "`seeds/a.b/*`"),
        ]:
            self.assertEqual(self.held_by("tests/a_test.cpp", mark + text), [name])

    def test_names_of_python(self):
        self.assertEqual(
            self.held_by("tests/interop/test_wire.py", "class A(B):\n    # Promise: keyed.order\n"
                         "    async def test_b(self):\n        pass\n\n\nclass C(B):\n"),
            ["`interop.wire`: `A.test_b`"])

    def test_names_of_cmake(self):
        for text, name in [
            ("add_test(NAME samples.a COMMAND b)\n", "`samples.a`"),
            ("    add_test(NAME interop.${name} COMMAND b)\n", "`interop.*`"),
            ("add_cmake_consumer_test(package a)\n", "`consumer.package`"),
            ("brokerd_fuzz_target(NAME a_fuzz SOURCES a)\n", "`fuzz.replay.a_fuzz`"),
        ]:
            self.assertEqual(
                self.held_by("tests/a/CMakeLists.txt", "# Promise: keyed.order\n" + text), [name])

    def test_names_of_recipes(self):
        self.assertEqual(
            self.held_by("tools/RECIPES.md", "<!-- Promise: keyed.order -->\n## Keep order\n\n"
                         "```console\n$ a\n```\n\n```cpp\nb\n```\n\n## Another\n"),
            ["`samples.readme_code`: Keep order", "`samples.recipes`: Keep order"])


if __name__ == "__main__":
    unittest.main()
