#!/usr/bin/env python3
"""Compiles the C++ programs of README.md as a user would: C++20, public headers, all warnings.

Usage: readme_code.py COMPILER
"""
import pathlib
import re
import subprocess
import sys

programs = re.findall(r"^```cpp\n(.*?)^```$", pathlib.Path("README.md").read_text(), re.S | re.M)
if not programs:
    sys.exit("README.md has no C++ program")
command = [sys.argv[1], "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
           "-Iclient/include", "-x", "c++", "-"]
for number, program in enumerate(programs, 1):
    if subprocess.run(command, input=program, text=True).returncode != 0:
        sys.exit(f"program {number} of README.md does not compile")
print(f"{len(programs)} programs compile")
