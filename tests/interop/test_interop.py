"""The Python client against the real brokerd: what works, and what survives a lost connection."""

import asyncio
import time
import unittest

from broker_process import Broker, Proxy
from brokerd_client import Client, Published
from brokerd_connection import Connection, ConnectionLost
from brokerd_protocol import ACTIONS, DEFAULT_DELAY, DURABILITY, FEATURES, ON_EXPIRY, OUTCOMES
from brokerd_protocol import POSITIONS, SECOND, STATES, BrokerError, LeaseRun, Message
from brokerd_protocol import decode_record, encode_batch, encode_record
from interop_case import LATER_QUEUE_SETTINGS, LATER_TOPIC_SETTINGS, QUEUE_SETTINGS
from interop_case import TOPIC_SETTINGS, InteropCase


class Publishing(InteropCase):
    async def test_publish_consume_ack(self):
        client = await self.connect()
        await self.create(client)
        sent = [
            Message(b'{"id":42}', key=b"42", headers=[("type", "order"), ("lang", "fi")]),
            Message(b"", ttl_ms=60_000, priority=7, message_id=b"m-2"),
            Message(bytes(range(256))),
        ]
        before = time.time() * SECOND
        # One by one: a message with an id is alone in its batch.
        answers = [await client.publish(self.topic, each) for each in sent]
        self.assertEqual(answers, [Published(i, level=1, duplicate=False) for i in range(3)])
        consumer = await client.consume(self.queue)
        received = [await consumer.get() for _ in sent]
        self.assertEqual([delivery.message for delivery in received], sent)
        self.assertEqual([delivery.offset for delivery in received], [0, 1, 2])
        self.assertEqual({delivery.attempt for delivery in received}, {1})
        self.assertLess(abs(received[0].append_time - before), 60 * SECOND)
        settled = await consumer.confirm("ack", *received)
        self.assertEqual((settled.accepted, settled.refused, settled.gone), (3, 0, []))
        self.assertEqual(await self.counts(client), {"done": 3})

    async def test_unconfirmed_acks_are_counted(self):
        client = await self.connect()
        await self.create(client)
        await self.publish(client, *map(str, range(1000)))
        consumer = await client.consume(self.queue, prefetch_messages=100)
        for i in range(1000):
            delivery = await consumer.get()
            self.assertEqual(delivery.message.payload, str(i).encode())
            consumer.ack(delivery)
        consumer.flush()
        # Requests of one connection are handled in order: the acks come before the question.
        self.assertEqual(await self.counts(client), {"done": 1000})

    async def test_publishes_of_a_connection_keep_their_order(self):
        client = await self.connect()
        await self.create(client)
        answers = [client.publish(self.topic, Message(str(i).encode())) for i in range(500)]
        self.assertEqual([(await answer).offset for answer in answers], list(range(500)))
        _, messages = await client.read(self.topic, 0, limit=1000)
        self.assertEqual([int(message.payload) for _, message in messages], list(range(500)))

    async def test_publishing_beyond_the_credit_waits(self):
        client = await self.connect()
        await self.create(client)
        terms = client.connection.terms
        records = [encode_record(Message())] * terms.batch_records_max
        batches = 2 * terms.credit_messages // len(records) + 1
        answers = [client.publish_records(self.topic, records) for _ in range(batches)]
        self.assertGreater(client.credit_waits, 0)
        offsets = [(await answer).offset for answer in answers]
        self.assertEqual(offsets, [i * len(records) for i in range(batches)])
        self.assertEqual(client.credit_messages, terms.credit_messages)
        self.assertEqual(client.credit_bytes, terms.credit_bytes)

    async def test_a_refused_publish_gives_its_credit_back(self):
        client = await self.connect()
        terms = client.connection.terms
        record = encode_record(Message(bytes(1000)))
        size = 1000
        for _ in range(terms.credit_messages // size + 1):
            with self.assertRaises(BrokerError):
                await client.publish_records("missing", [record] * size)

    # Promise: delivery.fan_out
    async def test_every_queue_gets_every_message(self):
        client = await self.connect()
        await self.create(client)
        self.queue = self.topic + "/second"
        await self.create(client)
        await self.publish(client, "a")
        for name in ("work", "second"):
            consumer = await client.consume(f"{self.topic}/{name}")
            self.assertEqual((await consumer.get()).message.payload, b"a")

    async def test_creating_again_changes_nothing_and_says_what_differs(self):
        client = await self.connect()
        await self.create(client)
        settings = vars((await self.queue_item(client)).settings)
        same = await client.create_queue(self.queue, settings)
        self.assertEqual((same.created, same.topic_created, same.differing), (False, False, []))
        other = await client.create_queue(self.queue, settings | {"attempts": 3})
        self.assertEqual(len(other.differing), 1)
        self.assertIn("attempts", other.differing[0])
        self.assertEqual(vars(other.settings), settings)


class TimesToLive(InteropCase):
    MS, HOUR_MS = SECOND // 1000, 3_600_000

    async def set_ttl(self, client: Client, ttl: int) -> None:
        settings = TOPIC_SETTINGS | {"ttl": ttl}
        await client.request("topic_set", topic=self.topic, settings=settings)

    async def test_an_expired_message_is_not_delivered_but_read(self):
        client = await self.connect()
        await client.create_topic(self.topic, TOPIC_SETTINGS | {"keep_done": 3600 * SECOND})
        await self.create(client)
        sent = [Message(b"late", ttl_ms=1), Message(b"too late", ttl_ms=0)]
        await client.publish(self.topic, *sent)
        await self.until(client, done=2)
        await client.publish(self.topic, Message(b"in time", ttl_ms=self.HOUR_MS))
        consumer = await client.consume(self.queue)
        delivery = await consumer.get()
        self.assertEqual((delivery.offset, delivery.message.payload), (2, b"in time"))
        _, messages = await client.read(self.topic, 0)
        self.assertEqual(messages[:2], list(enumerate(sent)))

    async def test_a_queue_may_keep_the_expired_as_dead(self):
        client = await self.connect()
        await self.create(client, **LATER_QUEUE_SETTINGS | {"on_expiry": ON_EXPIRY["dead"]})
        await client.publish(self.topic, Message(b"late", ttl_ms=1))
        await self.until(client, dead=1)
        dead = await client.request("dead_list", queue=self.queue, **{"from": 0, "limit": 10})
        self.assertEqual([(d.offset, d.reason) for d in dead.items], [(0, "ttl expired")])
        state = await self.state(client)
        self.assertEqual(STATES[state.state], "dead")
        self.assertEqual(OUTCOMES[state.history[-1].outcome], "ttl expired")
        # Redriven, it does not expire any more.
        fields = {"queue": self.queue, "from": 0, "until": 1, "dry_run": False}
        self.assertEqual((await client.request("dead_redrive", **fields)).messages, 1)
        consumer = await client.consume(self.queue)
        delivery = await consumer.get()
        self.assertEqual(delivery.message, Message(b"late", ttl_ms=1))
        self.assertEqual((await consumer.confirm("ack", delivery)).accepted, 1)

    async def test_the_topic_has_one_for_messages_without(self):
        client = await self.connect()
        await client.create_topic(self.topic, TOPIC_SETTINGS | {"ttl": self.MS})
        await self.create(client)
        await client.publish(self.topic, Message(b"a"), Message(b"b", ttl_ms=self.HOUR_MS))
        await self.until(client, done=1, ready=1)
        consumer = await client.consume(self.queue)
        self.assertEqual((await consumer.get()).message.payload, b"b")
        self.assertEqual((await self.topic_item(client)).settings.ttl, self.MS)

    async def test_a_changed_one_is_that_of_stored_messages_but_not_of_leased_ones(self):
        client = await self.connect()
        await self.create(client)
        await self.publish(client, "one", "two")
        consumer = await client.consume(self.queue, prefetch_messages=1)
        first = await consumer.get()
        self.assertEqual(await self.counts(client), {"leased": 1, "ready": 1})
        await self.set_ttl(client, self.MS)
        await self.until(client, leased=1, done=1)
        consumer.settle("release", first)
        await self.until(client, done=2)


class MessageIds(InteropCase):
    ONE = Message(b"one", message_id=b"order-1")

    async def offsets(self, client: Client, *messages: Message) -> list[tuple[int, bool]]:
        """Where each is stored, and whether it was before."""
        answers = [await client.publish(self.topic, each) for each in messages]
        return [(answer.offset, answer.duplicate) for answer in answers]

    async def test_a_broker_that_looks_at_them_says_so(self):
        connection = await self.raw(features_offered=FEATURES["message_ids"])
        self.assertEqual(connection.terms.features, FEATURES["message_ids"])

    async def test_the_same_id_is_stored_once_whoever_sends_it_and_whatever(self):
        client, other = await self.connect(), await self.connect()
        await self.create(client)
        stored = await self.offsets(client, Message(b"none"), self.ONE)
        self.assertEqual(stored, [(0, False), (1, False)])
        again = Message(b"another payload", message_id=self.ONE.message_id)
        two = Message(b"two", message_id=b"order-2")
        self.assertEqual(await self.offsets(other, again, two), [(1, True), (2, False)])
        _, messages = await client.read(self.topic, 0)
        self.assertEqual([m.payload for _, m in messages], [b"none", b"one", b"two"])
        self.assertEqual(messages[1][1].message_id, b"order-1")

    async def test_each_topic_has_its_own(self):
        client = await self.connect()
        await self.create(client)
        self.assertEqual(await self.offsets(client, self.ONE), [(0, False)])
        self.topic += "-other"
        await client.create_topic(self.topic, TOPIC_SETTINGS)
        self.assertEqual(await self.offsets(client, self.ONE, self.ONE), [(0, False), (0, True)])

    async def test_without_a_window_they_are_not_looked_at(self):
        client = await self.connect()
        settings = TOPIC_SETTINGS | LATER_TOPIC_SETTINGS | {"message_id_window": 0}
        await client.create_topic(self.topic, settings)
        self.assertEqual(await self.offsets(client, self.ONE, self.ONE), [(0, False), (1, False)])
        self.assertEqual(vars((await self.topic_item(client)).settings), settings)

    async def test_in_a_transaction_the_rest_is_done(self):
        client = await self.connect()
        await self.create(client)
        await self.offsets(client, self.ONE)
        plain = Message(b"plain")
        parts = [
            dict(
                topic=self.topic,
                scheduled=False,
                due=0,
                delay=0,
                batch=encode_batch([encode_record(each)]),
            )
            for each in (plain, self.ONE, plain)
        ]
        fields = dict(producer=9, first_sequence=1, publishes=parts, settles=[])
        connection = await self.raw(features_offered=FEATURES["transactions"])
        done = await connection.request("transact", **fields)
        self.assertEqual([each.base_offset for each in done.publishes], [1, 0, 2])
        self.assertEqual((await self.topic_item(client)).next_offset, 3)


class Durability(InteropCase):
    async def test_a_topic_may_be_safe_with_the_operating_system(self):
        client = await self.connect()
        settings = TOPIC_SETTINGS | LATER_TOPIC_SETTINGS | {"durability": DURABILITY["os"]}
        await client.create_topic(self.topic, settings)
        await self.create(client)
        answers = [client.publish(self.topic, Message(b"x")) for _ in range(100)]
        level = DURABILITY["os"]
        expected = [Published(i, level, duplicate=False) for i in range(100)]
        self.assertEqual([await each for each in answers], expected)
        consumer = await client.consume(self.queue)
        received = [await consumer.get() for _ in answers]
        self.assertEqual([each.offset for each in received], list(range(100)))
        self.assertEqual((await self.topic_item(client)).settings.durability, level)

    async def test_it_may_be_changed(self):
        client = await self.connect()
        await self.create(client)
        for name in ("os", "disk"):
            settings = TOPIC_SETTINGS | LATER_TOPIC_SETTINGS | {"durability": DURABILITY[name]}
            await client.request("topic_set", topic=self.topic, settings=settings)
            answer = await client.publish(self.topic, Message(b"x"))
            self.assertEqual(answer.level, DURABILITY[name])


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


class LostConnections(InteropCase):
    async def test_a_lost_connection_is_an_attempt(self):
        client, doomed = await self.connect(), await self.raw()
        await self.create(client, backoff=SECOND // 100)
        await self.publish(client, "x")
        await self.attach(doomed)
        doomed.abort()
        consumer = await client.consume(self.queue)
        self.assertEqual((await consumer.get()).attempt, 2)
        (attempt,) = (await self.state(client)).history
        self.assertEqual(OUTCOMES[attempt.outcome], "lost")

    async def attach(self, connection: Connection):
        """Attaches a consumer and returns the answer and the first delivered run of leases."""
        pushed = asyncio.Queue()
        connection.on_push = lambda name, number, message: pushed.put_nowait(message)
        fields = dict(prefetch_messages=10, prefetch_bytes=1 << 20, limit=0, held=[])
        attached = await connection.request("attach", queue=self.queue, consumer=1, **fields)
        return attached, (await pushed.get()).runs[0].leases

    # Promise: delivery.late_answer
    async def test_a_late_ack_over_another_connection_holds(self):
        client, doomed = await self.connect(), await self.raw()
        await self.create(client, backoff=60 * SECOND)
        await self.publish(client, "x")
        attached, leases = await self.attach(doomed)
        doomed.abort()
        await self.until(client, retrying=1)
        settled = await self.settle_now(client, attached.queue, leases)
        self.assertEqual((settled.accepted, settled.refused), (1, 0))
        self.assertEqual(await self.counts(client), {"done": 1})

    async def settle_now(self, client, queue: int, leases: LeaseRun):
        fields = dict(action=ACTIONS["ack"], confirm=True, delay=DEFAULT_DELAY, reason="")
        fields |= dict(queue=queue, producer=0, sequence=0, runs=[leases])
        return await client.request("settle", **fields)

    async def test_what_is_held_is_taken_up_again(self):
        admin = await self.connect()
        async with Proxy(self.broker) as proxy, self.client(proxy.port) as client:
            await self.create(client, backoff=60 * SECOND)
            await self.publish(client, "a", "b", "c")
            consumer = await client.consume(self.queue)
            held = [await consumer.get() for _ in range(3)]
            proxy.cut()
            await client.connection.closed.wait()
            gone = LeaseRun(1, 1, *held[1].lease)
            await self.settle_now(admin, consumer.attached.queue, gone)
            settled = await consumer.confirm("ack", held[0], held[2])
            self.assertEqual(client.connects, 2)
            self.assertEqual(settled.accepted, 2)
            self.assertEqual(consumer.attached.gone, [gone])
            self.assertEqual(await self.counts(admin), {"done": 3})

    async def test_unanswered_publishes_are_sent_again_and_stored_once(self):
        witness = await self.connect()
        await self.create(witness)
        async with Proxy(self.broker) as proxy, self.client(proxy.port) as client:
            proxy.lose_answers = True
            answers = [client.publish(self.topic, Message(str(i).encode())) for i in range(3)]
            await self.stored(witness, 3)
            proxy.lose_answers = False
            proxy.cut()
            self.assertEqual(
                [await answer for answer in answers], [Published(i, 1, True) for i in range(3)]
            )
            await client.publish(self.topic, Message(b"3"))
        _, messages = await witness.read(self.topic, 0)
        self.assertEqual([m.payload for _, m in messages], [b"0", b"1", b"2", b"3"])

    # Promise: dedup.outcome
    async def test_a_confirmed_settle_is_sent_again_and_counted_once(self):
        witness = await self.connect()
        async with Proxy(self.broker) as proxy, self.client(proxy.port) as client:
            consumer, delivery = await self.one(client)
            proxy.lose_answers = True
            confirmed = asyncio.create_task(consumer.confirm("ack", delivery))
            await self.until(witness, done=1)
            proxy.lose_answers = False
            proxy.cut()
            settled = await confirmed
        self.assertEqual((settled.accepted, settled.refused), (1, 0))
        self.assertTrue(settled.duplicate)

class Heartbeats(InteropCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.close)
        cls.broker.start("--heartbeat", "200ms", "--dead-after", "1s")

    async def test_ping_is_answered_by_pong(self):
        client = await self.connect()
        self.assertEqual(client.connection.terms.heartbeat_ms, 200)
        self.assertEqual(client.connection.terms.dead_after_ms, 1000)
        self.assertEqual(vars(await client.request("ping")), {})

    async def test_a_quiet_connection_is_pinged_before_it_is_given_up(self):
        connection = await self.raw()
        connection.stop_heartbeat()
        pinged = asyncio.Event()
        connection.send = lambda *args, **fields: pinged.set()  # would be the pong
        waits = [asyncio.create_task(e.wait()) for e in (pinged, connection.closed)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        self.assertTrue(pinged.is_set())
        await connection.closed.wait()
        self.assertEqual(connection.error.name, "idle_timeout")

    async def test_a_client_that_keeps_the_heartbeat_outlives_one_that_does_not(self):
        alive, silent = await self.raw(), await self.raw()
        silent.stop_heartbeat()
        silent.send = lambda *args, **fields: None
        await silent.closed.wait()
        self.assertFalse(alive.closed.is_set())
        await alive.request("ping")


class Restarts(InteropCase):
    def setUp(self):
        self.broker = Broker()
        self.addCleanup(self.broker.close)
        self.broker.start()
        super().setUp()

    async def test_a_killed_broker_stores_each_publish_once(self):
        witness = await self.connect()
        await self.create(witness)
        async with Proxy(self.broker) as proxy, self.client(proxy.port) as client:
            terms = client.connection.terms
            for i in range(50):
                await client.publish(self.topic, Message(str(i).encode()))
            proxy.lose_answers = True
            answers = [
                client.publish(self.topic, Message(str(i).encode())) for i in range(50, 100)
            ]
            await self.stored(witness, 75)
            self.broker.kill()
            proxy.cut()  # or what the broker said last gets through once answers do
            proxy.lose_answers = False
            self.broker.start()
            self.assertEqual([(await a).offset for a in answers], list(range(50, 100)))
            self.assertTrue((await answers[0]).duplicate)
            self.assertEqual(client.connection.terms.database_id, terms.database_id)
            self.assertEqual(client.connection.terms.epoch, terms.epoch + 1)
            _, messages = await client.read(self.topic, 0, limit=1000)
        self.assertEqual([int(m.payload) for _, m in messages], list(range(100)))

    async def test_ids_of_messages_and_what_an_os_topic_has_survive_a_kill(self):
        client = await self.connect()
        settings = TOPIC_SETTINGS | LATER_TOPIC_SETTINGS | {"durability": DURABILITY["os"]}
        for topic, settings in ((self.topic, TOPIC_SETTINGS), (self.topic + "-os", settings)):
            await client.create_topic(topic, settings)
            first = await client.publish(topic, Message(b"one", message_id=b"order-1"))
            self.assertEqual((first.offset, first.duplicate), (0, False))
        self.broker.kill()
        self.broker.start()
        other = await self.connect()
        for topic in (self.topic, self.topic + "-os"):
            again = await other.publish(topic, Message(b"two", message_id=b"order-1"))
            self.assertEqual((again.offset, again.duplicate), (0, True))

    async def test_leases_and_confirmed_acks_survive_a_kill(self):
        client = await self.connect()
        await self.create(client)
        await self.publish(client, "a", "b", "c")
        consumer = await client.consume(self.queue, prefetch_messages=2)
        first, second = await consumer.get(), await consumer.get()
        await consumer.confirm("ack", first)
        self.broker.kill()
        self.broker.start()
        self.assertEqual((await consumer.confirm("ack", second)).accepted, 1)
        third = await consumer.get()
        while third.offset != 2:  # its first lease may be from before the restart
            third = await consumer.get()
        self.assertEqual(third.attempt, 1)
        await consumer.confirm("ack", third)
        self.assertEqual(await self.counts(client), {"done": 3})

    async def test_a_stopping_broker_drains(self):
        connection = await self.raw()
        pushed = []
        connection.on_push = lambda name, number, message: pushed.append(name)
        self.assertEqual(await asyncio.to_thread(self.broker.stop), 0)
        await connection.closed.wait()
        self.assertEqual(pushed[0], "draining")
        self.assertEqual(connection.error.name, "draining")
        with self.assertRaises(ConnectionLost):
            connection.send("ping")


if __name__ == "__main__":
    unittest.main()
