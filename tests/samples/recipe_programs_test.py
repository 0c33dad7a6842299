#!/usr/bin/env python3
"""Runs C++ programs of tools/RECIPES.md with a real broker, kills them and the broker in between,
and looks at what has become of their messages.

Usage: recipe_programs_test.py DIRECTORY_OF_PROGRAMS
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAMS = pathlib.Path(sys.argv.pop(1)).resolve()
WAIT_SECONDS_MAX = 60


def wait_for(what, condition):
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.02)


class RecipePrograms(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="brokerd-recipe-")
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.address = "127.0.0.1:0"
        self.start_broker()

    def start(self, program, *arguments, **options):
        with open(self.directory / "errors.log", "ab") as log:
            process = subprocess.Popen([str(PROGRAMS / program), *map(str, arguments)],
                                       stderr=log, **options)
        self.addCleanup(self.kill, process)
        return process

    @staticmethod
    def kill(process):
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()

    def start_broker(self):
        self.broker = self.start("brokerd", "--data-dir", self.directory / "data",
                                 "--listen", self.address, stdout=subprocess.PIPE, text=True)
        line = self.broker.stdout.readline()
        self.assertTrue(line.startswith("listening on "), f"brokerd printed {line!r}")
        self.address = line.removeprefix("listening on ").strip()

    def restart_killed_broker(self):
        self.kill(self.broker)
        self.start_broker()

    def ctl(self, *arguments, **options):
        return subprocess.run(
            [str(PROGRAMS / "brokerctl"), "--server", self.address, *map(str, arguments)],
            check=True, capture_output=True, text=True, **options).stdout

    def info(self, noun, name):
        return json.loads(self.ctl(noun, "info", name, "-o", "json"))

    def payloads(self, topic):
        """Of all messages that were ever stored, in order."""
        count = self.info("topic", topic)["next_offset"]
        if count == 0:
            return []
        lines = self.ctl("message", "peek", topic, "--limit", count, "-o", "ndjson").splitlines()
        self.assertEqual(len(lines), count)
        return [json.loads(line)["payload"] for line in lines]

    # --- Publish once, whoever does it ---

    def write_table(self, name, rows):
        path = self.directory / name
        path.write_text("".join(f"{name}-{row} payload-{row}\n" for row in range(rows)))
        return path

    def relay(self, table, marked, *arguments):
        return self.start("tests/outbox_relay", self.address, table, self.directory / marked,
                          *arguments)

    # Promise: recipe.outbox
    def test_rows_are_published_once_by_a_relay_that_is_killed_before_it_marks_them(self):
        self.ctl("topic", "create", "orders")
        table = self.write_table("outbox", 7)
        for killed_at in (1, 2):  # what it has marked before stays marked
            killed = self.relay(table, "marked", killed_at)
            self.assertEqual(killed.wait(WAIT_SECONDS_MAX), -signal.SIGKILL)
        self.assertEqual(len((self.directory / "marked").read_text().splitlines()), 2)
        self.assertEqual(self.info("topic", "orders")["next_offset"], 4)
        self.restart_killed_broker()
        self.assertEqual(self.relay(table, "marked").wait(WAIT_SECONDS_MAX), 0)
        self.assertEqual(self.payloads("orders"), [f"payload-{row}" for row in range(7)])

    # Promise: recipe.outbox
    def test_rows_are_published_once_by_two_relays_at_once(self):
        self.ctl("topic", "create", "orders")
        table = self.write_table("outbox", 100)
        both = [self.relay(table, f"marked-{relay}") for relay in range(2)]
        for relay in both:
            self.assertEqual(relay.wait(WAIT_SECONDS_MAX), 0)
        self.assertEqual(sorted(self.payloads("orders")),
                         sorted(f"payload-{row}" for row in range(100)))

    # --- Consume, transform, produce: exactly once ---

    def transformer(self):
        return self.start("tests/recipe_transform", stdout=subprocess.DEVNULL,
                          env=dict(os.environ, BROKERD_SERVER=self.address))

    # Promise: recipe.transform
    def test_each_order_has_one_invoice_whatever_is_killed(self):
        orders = [f"order-{number}" for number in range(300)]
        self.ctl("queue", "create", "orders/billing", "--backoff", "10ms", "--jitter", 0)
        self.ctl("message", "publish", "orders", "--lines",
                 input="".join(f"{order}\n" for order in orders))
        def done():
            return self.info("queue", "orders/billing")["done"]

        first = self.transformer()
        wait_for("the first invoice", lambda: done() > 0)
        self.kill(first)
        before = done()
        second = self.transformer()
        wait_for("the second one to work", lambda: done() > before)
        self.restart_killed_broker()
        before = done()
        if before < len(orders):
            wait_for("it to go on", lambda: done() > before)
        self.kill(second)
        self.transformer()
        wait_for("the last invoice", lambda: done() == len(orders))
        self.assertEqual(sorted(self.payloads("invoices")), sorted(orders))
        # Where the work was done, a reminder is scheduled, and nowhere else.
        scheduled = self.ctl("schedule", "ls", "reminders", "-o", "ndjson").splitlines()
        self.assertEqual(len(scheduled), len(orders))


unittest.main()
