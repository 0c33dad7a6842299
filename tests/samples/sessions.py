#!/usr/bin/env python3
"""Runs the sessions a document shows (its console blocks), command by command, each in a shell and
with a broker of its own, and compares what the programs print with what the document says; times,
names and ports are masked.

Usage: sessions.py DIRECTORY_OF_PROGRAMS DOCUMENT
"""
import os
import pathlib
import queue
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

COMMAND_SECONDS_MAX = 30
END = "--- end of command ---"
MASKS = [
    (r"127\.\d+\.\d+\.\d+:\d+", "ADDRESS"),
    (r"brokerctl@[^ ]+:\d+", "CONSUMER"),
    (r"\b(\d+ ?(ms|s|min|h|d))+\b", "TIME"),
    (r" +", " "),
]


def masked(line):
    for pattern, word in MASKS:
        line = re.sub(pattern, word, line)
    return line.rstrip()


def sessions_of(document):
    """[(command, [line of output, ...]), ...] of each console block."""
    for block in re.findall(r"^```console\n(.*?)^```$", document, re.S | re.M):
        steps = []
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
        yield steps


def starts_broker(command):
    return command.split("#")[0].rstrip().endswith("&")


class Shell:
    """One bash, and the lines it and its children print."""

    def __init__(self, directory, environment):
        self.process = subprocess.Popen(
            ["bash"], cwd=directory, env=environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1,
            start_new_session=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def run(self, command):
        """What the command prints. One that starts the broker is done when it listens."""
        self.process.stdin.write(f"{command}\necho '{END}'\n")
        deadline = time.monotonic() + COMMAND_SECONDS_MAX
        printed, ended, listening = [], False, not starts_broker(command)
        while not (ended and listening):
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                sys.exit(f"no end of: {command}\nprinted so far: {printed}")
            if line == END:
                ended = True
            else:
                printed.append(line)
                listening = listening or line.startswith("listening on ")
        return printed

    def stop(self):
        os.killpg(self.process.pid, 9)
        self.process.wait()


def free_address():
    """Of this run alone: at 127.0.0.1 another test may take the port meanwhile, as a broker's or
    for a connection of its own."""
    host = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(2, 254)}"
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"{host}:{probe.getsockname()[1]}"


def run(steps, programs):
    """How many of the commands print something else than they should."""
    address = free_address()
    environment = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}",
                       BROKERD_LISTEN=address, BROKERD_SERVER=address)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="brokerd-session-") as directory:
        shell = Shell(directory, environment)
        try:
            for command, expected in steps:
                printed = shell.run(command)
                if [masked(line) for line in printed] != [masked(line) for line in expected]:
                    wrong += 1
                    print(f"$ {command}", *(f"expected: {line}" for line in expected),
                          *(f"printed:  {line}" for line in printed), sep="\n")
        finally:
            shell.stop()
    return wrong


def main():
    programs, document = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    sessions = list(sessions_of(pathlib.Path(document).read_text()))
    commands = sum(len(steps) for steps in sessions)
    wrong = sum(run(steps, programs) for steps in sessions)
    if wrong or not commands:
        sys.exit(f"{wrong} of {commands} commands print something else than {document} shows")
    print(f"{commands} commands print what {document} shows")


main()
