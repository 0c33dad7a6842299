#!/usr/bin/env python3
"""Checks the sources for what neither the compiler nor clang-format sees.

Usage: lint.py [TOP_DIRECTORY]

Prints one line per finding, "path:line: [rule] text", and exits 1 if there is any. The rules and
the exceptions are in rules.py.
"""

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import rules  # noqa: E402

BANNED = rules.compiled(rules.BANNED)
BANNED_TEXT = rules.compiled(rules.BANNED_TEXT)
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
# A raw string, a string, a character, a comment: in the order they must be tried.
LITERAL_OR_COMMENT = re.compile(
    r'R"([^\s()\\]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'|//[^\n]*|/\*.*?\*/", re.DOTALL)


def below(path, prefix):
    """Whether a path is the given file or directory, or below it."""
    return prefix == "" or path == prefix or path.startswith(prefix.rstrip("/") + "/")


def below_any(path, prefixes):
    return any(below(path, prefix) for prefix in prefixes)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def code_of(text):
    """The text without comments and contents of literals, on the same lines."""
    def blank(match):
        token = match.group(0)
        lines = "\n" * token.count("\n")
        return '""' + lines if token[0] in "\"'R" else lines or " "
    return LITERAL_OR_COMMENT.sub(blank, text)


def module_of(path):
    found = [module for module in rules.MODULES if below(path, module)]
    return max(found, key=len, default=None)


class Lint:
    """One run over one tree."""

    def __init__(self, top):
        self.top = Path(top)
        self.findings = []
        self.notes = []
        self.used_exceptions = set()

    def report(self, rule, path, line, text):
        if (rule, path) in rules.EXCEPTIONS:
            self.used_exceptions.add((rule, path))
            return
        self.findings.append(f"{path}:{line}: [{rule}] {text}")

    def paths(self):
        for directory, subdirectories, names in os.walk(self.top):
            subdirectories[:] = sorted(
                name for name in subdirectories if name not in rules.SKIPPED_DIRECTORIES)
            # A linked worktree has a file .git.
            for name in sorted(set(names) - rules.SKIPPED_DIRECTORIES):
                path = (Path(directory) / name).relative_to(self.top).as_posix()
                if not any(path.startswith(prefix) for prefix in rules.SKIPPED_PREFIXES):
                    yield path

    def run(self):
        """Checks all files; true when there is nothing to complain about."""
        sources = []
        for path in self.paths():
            try:
                text = (self.top / path).read_text(encoding="utf-8")
            except (UnicodeDecodeError, FileNotFoundError):
                continue  # not text, or gone since the directory was read
            self.check_text(path, text)
            if path.endswith(rules.SOURCE_SUFFIXES):
                sources.append(path)
                self.check_source(path, text)
        self.check_listed(sources)
        for rule, path in sorted(set(rules.EXCEPTIONS) - self.used_exceptions):
            self.findings.append(f"{path}:1: [exception] the exception from {rule} is not needed")
        return not self.findings

    # --- any text file ---

    def check_text(self, path, text):
        for rule, (pattern, advice) in BANNED_TEXT.items():
            for match in pattern.finditer(text):
                self.report(rule, path, line_of(text, match.end()), advice)
        if not path.endswith(rules.TEXT_SUFFIXES) and not below_any(path, rules.TEXT_PREFIXES):
            return
        for number, line in enumerate(text.split("\n"), 1):
            # clang-format may put the mark that continues a macro beyond the limit.
            columns = len(line.removesuffix("\\").rstrip())
            if columns > rules.COLUMNS_MAX:
                self.report("columns", path, number, f"{columns} columns")
            if "\t" in line:
                self.report("tab", path, number, "a tab")
            if line != line.rstrip():
                self.report("trailing-space", path, number, "space at the end of the line")
        if text and not text.endswith("\n"):
            self.report("last-line", path, text.count("\n") + 1, "no newline at the end")

    # --- C++ ---

    def check_source(self, path, text):
        code = code_of(text)
        if not re.match(r"\s*(//|/\*)\s*\S", text):
            self.report("purpose", path, 1, "starts without a comment that states its purpose")
        if path.endswith(".hpp") and not re.search(r"^#pragma once$", text, re.MULTILINE):
            self.report("pragma-once", path, 1, "no #pragma once")
        self.check_sizes(path, text)
        self.check_banned(path, code)
        self.check_includes(path, text)

    def check_sizes(self, path, text):
        lines = text.count("\n")
        is_test = below(path, "tests")
        lines_max = rules.TEST_FILE_LINES_MAX if is_test else rules.FILE_LINES_MAX
        if lines > lines_max:
            self.report("file-size", path, lines, f"{lines} lines, at most {lines_max}")
        elif lines > rules.FILE_LINES_NOTED:
            self.notes.append(f"{path}: {lines} lines: is there a missing noun?")
        if is_test:
            return
        start = None
        for number, line in enumerate(text.split("\n"), 1):
            if re.match(r"[A-Za-z].*\)[\w\s:>&*<-]*\{$", line):
                start = number
            elif line == "}" and start is not None:
                if number - start - 1 > rules.FUNCTION_LINES_MAX:
                    self.report("function-size", path, start,
                                f"{number - start - 1} lines, at most {rules.FUNCTION_LINES_MAX}")
                start = None

    def check_banned(self, path, code):
        for rule, (pattern, only, but_not, advice) in BANNED.items():
            if below_any(path, only) and not below_any(path, but_not):
                for match in pattern.finditer(code):
                    self.report(rule, path, line_of(code, match.start()), advice)

    def check_includes(self, path, text):
        for number, line in enumerate(text.split("\n"), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quote, included = match.groups()
            if included.startswith("brokerd/"):
                self.check_own_include(path, number, "client/include/" + included)
            elif quote == '"':
                self.check_own_include(path, number, included)
            else:
                self.check_library_include(path, number, included)

    def check_own_include(self, path, number, included):
        target = module_of(included)
        own = module_of(path)
        if target is None:
            self.report("include-path", path, number,
                        f'"{included}" does not start at the top of the repository')
        elif below(path, "client/include") and not below(included, "client/include"):
            self.report("include-public", path, number,
                        f'a public header includes "{included}", which is not installed')
        elif own is not None and not below_any(included, [own, *rules.MODULES[own]]):
            self.report("include-direction", path, number, f'{own} may not use "{included}"')

    def check_library_include(self, path, number, included):
        for pattern, allowed in rules.LIBRARIES.items():
            if re.match(pattern, included) and not below_any(path, allowed):
                self.report("include-library", path, number, f"<{included}> has no place here")

    def check_listed(self, sources):
        """Every .cpp is named by the CMakeLists.txt next to it or above it, or by tools/cmake."""
        shared = "".join(file.read_text() for file in self.top.glob("tools/cmake/*.cmake"))
        for path in sources:
            if not path.endswith(".cpp") or path in shared:
                continue
            directory = Path(path).parent
            while directory != Path(".") and not (self.top / directory / "CMakeLists.txt").exists():
                directory = directory.parent
            if directory == Path("."):
                continue
            name = Path(path).relative_to(directory).as_posix()
            lists = (self.top / directory / "CMakeLists.txt").read_text()
            if not re.search(rf"(^|[\s/(\"]){re.escape(name)}\b", lists):
                self.report("not-built", path, 1, f"not listed in {directory}/CMakeLists.txt")


def main():
    top = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    lint = Lint(top)
    passed = lint.run()
    for note in lint.notes:
        print("note:", note)
    for finding in lint.findings:
        print(finding)
    print("lint: no findings" if passed else f"lint: {len(lint.findings)} findings")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
