"""Servers that run for one measurement: each has its own directory, ports and session, listens on
the loopback address only, and is killed and removed with everything it wrote.

A server has `name`, `program()` (its path, or None), `version` (once known), `keeps(durability)`
(whether an answer can stand for that) and `start`, which is a context manager.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

START_TIMEOUT_S = 60
LOG_LINES = 15


class Failure(Exception):
    """What to tell the user, as it is."""


class StartFailure(Failure):
    """A server does not start, whatever it is wanted for."""

    def __init__(self, name, log):
        super().__init__(f"{name} does not start; the end of its log:\n{end_of_log(log)}")


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def find_program(name, *more_directories):
    path = os.pathsep.join([*more_directories, os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    return shutil.which(name, path=path)


def processes_of_session(leader):
    """The numbers of all processes in the session that `leader` began."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == leader:
                    found.append(int(entry.name))
    return found


def resident_mib(leader):
    """Of the session, in MiB."""
    pages = 0
    for pid in processes_of_session(leader):
        with contextlib.suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def kill_session(process):
    for pid in processes_of_session(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()


def end_of_log(path):
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "\n".join(lines[-LOG_LINES:]) or "(it said nothing)"


class Running:
    """A started server; `session` is the number of the process that began its session."""

    def __init__(self, process, port, start_ms):
        self.session = process.pid
        self.port = port
        self.start_ms = start_ms

    def resident_mib(self):
        return resident_mib(self.session)


class Server:
    name = ""
    greeting = b""  # what to say so that the server says something

    def __init__(self):
        self.version = None

    def program(self):
        return find_program(self.name + "-server")

    def keeps(self, durability):
        return True

    def command(self, directory, port, durability):
        """The command line, after writing what it needs into the directory."""
        raise NotImplementedError

    def environment(self, directory):
        return None

    def note_version(self, reply):
        pass

    @contextlib.contextmanager
    def companion(self, directory):
        """What has to run beside the server."""
        yield

    @contextlib.contextmanager
    def start(self, parent, durability):
        directory = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=parent))
        log = directory / "log"
        try:
            port = free_port()
            command = self.command(directory, port, durability)
            with self.companion(directory), open(log, "wb") as out:
                begin = time.monotonic()
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                           stderr=out, cwd=directory, start_new_session=True,
                                           env=self.environment(directory))
                try:
                    self.wait_until_ready(process, port, begin, log)
                    yield Running(process, port, (time.monotonic() - begin) * 1000)
                finally:
                    kill_session(process)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def wait_until_ready(self, process, port, begin, log):
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
                    probe.settimeout(START_TIMEOUT_S)
                    probe.sendall(self.greeting)
                    reply = probe.recv(65536)
                    if reply:
                        self.note_version(reply)
                        return
            except OSError:
                pass
            if process.poll() is not None or time.monotonic() - begin > START_TIMEOUT_S:
                raise StartFailure(self.name, log)
            time.sleep(0.002)


class Redis(Server):
    name = "redis"
    greeting = b"PING\r\n"

    def __init__(self):
        super().__init__()
        if self.program():
            said = subprocess.run([self.program(), "--version"], capture_output=True, text=True)
            found = re.search(r"v=([\d.]+)", said.stdout)
            self.version = found.group(1) if found else "?"

    def command(self, directory, port, durability):
        stored = {"disk": "appendonly yes\nappendfsync always\n",
                  "os": "appendonly yes\nappendfsync everysec\n",
                  "none": "appendonly no\n"}[durability]
        config = directory / "redis.conf"
        config.write_text(f'bind 127.0.0.1\nport {port}\ndir "{directory}"\nsave ""\n{stored}'
                          # Rewriting what was just written would be measured as well.
                          "auto-aof-rewrite-percentage 0\n")
        return [self.program(), str(config)]


class Nats(Server):
    name = "nats"
    always_since = (2, 10)  # sync_interval: always

    def __init__(self):
        super().__init__()
        if self.program():
            said = subprocess.run([self.program(), "--version"], capture_output=True, text=True)
            found = re.search(r"v([\d.]+)", said.stdout + said.stderr)
            self.version = found.group(1) if found else "?"

    def keeps(self, durability):
        if durability != "disk":
            return True
        return tuple(map(int, re.findall(r"\d+", self.version)[:2])) >= self.always_since

    def command(self, directory, port, durability):
        sync = "sync_interval: always" if durability == "disk" and self.keeps("disk") else ""
        config = directory / "nats.conf"
        config.write_text(f'listen: "127.0.0.1:{port}"\n'
                          f'jetstream {{\n  store_dir: "{directory}/data"\n  {sync}\n}}\n')
        return [self.program(), "-c", str(config)]


class RabbitMq(Server):
    name = "rabbitmq"
    greeting = b"AMQP\x00\x00\x09\x01"

    def program(self):
        # What is in /usr/sbin of Debian changes to a user of its own.
        return find_program("rabbitmq-server", "/usr/lib/rabbitmq/bin")

    def note_version(self, reply):
        found = re.search(rb"versionS\x00\x00\x00.([\d.]+)", reply)
        self.version = found.group(1).decode() if found else "?"

    def command(self, directory, port, durability):
        (directory / "rabbitmq.conf").write_text(f"listeners.tcp.default = 127.0.0.1:{port}\n")
        (directory / "enabled_plugins").write_text("[].\n")
        (directory / "env.conf").write_text("")
        return [self.program()]

    def environment(self, directory):
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LANG": "C.UTF-8",
            "HOME": str(directory),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": (directory / "epmd.port").read_text(),
            "RABBITMQ_NODENAME": f"compare{os.getpid()}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONF_ENV_FILE": str(directory / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_LOG_BASE": str(directory),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(directory / "pid"),
        }

    @contextlib.contextmanager
    def companion(self, directory):
        """The name server of Erlang, which the node would start for good otherwise."""
        port = str(free_port())
        (directory / "epmd.port").write_text(port)
        program = find_program("epmd")
        if program is None:
            raise Failure("rabbitmq does not start: there is no epmd")
        process = subprocess.Popen([program, "-port", port, "-address", "127.0.0.1"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            yield
        finally:
            kill_session(process)


class Brokerd(Server):
    """Only to see it start and idle: `brokerctl bench --spawn` starts it for the rest."""

    name = "brokerd"

    def __init__(self, programs):
        super().__init__()
        self.programs = Path(programs)
        if self.program():
            said = subprocess.run([self.program(), "--version"], capture_output=True, text=True)
            self.version = said.stdout.split()[-1] if said.stdout.split() else "?"

    def program(self):
        path = self.programs / "brokerd"
        return str(path) if path.exists() else None

    def command(self, directory, port, durability):
        return [self.program(), "--data-dir", f"{directory}/data", "--listen",
                f"127.0.0.1:{port}", "--log-level", "warning"]

    def wait_until_ready(self, process, port, begin, log):
        while b"listening on" not in log.read_bytes():
            if process.poll() is not None or time.monotonic() - begin > START_TIMEOUT_S:
                raise StartFailure(self.name, log)
            time.sleep(0.002)


PEERS = {server.name: server for server in (Redis, Nats, RabbitMq)}
CLIENT_LIBRARIES = {"redis": "libhiredis-dev", "nats": "libnats-dev",
                    "rabbitmq": "librabbitmq-dev"}
