"""The Python client against the real brokerd: filters, settling, reading without leases."""

import asyncio
import time
import unittest

from brokerd_client import Client
from brokerd_protocol import OUTCOMES, SECOND, STATES, BrokerError, Message
from interop_case import LATER_QUEUE_SETTINGS, QUEUE_SETTINGS, TOPIC_SETTINGS, InteropCase


class Filters(InteropCase):
    """Queues that only a part of their topic is for."""

    async def create_filtered(self, client: Client, filter: str, until: int = 0):
        settings = QUEUE_SETTINGS | LATER_QUEUE_SETTINGS | {"filter": filter, "until": until}
        return await client.create_queue(self.queue, settings)

    async def keep(self, client: Client) -> None:
        """Makes the topic, to keep what its queues are done with."""
        await client.create_topic(self.topic, TOPIC_SETTINGS | {"keep_done": 3600 * SECOND})

    async def publish_types(self, client: Client, *types: str) -> None:
        sent = [Message(each.encode(), headers=[("type", each)]) for each in types]
        await client.publish(self.topic, *sent)

    async def change(self, client: Client, **changes) -> None:
        settings = vars((await self.queue_item(client)).settings) | changes
        await client.request("queue_set", queue=self.queue, settings=settings)

    async def expect_only(self, client: Client, offsets: list[int], done: int) -> None:
        """Takes and acks these; then the queue is done with so many, and nothing else came."""
        consumer = await client.consume(self.queue)
        received = [await consumer.get() for _ in offsets]
        self.assertEqual([delivery.offset for delivery in received], offsets)
        self.assertEqual({delivery.attempt for delivery in received}, {1})
        settled = await consumer.confirm("ack", *received)
        self.assertEqual(settled.accepted, len(offsets))
        await self.until(client, done=done)
        self.assertEqual(consumer.held, {})

    async def test_only_what_the_filter_takes_comes_and_only_up_to_the_end(self):
        client = await self.connect()
        await self.create_filtered(client, "header.type = 'order'", until=5)
        await self.publish_types(client, "order", "offer", "order")
        await self.publish_types(client, "offer", "order", "order")
        await self.until(client, ready=3, done=3)
        await self.expect_only(client, [0, 2, 4], done=6)

    async def test_other_queues_get_everything(self):
        client = await self.connect()
        await self.create_filtered(client, "header.type = 'order'")
        filtered, self.queue = self.queue, self.topic + "/all"
        await self.create_filtered(client, "")
        await self.publish_types(client, "offer", "order")
        await self.until(client, ready=2)
        await self.expect_only(client, [0, 1], done=2)
        self.queue = filtered
        await self.expect_only(client, [1], done=2)

    async def test_what_was_there_before_the_queue_is_looked_at(self):
        client = await self.connect()
        await self.keep(client)
        await self.publish_types(client, *["order", "offer", "offer"] * 10)
        await self.create_filtered(client, "header.type = 'order' and size < 1KiB", until=20)
        await self.expect_only(client, list(range(0, 20, 3)), done=30)

    async def test_a_changed_filter_is_that_of_what_is_ready(self):
        client = await self.connect()
        await self.create(client)
        await self.publish_types(client, "order", "offer", "order", "offer", "offer")
        await self.until(client, ready=5)
        await self.change(client, filter="not header.type = 'order'", until=4)
        await self.until(client, ready=2, done=3)
        await self.change(client, filter="", until=0)
        await self.publish_types(client, "order")
        await self.expect_only(client, [1, 3, 5], done=6)

    async def test_it_is_given_back_as_written_out_in_full(self):
        client = await self.connect()
        created = await self.create_filtered(client, ' HEADER.type="order"', until=9)
        self.assertEqual(created.settings.filter, "header.type = 'order'")
        settings = (await self.queue_item(client)).settings
        self.assertEqual((settings.filter, settings.until), ("header.type = 'order'", 9))
        same = await self.create_filtered(client, "(header.type='order')", until=9)
        self.assertEqual((same.created, same.differing), (False, []))
        other = await self.create_filtered(client, "header.type = 'offer'", until=9)
        self.assertEqual(other.differing, ["filter"])
        other = await self.create_filtered(client, "header.type = 'order'")
        self.assertEqual(other.differing, ["until"])
        self.assertEqual(other.settings, settings)

    async def test_a_filter_that_cannot_be_is_refused(self):
        client = await self.connect()
        refused = {
            "header.type =": r"^filter, column \d+: ",
            "no_such_field = 1": r"^filter, column \d+: ",
            "key = 'a' and age > 1h": r"\bfilter uses age\b",
            "attempts > 1": r"\battempts\b",
            "key != '" + 4096 * "x" + "'": "filter",
        }
        for text, why in refused.items():
            with self.subTest(create=text[:40]):
                error = await self.refusal(self.create_filtered(client, text))
                self.assertRegex(error.text, why)
        self.assertTrue((await self.create_filtered(client, "has key")).created)
        for text, why in refused.items():
            with self.subTest(set=text[:40]):
                error = await self.refusal(self.change(client, filter=text))
                self.assertRegex(error.text, why)
        self.assertEqual((await self.queue_item(client)).settings.filter, "has key")
        await client.request("ping")
        self.assertEqual(client.connects, 1)

    async def refusal(self, asked) -> BrokerError:
        with self.assertRaises(BrokerError) as raised:
            await asked
        self.assertEqual(raised.exception.name, "invalid_setting", raised.exception.text)
        return raised.exception


class Settling(InteropCase):
    async def test_nack_with_delay_is_delivered_again_as_attempt_2(self):
        client = await self.connect()
        consumer, first = await self.one(client)
        consumer.settle("nack", first, delay=SECOND // 20, reason="card service down")
        again = await consumer.get()
        self.assertEqual((again.offset, again.attempt), (0, 2))
        self.assertNotEqual(again.lease, first.lease)
        (attempt,) = (await self.state(client)).history
        self.assertEqual(OUTCOMES[attempt.outcome], "nacked")
        self.assertEqual(attempt.reason, "card service down")

    async def test_nack_with_a_long_delay_is_retrying_until_then(self):
        client = await self.connect()
        consumer, first = await self.one(client)
        before = time.time() * SECOND
        await consumer.confirm("nack", first, delay=3600 * SECOND)
        state = await self.state(client)
        self.assertEqual(STATES[state.state], "retrying")
        self.assertAlmostEqual(state.due, before + 3600 * SECOND, delta=60 * SECOND)

    async def test_reject_is_dead_at_once_and_redriven(self):
        client = await self.connect()
        consumer, first = await self.one(client)
        await consumer.confirm("reject", first, reason="no such card")
        dead = await client.request("dead_list", queue=self.queue, **{"from": 0, "limit": 10})
        self.assertEqual([(d.offset, d.attempts, d.reason) for d in dead.items],
                         [(0, 1, "no such card")])  # fmt: skip
        self.assertEqual(await self.counts(client), {"dead": 1})
        fields = {"queue": self.queue, "from": 0, "until": 1, "dry_run": False}
        self.assertEqual((await client.request("dead_redrive", **fields)).messages, 1)
        self.assertEqual((await consumer.get()).offset, 0)

    async def test_a_clone_has_the_state_of_the_queue(self):
        client = await self.connect()
        await self.create(client)
        await self.publish(client, *"abcd")
        consumer = await client.consume(self.queue)
        received = [await consumer.get() for _ in range(4)]
        await consumer.confirm("ack", received[0])
        await consumer.confirm("reject", received[1], reason="no such card")
        await consumer.confirm("nack", received[2], delay=3600 * SECOND)
        settings = (await self.queue_item(client)).settings
        made = await client.request("queue_clone", queue=self.queue, name="clone")
        self.assertEqual((made.created, made.topic_created, made.differing), (True, False, []))
        self.assertEqual(made.settings, settings)
        with self.assertRaises(BrokerError) as raised:
            await client.request("queue_clone", queue=self.queue, name="clone")
        self.assertEqual(raised.exception.name, "queue_exists")
        expected = {"leased": 1, "retrying": 1, "dead": 1, "done": 1}
        self.assertEqual(await self.counts(client), expected)
        shown = await client.request("message_show", topic=self.topic, offset=1)
        self.assertEqual([STATES[each.state] for each in shown.queues], ["dead", "dead"])
        self.assertEqual(shown.queues[0].history, shown.queues[1].history)
        self.queue = self.topic + "/clone"
        expected = {"ready": 1, "retrying": 1, "dead": 1, "done": 1}
        self.assertEqual(await self.counts(client), expected)
        consumer = await client.consume(self.queue)
        self.assertEqual((await consumer.get()).message.payload, b"d")

    async def test_release_is_no_attempt(self):
        client = await self.connect()
        consumer, first = await self.one(client)
        consumer.settle("release", first)
        again = await consumer.get()
        self.assertEqual((again.offset, again.attempt), (0, 1))
        self.assertEqual((await self.state(client)).history, [])

    async def test_goodbye_and_detach_are_no_attempts(self):
        client = await self.connect()
        async with self.client() as other:
            await self.one(other)
        consumer = await client.consume(self.queue)
        self.assertEqual((await consumer.get()).attempt, 1)
        await consumer.detach()
        consumer = await client.consume(self.queue)
        self.assertEqual((await consumer.get()).attempt, 1)

    async def test_extend_moves_the_deadline(self):
        client = await self.connect()
        consumer, delivery = await self.one(client)
        before = time.time() * SECOND
        settled = await consumer.confirm("extend", delivery, delay=3600 * SECOND)
        self.assertEqual(settled.accepted, 1)
        state = await self.state(client)
        self.assertAlmostEqual(state.lease_until, before + 3600 * SECOND, delta=60 * SECOND)
        self.assertEqual((await consumer.confirm("ack", delivery)).accepted, 1)

    async def test_a_renewed_lease_outlives_its_lease_time(self):
        client = await self.connect()
        await self.create(client, lease=SECOND // 2, backoff=SECOND // 100)
        await self.publish(client, "long work", "forgotten")
        renewing = await client.consume(self.queue, prefetch_messages=1)
        long_work = await renewing.get()
        other = await client.consume(self.queue, prefetch_messages=1, renew=False)
        # The lease of the second message starts later: when it is over, the first one was due.
        self.assertEqual([(await other.get()).attempt for _ in range(2)], [1, 2])
        self.assertEqual((await renewing.confirm("ack", long_work)).accepted, 1)
        self.assertEqual((await self.state(client)).history, [])

    async def test_an_expired_lease_is_an_attempt_and_gone(self):
        client = await self.connect()
        consumer, first = await self.one(client, lease=SECOND // 10, backoff=SECOND // 100)
        again = await consumer.get()
        self.assertEqual((again.offset, again.attempt), (0, 2))
        settled = await consumer.confirm("ack", first)
        self.assertEqual((settled.accepted, settled.refused), (0, 1))
        self.assertEqual(settled.gone, [(0, 1, *first.lease)])
        number = consumer.settle("nack", first)
        refused, error = await client.refused.get()
        self.assertEqual((refused, error.name), (number, "lease_gone"))

    async def test_a_run_with_gone_leases_settles_the_others(self):
        client = await self.connect()
        await self.create(client)
        await self.publish(client, "a", "b", "c")
        consumer = await client.consume(self.queue)
        held = [await consumer.get() for _ in range(3)]
        await consumer.confirm("ack", held[1])
        settled = await consumer.confirm("ack", *held)
        self.assertEqual((settled.accepted, settled.refused), (2, 1))
        self.assertEqual(settled.gone, [(1, 1, *held[1].lease)])
        self.assertEqual(await self.counts(client), {"done": 3})

    async def test_prefetch_bounds_what_is_held(self):
        client = await self.connect()
        await self.create(client)
        await self.publish(client, *"abcde")
        consumer = await client.consume(self.queue, prefetch_messages=2)
        first, second = await consumer.get(), await consumer.get()
        self.assertEqual(await self.counts(client), {"leased": 2, "ready": 3})
        await consumer.confirm("ack", first)
        self.assertEqual((await consumer.get()).offset, 2)
        await client.request("set_prefetch", consumer=consumer.number, messages=0, bytes=1)
        await consumer.confirm("ack", second)
        self.assertEqual(await self.counts(client), {"done": 2, "leased": 1, "ready": 2})

    async def test_a_removed_queue_ends_its_consumer(self):
        client = await self.connect()
        consumer, _ = await self.one(client)
        await client.request("queue_remove", queue=self.queue)
        with self.assertRaises(BrokerError) as raised:
            await consumer.get()
        self.assertEqual(raised.exception.name, "queue_removed")


class Reading(InteropCase):
    # Promise: replay.reader
    async def test_read_leases_nothing_and_pages(self):
        client = await self.connect()
        await self.create(client)
        await self.publish(client, *"abcde")
        answer, messages = await client.read(self.topic, 1, limit=2)
        self.assertEqual([(at, m.payload) for at, m in messages], [(1, b"b"), (2, b"c")])
        self.assertEqual((answer.first_offset, answer.next_offset), (0, 5))
        answer, messages = await client.read(self.topic, answer.position, limit=10)
        self.assertEqual([(at, m.payload) for at, m in messages], [(3, b"d"), (4, b"e")])
        self.assertEqual(answer.position, 5)
        self.assertEqual(await self.counts(client), {"ready": 5})

    async def test_read_waits_for_the_next_message(self):
        client, publisher = await self.connect(), await self.connect()
        await self.create(client)
        reading = asyncio.create_task(client.read(self.topic, 0, wait=30 * SECOND))
        await client.request("ping")  # sent behind the read
        await self.publish(publisher, "late")
        _, messages = await reading
        self.assertEqual(messages, [(0, Message(b"late"))])

    async def test_read_goes_on_in_one_incarnation_only(self):
        client = await self.connect()
        await self.create(client)
        await self.publish(client, *"abc")
        answer, _ = await client.read(self.topic, 0, limit=1)
        place = dict(offset=answer.position, incarnation=answer.incarnation)
        answer, messages = await client.read(self.topic, **place, limit=1)
        self.assertEqual([(at, m.payload) for at, m in messages], [(1, b"b")])
        self.assertEqual(answer.incarnation, place["incarnation"])
        await client.request("topic_remove", topic=self.topic)
        await self.create(client)
        await self.publish(client, *"xyz")
        with self.assertRaises(BrokerError) as raised:
            await client.read(self.topic, **place)
        self.assertEqual(raised.exception.name, "topic_removed")
        self.assertIn(self.topic, raised.exception.text)
        _, messages = await client.read(self.topic, 0)
        self.assertEqual([m.payload for _, m in messages], [b"x", b"y", b"z"])

    # Promise: replay.reader
    async def test_read_below_the_trim_point_is_gone(self):
        client = await self.connect()
        consumer, first = await self.one(client)
        await consumer.confirm("ack", first)
        while not (await self.topic_item(client)).first_offset:
            pass
        with self.assertRaises(BrokerError) as raised:
            await client.read(self.topic, 0)
        self.assertEqual(raised.exception.name, "gone")
        self.assertIn("1", raised.exception.text)
        self.assertEqual((await client.read(self.topic, 1))[1], [])


if __name__ == "__main__":
    unittest.main()
