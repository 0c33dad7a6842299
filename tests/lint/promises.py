#!/usr/bin/env python3
"""Lists what brokerd promises, each promise with the tests that hold it.

Usage: promises.py [--check] [TOP_DIRECTORY]

Writes tests/PROMISES.md from tests/lint/promises.txt and the annotations of the tests: comments
"Promise: ID, ID" directly above a test, see tests/README.md. With --check it writes nothing; it
prints one line per finding and exits 1 if there is any.
"""

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import rules  # noqa: E402

PROMISES = "tests/lint/promises.txt"
TABLE = "tests/PROMISES.md"
RENEW = "renew it: tools/dev promises"

ID = r"[a-z_]+\.[a-z_]+"
GROUP_LINE = re.compile(r"\[(.+)\]")
PROMISE_LINE = re.compile(rf"({ID}): (\S.*)")

# How a comment begins, by the end of a file's name, and how an annotation looks in it.
COMMENTS = {".cpp": "//", ".py": "#", "CMakeLists.txt": "#", ".md": "<!--"}
ANNOTATION = r"^[ \t]*{} *(promises?) *:(.*)$"
IDS = re.compile(rf"{ID}(?:, {ID})*")

GTEST = re.compile(r"(TYPED_)?TEST(_[FP])?\(\s*(\w+),\s*(\w+)\)")
INSTANCE = re.compile(r"INSTANTIATE_(?:TYPED_)?TEST_SUITE_P\(\s*(\w+),\s*(\w+),")
PYTHON_CLASS = re.compile(r"^class (\w+)", re.MULTILINE)
PYTHON_TEST = re.compile(r"[ \t]+(?:async )?def (test_\w+)\(")
CMAKE_TEST = re.compile(r"[ \t]*(add_test\(NAME |brokerd_fuzz_target\(NAME |add_\w*consumer_test\()"
                        r"([\w.${}]+)")
CMAKE_PREFIXES = {"brokerd_fuzz_target(NAME ": "fuzz.replay.", "add_test(NAME ": ""}
SECTION = re.compile(r"## (.+)\n((?:(?!## ).*\n)*)")
# What runs the blocks of a document.
BLOCKS = {"```console\n": {"tools/RECIPES.md": "samples.recipes",
                           "README.md": "samples.readme_session"},
          "```cpp\n": {"tools/RECIPES.md": "samples.readme_code",
                       "README.md": "samples.readme_code"}}

INTRODUCTION = f"""# What is promised, and which test holds it

Each line is a promise to who uses brokerd, with tests that fail when it is broken, named as ctest
names them (`*`: all instances). Generated from the annotations of the tests and
[promises.txt](lint/promises.txt); [README.md](README.md#promises) says how, and a test that it is
up to date.
"""


class Promises:
    """The promises of one tree, and the tests found for them."""

    def __init__(self, top):
        self.top = Path(top)
        self.findings = []
        self.groups = []  # (name, [id, ...])
        self.sentences = {}
        self.tests = {}  # id: [(name, path), ...]

    def report(self, path, line, text):
        self.findings.append(f"{path}:{line}: {text}")

    def read(self):
        self.read_promises()
        for path in self.paths():
            try:
                text = (self.top / path).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            self.read_tests(path, text)
        for promise in self.sentences:
            if promise not in self.tests:
                self.report(PROMISES, 1, f"no test holds {promise}")

    def paths(self):
        for directory, subdirectories, names in os.walk(self.top / "tests"):
            subdirectories[:] = sorted(
                name for name in subdirectories if name not in rules.SKIPPED_DIRECTORIES)
            for name in sorted(names):
                path = (Path(directory) / name).relative_to(self.top).as_posix()
                if path.endswith((".cpp", ".py", "CMakeLists.txt")):
                    yield path
        yield from (path for path in ("README.md", "tools/RECIPES.md")
                    if (self.top / path).exists())

    # --- what is promised ---

    def read_promises(self):
        promise = None
        text = (self.top / PROMISES).read_text(encoding="utf-8")
        for number, line in enumerate(text.split("\n"), 1):
            if not line or line.startswith("#"):
                promise = None
            elif match := GROUP_LINE.fullmatch(line):
                self.groups.append((match[1], []))
            elif promise and line.startswith("    "):
                self.sentences[promise] += " " + line.strip()
            elif (match := PROMISE_LINE.fullmatch(line)) and self.groups:
                promise = match[1]
                if promise in self.sentences:
                    self.report(PROMISES, number, f"{promise} is promised twice")
                else:
                    self.groups[-1][1].append(promise)
                self.sentences[promise] = match[2]
            else:
                self.report(PROMISES, number, 'neither "[GROUP]" nor "ID: SENTENCE"')

    # --- which test holds it ---

    def read_tests(self, path, text):
        comment = next(comment for end, comment in COMMENTS.items() if path.endswith(end))
        found = re.compile(ANNOTATION.format(comment), re.MULTILINE | re.IGNORECASE)
        ids = []
        end = 0
        for match in found.finditer(text):
            if ids and match.start() != end:
                self.hold(path, text, end, ids)
                ids = []
            end = match.end() + 1
            number = text.count("\n", 0, match.start()) + 1
            listed = match[2].removesuffix("-->").strip()
            if match[1] != "Promise" or not IDS.fullmatch(listed):
                self.report(path, number, 'an annotation looks like "Promise: ID, ID"')
                continue
            for promise in listed.split(", "):
                if promise in self.sentences:
                    ids.append(promise)
                else:
                    self.report(path, number, f"{promise} is not promised in {PROMISES}")
        if ids:
            self.hold(path, text, end, ids)

    def hold(self, path, text, position, ids):
        """Enters the test that begins at the position as one that holds these promises."""
        names = self.names_of(path, text, position)
        if not names:
            line = text.count("\n", 0, position)
            self.report(path, line, f"the annotation {', '.join(ids)} stands above no test")
        for promise in ids:
            self.tests.setdefault(promise, []).extend((name, path) for name in names)

    @staticmethod
    def names_of(path, text, position):
        """What ctest calls the test at the position, of documents with the section it runs."""
        if path.endswith(".cpp"):
            return gtest_names(text, position)
        if path.endswith(".py"):
            return python_names(path, text, position)
        if path.endswith(".md"):
            return section_names(path, text, position)
        match = CMAKE_TEST.match(text, position)
        if not match:
            return []
        name = CMAKE_PREFIXES.get(match[1], "consumer.") + match[2]
        return ["`" + re.sub(r"\$\{\w+\}", "*", name) + "`"]

    # --- the table ---

    def table(self):
        text = INTRODUCTION
        for name, promises in self.groups:
            text += f"\n## {name}\n\n| promise | held by | in |\n|---|---|---|\n"
            for promise in promises:
                first = f"{self.sentences[promise]} `{promise}`"
                for test, path in sorted(set(self.tests.get(promise, []))):
                    link = os.path.relpath(path, Path(TABLE).parent)
                    text += f"| {first} | {test} | [{path}]({link}) |\n"
                    first = ""
        return text


def gtest_names(text, position):
    match = GTEST.match(text, position)
    if not match:
        return []
    typed, kind, suite, name = match.groups()
    if typed:
        return [f"`{suite}/*.{name}`"]
    if kind == "_P":
        return [f"`{prefix}/{suite}.{name}/*`"
                for prefix, instantiated in INSTANCE.findall(text) if instantiated == suite]
    return [f"`{suite}.{name}`"]


def python_names(path, text, position):
    """A file is one test of ctest: tests/interop/test_protocol.py is interop.protocol."""
    match = PYTHON_TEST.match(text, position)
    classes = PYTHON_CLASS.findall(text, 0, position)
    if not match or not classes:
        return []
    path = Path(path)
    stem = path.stem.removeprefix("test_").removesuffix("_test")
    return [f"`{path.parent.name}.{stem}`: `{classes[-1]}.{match[1]}`"]


def section_names(path, text, position):
    match = SECTION.match(text, position)
    if not match:
        return []
    return [f"`{tests[path]}`: {match[1]}" for block, tests in BLOCKS.items() if block in match[2]]


def main():
    arguments = sys.argv[1:]
    check = "--check" in arguments
    if check:
        arguments.remove("--check")
    top = Path(arguments[0] if arguments else Path(__file__).resolve().parents[2])
    promises = Promises(top)
    promises.read()
    table = promises.table()
    path = top / TABLE
    if not check:
        path.write_text(table, encoding="utf-8")
    elif not path.exists() or path.read_text(encoding="utf-8") != table:
        promises.report(TABLE, 1, f"it is not what the annotations of the tests say; {RENEW}")
    for finding in promises.findings:
        print(finding)
    count = len(promises.findings)
    print(f"promises: {count} findings" if count else
          f"promises: {len(promises.sentences)}, each held by a test")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
