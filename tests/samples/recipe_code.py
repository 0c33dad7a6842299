#!/usr/bin/env python3
"""Writes the C++ program of a section of a document to standard output; it finds its broker where
BROKERD_SERVER says instead of at the address that is shown.

Usage: recipe_code.py DOCUMENT HEADING
"""
import pathlib
import re
import sys

SHOWN_ADDRESS = '"127.0.0.1:4650"'


def program_of(document, heading):
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", document, re.S | re.M)
    programs = re.findall(r"^```cpp\n(.*?)^```$", section[1] if section else "", re.S | re.M)
    if len(programs) != 1:
        sys.exit(f"the section {heading!r} has {len(programs)} C++ programs, not one")
    return programs[0]


path, heading = sys.argv[1:]
program = program_of(pathlib.Path(path).read_text(), heading)
print("#include <cstdlib>\n" + program.replace(SHOWN_ADDRESS, 'std::getenv("BROKERD_SERVER")'))
