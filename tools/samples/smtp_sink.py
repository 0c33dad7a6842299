#!/usr/bin/env python3
"""An SMTP server that keeps every mail it accepts in a Maildir, and refuses on request.

    smtp_sink.py --maildir DIR [--rules FILE] [--port 0]

Prints `listening on 127.0.0.1:PORT` once ready; SIGTERM and SIGINT stop it. FILE is read anew
for each recipient. A line says how to answer one:

    550 bob@example.com         always "550 ..."
    451 carol@example.com 2     "451 ..." the first 2 times, then accept
    drop dave@example.com 1     close the connection without an answer, once

Needs python3-aiosmtpd.
"""
import argparse
import asyncio
import collections
import mailbox
import pathlib
import signal

from aiosmtpd.smtp import SMTP

ANSWERS = {
    "451": "451 4.2.0 {}: mailbox is busy, try again later",
    "550": "550 5.1.1 {}: no such mailbox",
}


class Sink:
    def __init__(self, maildir, rules):
        self.maildir = mailbox.Maildir(maildir, create=True)
        self.rules = rules
        self.asked = collections.Counter()

    def rule_for(self, address):
        """The answer to give for this recipient now, None to accept it."""
        if self.rules is None or not self.rules.exists():
            return None
        for line in self.rules.read_text().splitlines():
            answer, who, *times = [*line.split(), "", ""]
            if who == address:
                self.asked[line] += 1
                if not times[0] or self.asked[line] <= int(times[0]):
                    return answer
        return None

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = self.rule_for(address)
        if answer == "drop":
            server.transport.abort()
        if answer is not None:
            return ANSWERS.get(answer, "421 closing").format(address)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = mailbox.MaildirMessage(envelope.content)
        message["X-Envelope-To"] = ", ".join(envelope.rcpt_tos)
        return f"250 kept as {self.maildir.add(message)}"


async def main():
    parser = argparse.ArgumentParser(description="An SMTP server that keeps mails in a Maildir.")
    parser.add_argument("--maildir", required=True)
    parser.add_argument("--rules", type=pathlib.Path)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()

    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    sink = Sink(options.maildir, options.rules)
    server = await loop.create_server(
        lambda: SMTP(sink, hostname="localhost"), "127.0.0.1", options.port
    )
    print("listening on 127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
    await stopped.wait()
    server.close()


asyncio.run(main())
