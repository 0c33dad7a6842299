"""What the interoperability test runs: the real brokerd, and a proxy that loses answers."""

import asyncio
import os
import pathlib
import select
import subprocess
import tempfile
import time

START_S = 30


class Broker:
    """A brokerd with a data directory of its own, on a free port that it keeps over restarts."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="brokerd-interop-")
        self.host, self.port = "127.0.0.1", 0
        self.process: subprocess.Popen | None = None

    def start(self, *options: str) -> "Broker":
        program = pathlib.Path(os.environ["BROKERD_BIN_DIR"]) / "brokerd"
        root = pathlib.Path(self.directory.name)
        with open(root / "log", "ab") as log:
            self.process = subprocess.Popen(
                [program, "--data-dir", root / "data", "--listen", f"{self.host}:{self.port}"]
                + list(options),
                stdout=subprocess.PIPE,
                stderr=log,
            )
        line = self._first_line()
        prefix = f"listening on {self.host}:"
        if not line.startswith(prefix):
            self.kill()
            raise RuntimeError(f"brokerd said {line!r}; its log:\n{self.log()}")
        self.port = int(line.removeprefix(prefix))
        return self

    def check(self) -> None:
        """Fails with its log if it ended by itself."""
        code = self.process.poll() if self.process else None
        if code is not None:
            raise RuntimeError(f"brokerd ended with exit code {code}; its log:\n{self.log()}")

    def log(self) -> str:
        return (pathlib.Path(self.directory.name) / "log").read_text(errors="replace")

    def kill(self) -> None:
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """Ends it with SIGTERM and returns its exit code."""
        self.process.terminate()
        return self._reap()

    def close(self) -> None:
        if self.process:
            self.kill()
        self.directory.cleanup()

    def _reap(self) -> int:
        process, self.process = self.process, None
        code = process.wait(START_S)
        process.stdout.close()
        return code

    def _first_line(self) -> str:
        line, deadline = b"", time.monotonic() + START_S
        stdout = self.process.stdout.fileno()
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([stdout], [], [], max(0, deadline - time.monotonic()))
            byte = os.read(stdout, 1) if readable else b""
            if not byte:
                break
            line += byte
        return line.decode()


class Proxy:
    """Stands between client and broker. While `lose_answers`, what the broker sends is dropped."""

    def __init__(self, broker: Broker):
        self.broker = broker
        self.lose_answers = False
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task] = set()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Ends all connections, on both sides, without goodbye."""
        for writer in self._writers:
            writer.transport.abort()

    async def _accepted(self, reader, writer) -> None:
        self._tasks.add(asyncio.current_task())
        self._writers.add(writer)
        try:
            up_reader, up_writer = await asyncio.open_connection(
                self.broker.host, self.broker.port
            )
            self._writers.add(up_writer)
            await asyncio.gather(
                self._pump(reader, up_writer, False), self._pump(up_reader, writer, True)
            )
        except (OSError, asyncio.CancelledError):  # streams report a cancelled handler's error
            writer.transport.abort()

    async def _pump(self, reader, writer, answers: bool) -> None:
        try:
            while data := await reader.read(1 << 16):
                if not (answers and self.lose_answers):
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.transport.abort()
