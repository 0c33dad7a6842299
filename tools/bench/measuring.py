"""What tools/bench/goals and tools/bench/growth share: a brokerd of their own, the programs that
load it, medians and tables. Only the standard library."""

import argparse
import contextlib
import ctypes
import json
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
START_S = 60
PROGRAMS = ["brokerd", "brokerctl", "bench_load", "bench_stream", "machine_floor"]


def die_with_parent():
    """In a child: nothing is left behind, even when the script is killed."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Failed(Exception):
    """A measurement that did not come about."""


class Bench:
    """Where programs and data are, and how long things may take."""

    def __init__(self, options):
        self.programs = pathlib.Path(options.bin_dir)
        # Goes at the exit, with what a program that had to be killed has left in it.
        self.own = tempfile.TemporaryDirectory(prefix="brokerd-bench-", dir=options.data_dir,
                                               ignore_cleanup_errors=True)
        self.parent = pathlib.Path(self.own.name)
        self.seconds = options.seconds
        missing = [name for name in PROGRAMS if not (self.programs / name).exists()]
        if missing:
            sys.exit(f"{', '.join(missing)}: not in {self.programs}; "
                     "build with: tools/dev build release")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.files_max = hard

    def run(self, program, *arguments, timeout_s=300):
        """Runs a program to its end; what it says as JSON."""
        command = [str(self.programs / program), *map(str, arguments)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s,
                                  preexec_fn=die_with_parent, check=False)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"{program} took more than {timeout_s} s") from late
        if done.returncode != 0:
            raise Failed(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return json.loads(done.stdout)

    def start(self, program, *arguments):
        """Starts a program that goes on until it is killed, or its standard input is closed."""
        return subprocess.Popen([self.programs / program, *map(str, arguments)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                preexec_fn=die_with_parent)

    @staticmethod
    def first_line(process):
        ready, _, _ = select.select([process.stdout], [], [], START_S)
        line = process.stdout.readline() if ready else b""
        if not line:
            raise Failed(f"{process.args[0]} says nothing")
        return json.loads(line)

    def brokerctl(self, workload, *arguments):
        """One `brokerctl bench` with a brokerd of its own, as the figures of a row."""
        timed = [] if workload == "consume" else ["--seconds", self.seconds]
        report = self.run("brokerctl", "bench", workload, "--spawn", "--data-dir", self.parent,
                          "-o", "json", *timed, *arguments, timeout_s=240)
        latency = report["latency_us"] or {}
        return {"rate": report["messages_per_second"],
                "cpu": report["server"]["cpu_seconds_per_million"],
                "p50": latency.get("p50"), "p99": latency.get("p99")}

    def load(self, phase, broker, *arguments, seconds=None, timeout_s=300):
        return self.run("bench_load", phase, "--server", broker.address,
                        "--pid", broker.process.pid, "--seconds", seconds or self.seconds,
                        *arguments, timeout_s=timeout_s)

    def floor(self):
        """What the machine gives at best just now, in the same directory."""
        return self.run("machine_floor", self.parent, 1)

    @contextlib.contextmanager
    def broker(self, *options):
        with tempfile.TemporaryDirectory(prefix="broker-", dir=self.parent) as directory:
            broker = Broker(self.programs / "brokerd", pathlib.Path(directory), options)
            try:
                broker.start()
                yield broker
            finally:
                broker.kill()


class Broker:
    """A brokerd with a directory of its own, on a free port."""

    def __init__(self, program, directory, options):
        self.program, self.directory, self.options = program, directory, options
        self.process = None
        self.address = None

    def start(self):
        """Returns the seconds until it says where it listens."""
        began = time.monotonic()
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--data-dir", self.directory / "data", "--listen", "127.0.0.1:0",
                 "--log-level", "warning", *map(str, self.options)],
                stdout=subprocess.PIPE, stderr=log, preexec_fn=die_with_parent)
        ready, _, _ = select.select([self.process.stdout], [], [], START_S)
        line = self.process.stdout.readline().decode() if ready else ""
        taken = time.monotonic() - began
        if not line.startswith("listening on "):
            log = (self.directory / "log").read_text(errors="replace")
            raise Failed(f"brokerd does not start: {line!r} {log}")
        self.address = line.removeprefix("listening on ").strip()
        return taken

    def end(self, with_signal):
        if self.process is not None:
            self.process.send_signal(with_signal)
            self.process.wait(START_S)
            self.process.stdout.close()
            self.process = None

    def stop(self):
        self.end(signal.SIGTERM)

    def kill(self):
        self.end(signal.SIGKILL)

    def resident_bytes(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")")[-1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime, stime

    def disk_bytes(self):
        """The length of its files: the log of RocksDB has room set aside that is not used yet."""
        total = 0
        for path in (self.directory / "data").rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                total += path.lstat().st_size
        return total


class Series:
    """The values of one figure in several runs."""

    def __init__(self, values):
        self.values = [value for value in values if value is not None]

    def __bool__(self):
        return bool(self.values)

    @property
    def median(self):
        return statistics.median(self.values)

    def text(self, unit):
        """The median, and from where to where the runs went."""
        if not self.values:
            return "-"
        text = with_unit(self.median, unit)
        if len(self.values) > 1:
            text += f" ({with_unit(min(self.values), unit)}-{with_unit(max(self.values), unit)})"
        return text


def digits(value):
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def with_unit(value, unit):
    if unit == "/s":
        for limit, scale, name in ((1e6, 1e6, " M"), (1e4, 1e3, " k")):
            if value >= limit:
                return f"{digits(value / scale)}{name}/s"
        return f"{digits(value)} /s"
    if unit == "us" and value >= 1e4:
        return f"{digits(value / 1e3)} ms"
    return f"{digits(value)} {unit}".strip()


def series_of(results):
    """From a list of figures by name to the series of each name."""
    names = {name: None for result in results for name in result}
    return {name: Series([result.get(name) for result in results]) for name in names}


def repeat(times, measure, name):
    """Runs a measurement so many times; tells on standard error how it goes."""
    results = []
    for number in range(times):
        print(f"{name}: run {number + 1} of {times}", file=sys.stderr, flush=True)
        results.append(measure())
    return results


class Table:
    """A Markdown table, printed row by row as it comes about."""

    def __init__(self, *columns):
        self.add(*columns)
        print("|" + "---|" * len(columns))

    @staticmethod
    def add(*cells):
        print("| " + " | ".join(cells) + " |", flush=True)


def counted(number, what):
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def arguments(description, runs, seconds):
    """The options both scripts have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--only", metavar="REGEX", default="", help="rows whose name matches")
    parser.add_argument("--list", action="store_true", help="print the names, and exit")
    parser.add_argument("--runs", type=int, default=runs, help="of each row (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=seconds,
                        help="of each run that goes by time (default %(default)s)")
    parser.add_argument("--data-dir", default=os.environ.get("TMPDIR") or "/var/tmp",
                        help="where data is put for the time, a directory on the disk to measure "
                             "(default %(default)s)")
    parser.add_argument("--bin-dir", default=TOP / "build/release/bin",
                        help="of brokerd and the others (default build/release/bin)")
    parser.add_argument("--json", metavar="FILE", help="write every single figure there")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs is at least 1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return options


def chosen(options, named):
    """Those of the rows (name first) that --only means; ends after --list."""
    wanted = [row for row in named if re.search(options.only, row.name)]
    if options.list:
        print("\n".join(row.name for row in wanted))
        sys.exit(0)
    if not wanted:
        sys.exit(f"no row is called {options.only}; --list tells their names")
    return wanted


def write_json(options, what):
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(what, indent=2) + "\n")


def free_bytes(directory):
    return shutil.disk_usage(directory).free
