"""What tools/bench/compare measures, and how figures of several runs become one table. Pure."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One workload. `arguments` mean the same to `brokerctl bench` and to bench_peers."""

    title: str
    workload: str  # or idle: the server alone
    arguments: tuple = ()
    figure: str = "rate"  # rate, latency, start or memory
    stores: bool = True  # messages, so that durability matters


def publish(size, text):
    return [Row(f"publish {text}, {count} connection{'s' if count > 1 else ''}, messages/s",
                "publish", ("--size", size, "--connections", count, "--in-flight", 1000))
            for count in (1, 8)]


ROWS = [
    *publish(100, "100 B"),
    *publish(1024, "1 KiB"),
    *publish(16384, "16 KiB"),
    Row("publish 100 B, one in flight, p50 / p99", "publish",
        ("--size", 100, "--in-flight", 1), "latency"),
    *[Row(f"consume a backlog of 100 B, {count} consumer{'s' if count > 1 else ''}, messages/s",
          "consume", ("--size", 100, "--consumers", count)) for count in (1, 4)],
    Row("end to end, 256 B at 10 k/s, p50 / p99", "latency",
        ("--size", 256, "--rate", 10_000), "latency"),
    Row("fan-out to 10 queues, 256 B, delivered/s", "fanout",
        ("--size", 256, "--queues", 10, "--in-flight", 10_000)),
    *[Row(f"request/reply, {count} requester{'s' if count > 1 else ''}, replies/s",
          "rpc", ("--size", 100, "--in-flight", count), stores=False) for count in (1, 32)],
    Row("start", "idle", figure="start"),
    Row("idle memory", "idle", figure="memory"),
]


def number_text(value):
    """Three digits: 1.21 M, 217 k, 8.05 k, 940."""
    for bound, unit, divisor in ((999_500, " M", 1e6), (999.5, " k", 1e3)):
        if value >= bound:
            return three_digits(value / divisor) + unit
    return three_digits(value)


def three_digits(value):
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f}"


def time_text(us):
    for bound, unit, divisor in ((999_500, "s", 1e6), (999.5, "ms", 1e3)):
        if us >= bound:
            return f"{three_digits(us / divisor)} {unit}"
    return f"{us:.0f} us"


def spread(values, text):
    """The median, and half of what lies between the least and the most when there are several."""
    median = statistics.median(values)
    if len(values) == 1 or median == 0:
        return text(median)
    half = (max(values) - min(values)) / 2
    return f"{text(median)} ±{half / median * 100:.0f} %"


def values_of(runs, *path):
    """The values at this path of every run that has one."""
    found = []
    for value in runs:
        for name in path:
            value = value.get(name) if value is not None else None
        if value is not None:
            found.append(value)
    return found


def cell_text(row, runs):
    """One cell from the reports of all runs."""
    if not runs:
        return "-"
    if row.figure == "latency":
        return " / ".join(spread(values_of(runs, "latency_us", part), time_text)
                          for part in ("p50", "p99"))
    if row.figure == "start":
        return spread(values_of(runs, "start_ms"), lambda ms: time_text(ms * 1000))
    if row.figure == "memory":
        return spread(values_of(runs, "rss_mib"), lambda mib: f"{three_digits(mib)} MiB")
    text = spread(values_of(runs, "messages_per_second"), number_text)
    cpu = values_of(runs, "server", "cpu_seconds_per_million")
    return f"{text}, cpu {three_digits(statistics.median(cpu))}" if cpu else text


def table(header, rows):
    """Markdown, aligned so that it can be read as it is."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def text(cells):
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |"
    return "\n".join([text(header), text(["-" * width for width in widths]),
                      *[text(line) for line in rows]])


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]
