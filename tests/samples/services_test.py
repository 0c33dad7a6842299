#!/usr/bin/env python3
"""The sample services at their edges: bad requests, a broker that is away, a poison message, a
clean stop. The story that goes well is tools/quickstart.

Usage: services_test.py DIRECTORY_OF_PROGRAMS
"""
import http.client
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAMS = pathlib.Path(sys.argv.pop(1)).resolve()
WAIT_SECONDS_MAX = 20


def command(name, *arguments):
    return [str(PROGRAMS / name), *map(str, arguments)]


def wait_for(what, condition):
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.02)
    return result


class Services(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="brokerd-samples-")
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.broker, self.address = self.start_listening(
            "brokerd", "--data-dir", self.directory / "data", "--listen", "127.0.0.1:0")

    def start(self, name, *arguments, **pipes):
        with open(self.directory / f"{name}.log", "ab") as log:
            process = subprocess.Popen(command(name, *arguments), stderr=log, **pipes)
        self.addCleanup(self.end, process)
        return process

    def start_listening(self, name, *arguments):
        process = self.start(name, *arguments, stdout=subprocess.PIPE, text=True)
        line = process.stdout.readline()
        self.assertTrue(line.startswith("listening on "), f"{name} printed {line!r}")
        return process, line.removeprefix("listening on ").strip()

    @staticmethod
    def end(process):
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()

    def assert_stops(self, process):
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(WAIT_SECONDS_MAX), 0)

    def ctl(self, *arguments):
        return subprocess.run(command("brokerctl", "--server", self.address, *arguments),
                              check=True, capture_output=True, text=True).stdout

    def request(self, api, body, method="POST", path="/send-email"):
        connection = http.client.HTTPConnection(api, timeout=WAIT_SECONDS_MAX)
        self.addCleanup(connection.close)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def test_bad_requests_are_told_what_is_wrong(self):
        process, api = self.start_listening("signup_api", "--broker", self.address, "--port", 0)
        good = {"to": "ada@example.com", "subject": "Hi", "body": "there"}

        self.assertEqual(self.request(api, json.dumps(good)), (202, {"message": "emails@0"}))
        for body, word in [("", "JSON"), ("{", "JSON"), (json.dumps({**good, "to": "ada"}), "to"),
                           (json.dumps({**good, "subject": 7}), "subject"),
                           (json.dumps({**good, "subject": "a\nBcc: eve@example.com"}), "line")]:
            status, answer = self.request(api, body)
            self.assertEqual(status, 400, body)
            self.assertIn(word, answer["error"])
        large = json.dumps({**good, "body": "x" * 70_000})
        self.assertEqual(self.request(api, large)[0], 413)
        self.assertEqual(self.request(api, "", "GET", "/other")[0], 404)

        self.assertEqual(self.request(api, json.dumps(good)), (202, {"message": "emails@1"}))
        stored = json.loads(self.ctl("message", "get", "emails@1", "-o", "json"))
        self.assertEqual((stored["key"], json.loads(stored["payload"])), (good["to"], good))
        self.assert_stops(process)

    def test_without_a_broker_requests_are_refused_until_it_is_back(self):
        process, api = self.start_listening(
            "signup_api", "--broker", self.address, "--port", 0, "--timeout", 1)
        mail = json.dumps({"to": "ada@example.com", "subject": "Hi", "body": ""})
        self.assertEqual(self.request(api, mail)[0], 202)
        self.broker.kill()
        self.broker.wait()

        status, answer = self.request(api, mail)
        self.assertEqual(status, 503)
        self.assertTrue(answer["error"])
        self.start_listening(
            "brokerd", "--data-dir", self.directory / "data", "--listen", self.address)
        wait_for("the broker to be found", lambda: self.request(api, mail)[0] == 202)
        self.assert_stops(process)

    def test_what_is_no_email_is_dead_and_does_not_stop_the_worker(self):
        worker = self.start("email_worker", "--broker", self.address, "--smtp", "127.0.0.1:1")
        wait_for("the queue", lambda: "smtp-sender" in self.ctl("queue", "ls"))
        self.ctl("message", "publish", "emails", "no JSON")
        self.ctl("message", "publish", "emails",
                 json.dumps({"to": "ada@example.com", "subject": "Hi", "body": ""}))

        def states():
            return [json.loads(self.ctl("message", "show", f"emails@{offset}", "-o", "json"))
                    ["queues"][0] for offset in (0, 1)]
        wait_for("both messages to fail",
                 lambda: [queue["state"] for queue in states()] == ["dead", "retrying"])
        dead, retrying = states()
        self.assertIn("no e-mail", dead["attempts"][0]["reason"])
        self.assertIn("smtp://127.0.0.1:1", retrying["attempts"][0]["reason"])
        self.assert_stops(worker)

    def test_audit_goes_on_where_it_stopped(self):
        lines = self.directory / "audit.jsonl"
        seen = lambda: lines.read_text().splitlines() if lines.exists() else []
        for run in range(2):
            audit = self.start("audit", "--broker", self.address, "--file", lines)
            wait_for("the queue", lambda: "audit" in self.ctl("queue", "ls"))
            self.ctl("message", "publish", "emails", f"run {run}", "--key", "k")
            wait_for("its line", lambda: len(seen()) == run + 1)
            self.assert_stops(audit)
        self.assertEqual([json.loads(line)["message"] for line in seen()],
                         ["emails@0", "emails@1"])

    def test_wrong_options_and_no_broker(self):
        for name in ("signup_api", "email_worker", "audit"):
            answer = subprocess.run(command(name, "--no-such-option"), capture_output=True)
            self.assertEqual(answer.returncode, 64, name)
        answer = subprocess.run(
            command("signup_api", "--broker", "127.0.0.1:1", "--port", 0, "--timeout", 1),
            capture_output=True, text=True, timeout=WAIT_SECONDS_MAX)
        self.assertEqual(answer.returncode, 1)
        self.assertIn("127.0.0.1:1", answer.stderr)


unittest.main()
