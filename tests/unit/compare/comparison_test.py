#!/usr/bin/env python3
"""Medians, spread and table of tools/bench/compare."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools" / "bench"))
import comparison  # noqa: E402


def row_like(figure):
    return comparison.Row("row", "publish", figure=figure)


class ComparisonTest(unittest.TestCase):
    def test_numbers_have_three_digits(self):
        self.assertEqual([comparison.number_text(value) for value in
                          (9.994, 940, 999.6, 8046, 217_400, 999_600, 12_340_000)],
                         ["9.99", "940", "1.00 k", "8.05 k", "217 k", "1.00 M", "12.3 M"])
        self.assertEqual([comparison.time_text(us) for us in (218.4, 999.6, 4_480_000)],
                         ["218 us", "1.00 ms", "4.48 s"])

    def test_rate_is_the_median_with_spread_and_cpu(self):
        runs = [{"messages_per_second": rate, "server": {"cpu_seconds_per_million": cpu}}
                for rate, cpu in ((90e3, 2), (110e3, 4), (100e3, 3))]
        self.assertEqual(comparison.cell_text(row_like("rate"), runs), "100 k ±10 %, cpu 3.00")

    def test_one_run_has_no_spread(self):
        runs = [{"latency_us": {"p50": 174.0, "p99": 1240.0}}]
        self.assertEqual(comparison.cell_text(row_like("latency"), runs), "174 us / 1.24 ms")

    def test_what_was_not_measured_is_a_dash(self):
        self.assertEqual(comparison.cell_text(row_like("rate"), []), "-")
        runs = [{"messages_per_second": 5.0, "server": {"cpu_seconds_per_million": None}}]
        self.assertEqual(comparison.cell_text(row_like("rate"), runs), "5.00")

    def test_table_is_aligned(self):
        self.assertEqual(comparison.table(["", "a"], [["long", "1"], ["x", "22"]]),
                         "|      | a  |\n| ---- | -- |\n| long | 1  |\n| x    | 22 |")

    def test_percentile_is_a_value_that_was_there(self):
        self.assertEqual(comparison.percentile([3, 1, 2, 4], 0.5), 3)
        self.assertEqual(comparison.percentile([7], 0.99), 7)

    def test_titles_differ(self):
        titles = [row.title for row in comparison.ROWS]
        self.assertEqual(len(titles), len(set(titles)))


if __name__ == "__main__":
    unittest.main()
