"""The brokerd protocol, version 1, as bytes: frames, messages, records and batches.

Written from protocol/PROTOCOL.md alone, whose words it uses. Pure: no sockets, no clock. Every
message is described once, in MESSAGES and STRUCTS, and encoded and decoded from there.
"""

import struct
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Iterable, Iterator, NamedTuple

MAGIC = 0x444B5242
VERSION = 1
HEADER_BYTES = 16
BATCH_HEADER_BYTES = 48
NO_TTL = 2**64 - 1
NEVER = 2**63 - 1
DEFAULT_DELAY = -1

SECOND = 1_000_000  # durations and times are microseconds


class ProtocolError(Exception):
    """The peer sent bytes that the protocol does not allow."""


# --- CRC-32C -------------------------------------------------------------------------------------


def _crc_table() -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = (crc >> 1) ^ 0x82F63B78 if crc & 1 else crc >> 1
        table.append(crc)
    return table


_CRC_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


# --- messages ------------------------------------------------------------------------------------


class Lease(NamedTuple):
    epoch: int
    counter: int


class LeaseRun(NamedTuple):
    """Message i has the offset first_offset + i and the lease (epoch, first_lease + i)."""

    first_offset: int
    count: int
    epoch: int
    first_lease: int


# Fields as name:type, with name? if it came later and may be missing at the end of its struct.
# marked is bytes, with the queue's identity behind their length if attempt says so.
# struct.X and list.X are those of the document; tail.X are items of X one behind the other up to
# the end of the body, without lengths.
STRUCTS = {
    "topic_settings": "keep_done:duration max_message_bytes:u64 ttl?:duration durability?:u8 "
    "message_id_window?:duration keep_done_bytes?:u64 max_bytes?:u64 max_messages?:u64 "
    "when_full?:u8 max_age?:duration priorities?:u8",
    "queue_settings": "lease:duration attempts:u32 backoff:duration backoff_max:duration "
    "max_retrying:u64 max_runs:u64 jitter_percent?:u32 after_failure?:u8 expires?:duration "
    "on_expiry?:u8 filter?:string until?:u64",
    "position": "kind:u8 offset:u64 time:time",
    "attempt": "time:time outcome:u8 consumer:string reason:string",
    "published_item": "request:u32 base_offset:u64 level:u8 duplicate:bool",
    "topic_item": "name:string topic:u64 settings:struct.topic_settings created:time "
    "first_offset:u64 next_offset:u64 messages:u64 bytes:u64 queues:u32 in_per_second:f64 "
    "scheduled?:u64 scheduled_bytes?:u64 pending?:u64 pending_bytes?:u64 dropped?:u64 "
    "dropped_bytes?:u64 last_dropped?:time",
    "queue_item": "topic:string queue:string id:u64 mode:u8 settings:struct.queue_settings "
    "created:time ready:u64 leased:u64 retrying:u64 dead:u64 done:u64 oldest:time "
    "in_per_second:f64 out_per_second:f64 consumers:u32 paused:bool floor:u64 state:string "
    "dropped?:u64",
    "queue_state_item": "queue:string state:u8 attempts:u32 attempts_max:u32 due:time "
    "lease_until:time consumer:string lease:lease history:list.attempt next:string",
    "dead_item": "offset:u64 since:time attempts:u32 reason:string consumer:string",
    "consumer_item": "topic:string queue:string name:string connection:u64 consumer:u32 "
    "prefetch_messages:u32 prefetch_bytes:u64 leased:u64 leased_bytes:u64 delivered:u64 "
    "attached:time",
    "connection_item": "connection:u64 name:string address:string connected:time consumers:u32 "
    "bytes_in:u64 bytes_out:u64 outbox_bytes:u64 credit_messages:u32 credit_bytes:u64",
    "stat_item": "name:string value:f64 help:string",
    "transact_publish": "topic:string scheduled:bool due:time delay:duration batch:bytes",
    "transact_settle": "queue:u64 action:u8 delay:duration reason:string runs:list.lease_run",
    "transacted_item": "base_offset:u64",
    "service_item": "service:string responders:u32 in_progress:u64 waiting:u64 answered:u64 "
    "failed:u64",
    "pattern_item": "pattern:string mode:u8 settings:struct.queue_settings created:time "
    "queues:u32 consumers:u32",
    "pattern_held": "queue:u64 runs:list.lease_run",
    "pattern_member": "queue:u64 topic:string lease:duration attempts:u32",
    "pattern_left": "queue:u64 code:u16 text:string",
    "level_count": "level:u8 ready:u64",
    "delivered_run": "leases:lease_run append_time:time attempt:u32 records:marked",
    "read_run": "first_offset:u64 count:u32 append_time:time records:bytes",
}

MESSAGES = {
    "hello": (1, "magic:u32 version_min:u16 version_max:u16 features_required:u64 "
              "features_offered:u64 client_name:string"),
    "hello_ok": (2, "version:u16 features:u64 broker_version:string database_id:string epoch:u32 "
                 "connection:u64 heartbeat_ms:u32 dead_after_ms:u32 frame_bytes_max:u32 "
                 "batch_records_max:u32 credit_messages:u32 credit_bytes:u64"),
    "ping": (3, ""),
    "pong": (4, ""),
    "goodbye": (5, ""),
    "draining": (7, "grace_ms:u32"),
    "error": (8, "code:u16 text:string"),
    "ok": (9, ""),
    "publish": (16, "topic:string batch:rest"),
    "published": (17, "credit_messages:u32 credit_bytes:u64 items:list.published_item"),
    "credit": (18, "messages:u32 bytes:u64"),
    "attach": (24, "queue:string consumer:u32 prefetch_messages:u32 prefetch_bytes:u64 limit:u64 "
               "held:list.lease_run"),
    "attached": (25, "queue:u64 lease:duration attempts:u32 gone:list.lease_run"),
    "detach": (26, "consumer:u32"),
    "detached": (27, "consumer:u32 code:u16 text:string"),
    "set_prefetch": (28, "consumer:u32 messages:u32 bytes:u64"),
    "deliver": (29, "consumer:u32 runs:tail.delivered_run"),
    "settle": (30, "queue:u64 action:u8 confirm:bool delay:duration reason:string producer:u64 "
               "sequence:u64 runs:list.lease_run"),
    "settled": (31, "accepted:u64 refused:u64 duplicate:bool gone:list.lease_run"),
    "topic_create": (40, "topic:string settings:struct.topic_settings"),
    "topic_created": (41, "created:bool topic:u64 settings:struct.topic_settings "
                      "differing:list.string"),
    "topic_list": (42, "topic:string after:string limit:u32"),
    "topics": (43, "more:bool items:list.topic_item"),
    "topic_set": (44, "topic:string settings:struct.topic_settings"),
    "topic_remove": (45, "topic:string"),
    "queue_create": (48, "queue:string mode:u8 settings:struct.queue_settings "
                     "start:struct.position create_topic:bool"),
    "queue_created": (49, "created:bool topic_created:bool queue:u64 "
                      "settings:struct.queue_settings differing:list.string"),
    "queue_list": (50, "topic:string queue:string after:string limit:u32"),
    "queues": (51, "more:bool items:list.queue_item"),
    "queue_set": (52, "queue:string settings:struct.queue_settings"),
    "queue_remove": (53, "queue:string"),
    "queue_pause": (54, "queue:string paused:bool"),
    "queue_seek": (55, "queue:string to:struct.position dry_run:bool"),
    "queue_purge": (56, "queue:string dry_run:bool"),
    "counted": (57, "messages:u64 position:u64 more:bool"),
    "queue_explain": (58, "queue:string has_offset:bool offset:u64"),
    "explained": (59, "sentence:string"),
    "queue_clone": (107, "queue:string name:string"),
    "transact": (60, "producer:u64 first_sequence:u64 publishes:list.transact_publish "
                 "settles:list.transact_settle"),
    "transacted": (61, "duplicate:bool publishes:list.transacted_item"),
    "read": (
        64,
        "topic:string incarnation:u64 from:struct.position messages_max:u32 bytes_max:u32 "
        "wait:duration",
    ),
    "messages": (
        65,
        "incarnation:u64 first_offset:u64 next_offset:u64 position:u64 runs:tail.read_run",
    ),
    "message_show": (66, "topic:string offset:u64"),
    "shown": (67, "readable:bool append_time:time record:bytes queues:list.queue_state_item"),
    "dead_list": (72, "queue:string from:u64 limit:u32"),
    "dead": (73, "next:u64 more:bool items:list.dead_item"),
    "dead_redrive": (74, "queue:string from:u64 until:u64 dry_run:bool"),
    "dead_purge": (75, "queue:string from:u64 until:u64 dry_run:bool"),
    "consumer_list": (80, "queue:string"),
    "consumers": (81, "items:list.consumer_item"),
    "connection_list": (82, ""),
    "connections": (83, "items:list.connection_item"),
    "connection_close": (84, "connection:u64"),
    "health": (88, ""),
    "health_report": (89, "writable:bool warnings:list.string"),
    "stats": (90, ""),
    "stats_report": (91, "items:list.stat_item"),
    "serve": (99, "service:string responder:u32 prefetch:u32"),
    "unserve": (100, "responder:u32 at_once:bool"),
    "service_request": (101, "service:string timeout:duration record:rest"),
    "requested": (102, "responder:u32 token:u64 service:string requester:string "
                  "remaining:duration record:rest"),
    "reply": (103, "token:u64 failed:bool text:string record:rest"),
    "replied": (104, "responder:string record:rest"),
    "service_list": (105, "after:string limit:u32"),
    "services": (106, "more:bool items:list.service_item"),
    "pattern_create": (108, "pattern:string mode:u8 settings:struct.queue_settings "
                       "start:struct.position replace:bool"),
    "pattern_created": (109, "created:bool settings:struct.queue_settings "
                        "differing:list.string queues:u32 changed:u32"),
    "pattern_list": (110, "pattern:string after:string limit:u32"),
    "patterns": (111, "more:bool items:list.pattern_item"),
    "pattern_remove": (112, "pattern:string queues:bool dry_run:bool"),
    "pattern_attach": (113, "pattern:string consumer:u32 prefetch_messages:u32 "
                       "prefetch_bytes:u64 limit:u64 held:list.pattern_held"),
    "pattern_queues": (114, "consumer:u32 joined:list.pattern_member left:list.pattern_left "
                       "gone:list.pattern_held"),
    "queue_levels": (115, "queue:string from:u64"),
    "queue_levels_counted": (116, "levels:list.level_count due:u64 next:u64 more:bool"),
}  # fmt: skip

FEATURES = {
    "transactions": 4,
    "services": 8,
    "message_ids": 16,
    "pattern_queues": 32,
    "priorities": 64,
}
ACTIONS = {"ack": 1, "nack": 2, "reject": 3, "release": 4, "extend": 5}
POSITIONS = {"earliest": 1, "latest": 2, "offset": 3, "time": 4}
STATES = {1: "ready", 2: "leased", 3: "retrying", 4: "dead", 5: "done"}
OUTCOMES = {1: "nacked", 2: "expired", 3: "lost", 4: "rejected", 5: "ttl expired"}
ON_EXPIRY = {"done": 1, "dead": 2}
DURABILITY = {"disk": 1, "memory": 2, "os": 3}
WHEN_FULL = {"refuse": 1, "drop-oldest": 2}

# Number: name, whether a retry can help, whether the broker closes the connection.
ERRORS = {
    0: ("ok", False, False),
    1: ("bad_frame", False, True),
    2: ("frame_too_large", False, True),
    3: ("unknown_type", False, False),
    4: ("bad_flags", False, False),
    5: ("malformed", False, False),
    6: ("unexpected", False, True),
    7: ("version_unsupported", False, True),
    8: ("feature_unsupported", False, True),
    9: ("handshake_timeout", True, True),
    10: ("too_many_connections", True, True),
    11: ("credit_overrun", False, True),
    12: ("draining", True, True),
    13: ("closed_by_admin", True, True),
    14: ("slow_consumer", True, True),
    15: ("idle_timeout", True, True),
    16: ("frame_timeout", True, True),
    20: ("internal", True, False),
    21: ("storage_failed", True, True),
    22: ("resource_disk", True, False),
    23: ("resource_memory", True, False),
    24: ("busy", True, False),
    30: ("invalid_name", False, False),
    31: ("topic_not_found", False, False),
    32: ("queue_not_found", False, False),
    33: ("topic_exists", False, False),
    34: ("queue_exists", False, False),
    35: ("invalid_setting", False, False),
    36: ("too_many_queues", False, False),
    37: ("unsupported", False, False),
    38: ("invalid_argument", False, False),
    40: ("empty_batch", False, False),
    41: ("bad_batch", False, False),
    42: ("bad_checksum", False, False),
    43: ("message_too_large", False, False),
    44: ("too_many_records", False, False),
    45: ("too_many_headers", False, False),
    46: ("key_too_large", False, False),
    47: ("sequence_too_old", False, False),
    48: ("sequence_mismatch", False, False),
    50: ("consumer_exists", False, False),
    51: ("consumer_not_found", False, False),
    52: ("too_many_consumers", False, False),
    53: ("lease_gone", False, False),
    54: ("gone", False, False),
    55: ("not_found", False, False),
    56: ("queue_removed", False, False),
    57: ("topic_removed", False, False),
    58: ("wrong_state", False, False),
    59: ("connection_not_found", False, False),
    60: ("cross_shard", False, False),
    61: ("no_responder", True, False),
    62: ("responder_gone", False, False),
    63: ("deadline_exceeded", False, False),
    64: ("request_failed", False, False),
    65: ("responder_exists", False, False),
    66: ("responder_not_found", False, False),
    67: ("too_many_responders", False, False),
    68: ("reply_dropped", False, False),
    69: ("topic_full", True, False),
    70: ("pattern_not_found", False, False),
    71: ("pattern_exists", False, False),
    72: ("too_many_patterns", False, False),
    73: ("pattern_too_wide", False, False),
}
INTERNAL = 20


class BrokerError(Exception):
    """The broker refused a request or closed the connection: an `error` frame."""

    def __init__(self, code: int, text: str):
        self.code = code if code in ERRORS else INTERNAL
        self.name, self.retry_can_help, self.closes = ERRORS[self.code]
        self.text = text
        super().__init__(f"{self.name}: {text}")


class _Reader:
    def __init__(self, data: bytes):
        self.data, self.at = memoryview(data), 0

    def take(self, count: int) -> memoryview:
        if self.left() < count:
            raise ProtocolError(f"{count} bytes wanted, {self.left()} left")
        self.at += count
        return self.data[self.at - count : self.at]

    def unpack(self, layout: struct.Struct) -> tuple:
        return layout.unpack(self.take(layout.size))

    def text(self) -> str:
        try:
            return str(self.take(*self.unpack(_U16)), "utf-8")
        except UnicodeDecodeError as error:
            raise ProtocolError("a string that is not UTF-8") from error

    def left(self) -> int:
        return len(self.data) - self.at


class _Field(NamedTuple):
    name: str
    kind: str
    may_be_missing: bool


def _parse(spec: str) -> list[_Field]:
    fields = []
    for item in spec.split():
        name, kind = item.split(":")
        fields.append(_Field(name.rstrip("?"), kind, name.endswith("?")))
    return fields


_U8, _U16, _U32, _U64 = (struct.Struct("<" + code) for code in "BHIQ")
_SCALARS = {"u8": _U8, "bool": _U8, "u16": _U16, "u32": _U32, "u64": _U64} | {
    "i64": struct.Struct("<q"),
    "time": struct.Struct("<q"),
    "duration": struct.Struct("<q"),
    "f64": struct.Struct("<d"),
}
_TUPLES = {"lease": (struct.Struct("<IQ"), Lease), "lease_run": (struct.Struct("<QIIQ"), LeaseRun)}
_STRUCT_FIELDS = {name: _parse(spec) for name, spec in STRUCTS.items()}
_TYPES = {name: (number, _parse(spec)) for name, (number, spec) in MESSAGES.items()}
_NAMES = {number: name for name, (number, _) in MESSAGES.items()}


def _sized(layout: struct.Struct, data: bytes) -> bytes:
    return layout.pack(len(data)) + data


def _encode_value(kind: str, value) -> bytes:
    if layout := _SCALARS.get(kind):
        return layout.pack(value)
    if kind in _TUPLES:
        return _TUPLES[kind][0].pack(*value)
    if kind == "string":
        return _sized(_U16, value.encode())
    if kind in ("bytes", "marked"):
        return _sized(_U32, value)
    if kind == "rest":
        return bytes(value)
    form, _, item = kind.partition(".")
    if form == "struct":
        return _sized(_U16, _encode_fields(_STRUCT_FIELDS[item], value))
    if form == "tail":
        return b"".join(_encode_fields(_STRUCT_FIELDS[item], each) for each in value)
    parts = [_U32.pack(len(value))]
    for each in value:
        if item in STRUCTS:
            parts.append(_sized(_U32, _encode_fields(_STRUCT_FIELDS[item], each)))
        else:
            parts.append(_encode_value(item, each))
    return b"".join(parts)


def _encode_fields(fields: list[_Field], value) -> bytes:
    values = value if isinstance(value, dict) else vars(value)
    wanted = [each for each in fields if each.name in values or not each.may_be_missing]
    if wanted != fields[: len(wanted)]:
        raise ValueError("a field is missing in front of another")
    return b"".join(_encode_value(each.kind, values[each.name]) for each in wanted)


def _decode_value(kind: str, reader: _Reader):
    if layout := _SCALARS.get(kind):
        (value,) = reader.unpack(layout)
        if kind != "bool":
            return value
        if value > 1:
            raise ProtocolError(f"a bool of {value}")
        return value == 1
    if kind in _TUPLES:
        layout, make = _TUPLES[kind]
        return make(*reader.unpack(layout))
    if kind == "string":
        return reader.text()
    if kind == "bytes":
        return bytes(reader.take(*reader.unpack(_U32)))
    if kind == "rest":
        return bytes(reader.take(reader.left()))
    form, _, item = kind.partition(".")
    if form == "struct":
        return _decode_sized(_U16, item, reader)
    if form == "tail":
        items = []
        while reader.left():
            items.append(_decode_fields(_STRUCT_FIELDS[item], reader))
        return items
    (count,) = reader.unpack(_U32)
    if item in STRUCTS:
        return [_decode_sized(_U32, item, reader) for _ in range(count)]
    return [_decode_value(item, reader) for _ in range(count)]


def _decode_sized(layout: struct.Struct, name: str, reader: _Reader) -> SimpleNamespace:
    # Bytes behind the known fields are those of a newer broker: skipped.
    return _decode_fields(_STRUCT_FIELDS[name], _Reader(reader.take(*reader.unpack(layout))))


def _decode_fields(fields: list[_Field], reader: _Reader) -> SimpleNamespace:
    values = SimpleNamespace()
    for name, kind, may_be_missing in fields:
        if may_be_missing and not reader.left():
            break
        if kind == "marked":
            _decode_marked(values, name, reader)
        else:
            setattr(values, name, _decode_value(kind, reader))
    return values


_HAS_QUEUE = 1 << 30


def _decode_marked(run: SimpleNamespace, name: str, reader: _Reader) -> None:
    (count,) = reader.unpack(_U32)
    run.queue = reader.unpack(_U64)[0] if run.attempt & _HAS_QUEUE else 0
    run.attempt &= ~_HAS_QUEUE
    setattr(run, name, bytes(reader.take(count)))


def decode_body(name: str, body: bytes) -> SimpleNamespace:
    reader = _Reader(body)
    message = _decode_fields(_TYPES[name][1], reader)
    if reader.left():
        raise ProtocolError(f"{reader.left()} bytes behind the last field of {name}")
    return message


# --- frames --------------------------------------------------------------------------------------

_HEADER = struct.Struct("<IBBHI")


class FrameHeader(NamedTuple):
    body_bytes: int
    type: int
    request_id: int

    @property
    def name(self) -> str:
        if self.type not in _NAMES:
            raise ProtocolError(f"unknown frame type {self.type}")
        return _NAMES[self.type]


def raw_frame(frame_type: int, request_id: int, body: bytes, flags: int = 0) -> bytes:
    header = _HEADER.pack(len(body), frame_type, flags, 0, request_id)
    return header + _U32.pack(crc32c(header)) + body


def encode_frame(name: str, request_id: int, /, **fields) -> bytes:
    number, layout = _TYPES[name]
    return raw_frame(number, request_id, _encode_fields(layout, fields))


def decode_header(data: bytes) -> FrameHeader:
    body_bytes, frame_type, flags, reserved, request_id = _HEADER.unpack_from(data)
    if _U32.unpack_from(data, _HEADER.size)[0] != crc32c(data[: _HEADER.size]):
        raise ProtocolError("the frame header has a wrong checksum")
    if flags or reserved:
        raise ProtocolError("the frame header has unknown flags or reserved bytes")
    return FrameHeader(body_bytes, frame_type, request_id)


# --- records and batches -------------------------------------------------------------------------

_KEY, _HEADERS, _TTL, _PRIORITY, _MESSAGE_ID = 1, 2, 4, 8, 16
_KNOWN_RECORD_FLAGS = 31
_BATCH = struct.Struct("<BBBBIIIQQQQ")


@dataclass
class Message:
    payload: bytes = b""
    key: bytes | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    ttl_ms: int | None = None
    priority: int | None = None
    message_id: bytes | None = None


def encode_record(message: Message) -> bytes:
    flags, body = 0, bytearray()
    if message.ttl_ms is not None:
        flags |= _TTL
        body += _U64.pack(message.ttl_ms)
    if message.priority is not None:
        flags |= _PRIORITY
        body += _U8.pack(message.priority)
    if message.message_id is not None:
        flags |= _MESSAGE_ID
        body += _sized(_U8, message.message_id)
    if message.key is not None:
        flags |= _KEY
        body += _sized(_U16, message.key)
    if message.headers:
        flags |= _HEADERS
        body += _U16.pack(len(message.headers))
        for name, value in message.headers:
            body += _sized(_U16, name.encode()) + _sized(_U16, value.encode())
    counted = bytes([flags]) + body + message.payload
    length = _U32.pack(4 + len(counted))
    return length + _U32.pack(crc32c(length + counted)) + counted


def split_records(data: bytes) -> Iterator[bytes]:
    """Cuts records that lie one behind the other, by their lengths."""
    reader = _Reader(data)
    while reader.left():
        start = reader.at
        (length,) = reader.unpack(_U32)
        reader.take(length)
        yield bytes(data[start : reader.at])


def decode_record(record: bytes) -> Message:
    reader = _Reader(record)
    length, checksum, flags = reader.unpack(struct.Struct("<IIB"))
    if length != len(record) - 4:
        raise ProtocolError("a record's length does not agree with its bytes")
    if checksum != crc32c(record[:4] + record[8:]):
        raise ProtocolError("a record does not match its checksum")
    if flags & ~_KNOWN_RECORD_FLAGS:
        raise ProtocolError(f"a record has unknown flags {flags}")
    message = Message()
    if flags & _TTL:
        (message.ttl_ms,) = reader.unpack(_U64)
    if flags & _PRIORITY:
        (message.priority,) = reader.unpack(_U8)
    if flags & _MESSAGE_ID:
        message.message_id = bytes(reader.take(*reader.unpack(_U8)))
    if flags & _KEY:
        message.key = bytes(reader.take(*reader.unpack(_U16)))
    if flags & _HEADERS:
        for _ in range(*reader.unpack(_U16)):
            message.headers.append((reader.text(), reader.text()))
    message.payload = bytes(reader.take(reader.left()))
    return message


def encode_batch(records: list[bytes], producer: int = 0, first_sequence: int = 0) -> bytes:
    flags, ttls = 0, []
    for record in records:
        flags |= record[8]
        ttls.append(_U64.unpack_from(record, 9)[0] if record[8] & _TTL else NO_TTL)
    body = b"".join(records)

    def header(crc: int) -> bytes:
        times = (min(ttls, default=NO_TTL), max(ttls, default=NO_TTL))
        return _BATCH.pack(
            1, 0, flags, 0, len(records), len(body), crc, producer, first_sequence, *times
        )

    return header(crc32c(header(0))) + body


# --- lease runs ----------------------------------------------------------------------------------


def join_runs(leases: Iterable[tuple[int, Lease]]) -> list[LeaseRun]:
    """Runs of (offset, lease) pairs: neighbours are those with consecutive offsets and leases."""
    runs: list[LeaseRun] = []
    for offset, lease in sorted(leases):
        last = runs[-1] if runs else None
        if last and (offset - last.first_offset, lease) == (
            last.count,
            Lease(last.epoch, last.first_lease + last.count),
        ):
            runs[-1] = last._replace(count=last.count + 1)
        else:
            runs.append(LeaseRun(offset, 1, lease.epoch, lease.counter))
    return runs


def each_lease(run: LeaseRun) -> Iterator[tuple[int, Lease]]:
    for i in range(run.count):
        yield run.first_offset + i, Lease(run.epoch, run.first_lease + i)
