"""The Python client against the real brokerd: consumers of pattern queues."""

import asyncio
import unittest

from brokerd_protocol import ACTIONS, DEFAULT_DELAY, FEATURES, POSITIONS, Message, decode_record
from interop_case import QUEUE_SETTINGS, TOPIC_SETTINGS, InteropCase


class Patterns(InteropCase):
    """Pattern queues, over a connection without the client's care."""

    async def test_one_consumer_gets_the_messages_of_all_topics(self):
        client = await self.connect()
        news: asyncio.Queue = asyncio.Queue()
        connection = await self.raw(
            on_push=lambda name, _, message: news.put_nowait((name, message)),
            features_offered=FEATURES["pattern_queues"],
        )
        self.assertTrue(connection.terms.features & FEATURES["pattern_queues"])
        pattern = self.topic + ".*/work"
        await client.create_topic(self.topic + ".eu", TOPIC_SETTINGS)
        start = dict(kind=POSITIONS["earliest"], offset=0, time=0)
        fields = dict(pattern=pattern, mode=1, settings=QUEUE_SETTINGS, start=start, replace=False)
        made = await connection.request("pattern_create", **fields)
        self.assertEqual((made.created, made.queues, made.changed), (True, 1, 1))
        self.assertFalse((await connection.request("pattern_create", **fields)).created)

        limits = dict(prefetch_messages=10, prefetch_bytes=1 << 20, limit=0)
        attached = await connection.request(
            "pattern_attach", pattern=pattern, consumer=1, held=[], **limits
        )
        self.assertEqual([each.topic for each in attached.joined], [self.topic + ".eu"])
        topics = {each.queue: each.topic for each in attached.joined}

        await client.create_topic(self.topic + ".us", TOPIC_SETTINGS)
        name, joined = await news.get()
        self.assertEqual((name, joined.consumer), ("pattern_queues", 1))
        topics |= {each.queue: each.topic for each in joined.joined}

        for topic in topics.values():
            await client.publish(topic, Message(topic.encode()))
            name, pushed = await news.get()
            self.assertEqual((name, pushed.consumer, len(pushed.runs)), ("deliver", 1, 1))
            (run,) = pushed.runs
            self.assertEqual((topics[run.queue], run.attempt), (topic, 1))
            self.assertEqual(decode_record(run.records).payload, topic.encode())
            settled = await connection.request(
                "settle", queue=run.queue, action=ACTIONS["ack"], confirm=True, producer=0,
                sequence=0, delay=DEFAULT_DELAY, reason="", runs=[run.leases],
            )  # fmt: skip
            self.assertEqual((settled.accepted, settled.refused), (1, 0))

        await client.request("topic_remove", topic=self.topic + ".eu")
        name, left = await news.get()
        self.assertEqual((name, [topics[each.queue] for each in left.left]),
                         ("pattern_queues", [self.topic + ".eu"]))  # fmt: skip
        listed = await client.request("pattern_list", pattern=pattern, after="", limit=1)
        self.assertEqual((listed.items[0].queues, listed.items[0].consumers), (1, 1))
        removed = await client.request(
            "pattern_remove", pattern=pattern, queues=True, dry_run=False
        )
        self.assertEqual(removed.messages, 1)
        name, ended = await news.get()
        self.assertEqual((name, ended.consumer), ("detached", 1))


if __name__ == "__main__":
    unittest.main()
