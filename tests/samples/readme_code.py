#!/usr/bin/env python3
"""Compiles the C++ programs of documents as a user would: C++20, public headers, all warnings.

Usage: readme_code.py COMPILER DOCUMENT...
"""
import pathlib
import re
import subprocess
import sys

command = [sys.argv[1], "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
           "-Iclient/include", "-x", "c++", "-"]
for document in sys.argv[2:]:
    text = pathlib.Path(document).read_text()
    programs = re.findall(r"^```cpp\n(.*?)^```$", text, re.S | re.M)
    if not programs:
        sys.exit(f"{document} has no C++ program")
    for number, program in enumerate(programs, 1):
        if subprocess.run(command, input=program, text=True).returncode != 0:
            sys.exit(f"program {number} of {document} does not compile")
    print(f"{document}: {len(programs)} programs compile")
