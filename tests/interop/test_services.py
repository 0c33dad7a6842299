"""The Python client against the real brokerd: requests and their answers."""

import asyncio
import unittest

from brokerd_connection import Connection
from brokerd_protocol import FEATURES, SECOND, BrokerError, Message, decode_record, encode_record
from interop_case import InteropCase


class Services(InteropCase):
    """Requests and replies, over connections without the client's care."""

    async def responder(self) -> tuple[Connection, asyncio.Queue]:
        """One that serves the service named like the test, and the requests it gets."""
        requests: asyncio.Queue = asyncio.Queue()

        def pushed(name, _, message):
            if name == "requested":
                requests.put_nowait(message)

        connection = await self.raw(
            name="responder", on_push=pushed, features_offered=FEATURES["services"]
        )
        self.assertTrue(connection.terms.features & FEATURES["services"])
        await connection.request("serve", service=self.topic, responder=1, prefetch=1)
        return connection, requests

    async def ask(self, asker: Connection, payload: bytes, timeout: int = 10 * SECOND):
        record = encode_record(Message(payload, key=b"k", headers=[("a", "b")]))
        fields = dict(service=self.topic, timeout=timeout, record=record)
        return await asker.request("service_request", **fields)

    async def refusal(self, asked) -> BrokerError:
        with self.assertRaises(BrokerError) as refused:
            await asked
        return refused.exception

    async def test_a_request_gets_its_reply(self):
        responder, requests = await self.responder()
        asker = await self.raw(name="asker")
        asked = asyncio.create_task(self.ask(asker, b"apples?"))
        got = await requests.get()
        self.assertEqual(
            (got.responder, got.service, got.requester), (1, self.topic, "asker")
        )
        self.assertTrue(0 < got.remaining <= 10 * SECOND)
        message = decode_record(got.record)
        self.assertEqual(message, Message(b"apples?", key=b"k", headers=[("a", "b")]))
        record = encode_record(Message(b"42"))
        responder.send("reply", token=got.token, failed=False, text="", record=record)
        answer = await asked
        self.assertEqual((answer.responder, answer.record), ("responder", record))

    async def test_a_failure_brings_the_words_of_the_responder(self):
        responder, requests = await self.responder()
        asked = asyncio.create_task(self.ask(await self.raw(), b"apples?"))
        token = (await requests.get()).token
        responder.send("reply", token=token, failed=True, text="sold out", record=b"")
        refused = await self.refusal(asked)
        self.assertEqual(refused.name, "request_failed")
        self.assertIn("sold out", refused.text)

    async def test_nobody_and_nobody_any_more_are_said_at_once(self):
        asker = await self.raw()
        self.assertEqual((await self.refusal(self.ask(asker, b"x"))).name, "no_responder")
        responder, requests = await self.responder()
        in_progress = asyncio.create_task(self.ask(asker, b"x"))
        await requests.get()
        waiting = asyncio.create_task(self.ask(asker, b"x"))
        while (await asker.request("service_list", after="", limit=1)).items[0].waiting == 0:
            pass
        responder.abort()
        self.assertEqual((await self.refusal(in_progress)).name, "responder_gone")
        self.assertEqual((await self.refusal(waiting)).name, "no_responder")

    async def test_at_the_deadline_the_wait_is_over(self):
        _, requests = await self.responder()
        asked = self.ask(await self.raw(), b"x", timeout=SECOND)
        self.assertEqual((await self.refusal(asked)).name, "deadline_exceeded")
        self.assertEqual(requests.qsize(), 1)

    async def test_who_leaves_replies_to_what_it_has(self):
        responder, requests = await self.responder()
        asker = await self.raw()
        asked = asyncio.create_task(self.ask(asker, b"x"))
        token = (await requests.get()).token
        left = asyncio.create_task(responder.request("unserve", responder=1, at_once=False))
        record = encode_record(Message(b"42"))
        await asyncio.sleep(0)  # the unserve goes first
        responder.send("reply", token=token, failed=False, text="", record=record)
        self.assertEqual((await asked).record, record)
        await left
        services = await asker.request("service_list", after="", limit=10)
        self.assertNotIn(self.topic, [item.service for item in services.items])

    async def test_a_damaged_reply_fails_the_request(self):
        responder, requests = await self.responder()
        asked = asyncio.create_task(self.ask(await self.raw(), b"x"))
        token = (await requests.get()).token
        fields = dict(token=token, failed=False, text="", record=b"no record")
        refused = await self.refusal(responder.request("reply", **fields))
        self.assertEqual(refused.name, "bad_batch")
        self.assertEqual((await self.refusal(asked)).name, "request_failed")


if __name__ == "__main__":
    unittest.main()
