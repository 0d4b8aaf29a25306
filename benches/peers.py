"""What `ta` and pyarrow take for the work that `benches/peers.rs` gives them: one thread, the best of some passes.

    python benches/peers.py BARS.parquet PASSES     prints one line of JSON

The file is one of ours; what pyarrow writes has the same rows, columns, codec and level. Needs `tests/foreign/requirements.txt`.
"""

import io
import json
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
from ta.momentum import RSIIndicator, UltimateOscillator, WilliamsRIndicator
from ta.trend import EMAIndicator

# Ours is zstd's own default; pyarrow's would be 1.
CODEC = {"compression": "zstd", "compression_level": 3}

# Without a list pyarrow tries a dictionary for every column, which costs time and room where hardly a price repeats; and our files do
# not have Arrow's own schema either, which is most of a kilobyte.
PLAIN = {"use_dictionary": ["company"], "store_schema": False}

# The smallest and fastest that was found for these rows, of all encodings that pyarrow writes.
PRICES = ["open", "high", "low", "close", "volume", "vwap"]
TUNED = PLAIN | {
    "column_encoding": dict.fromkeys(PRICES, "BYTE_STREAM_SPLIT")
    | dict.fromkeys(["timestamp", "ticks"], "DELTA_BINARY_PACKED"),
}


def best(work, passes=int(sys.argv[2])):
    """Seconds of the fastest pass, and what it gave."""
    seconds = []
    for _ in range(passes):
        begun = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds), result


def with_settings(settings, table):
    """Companies are texts in memory or a dictionary, whichever is faster."""
    in_dictionary = table.set_column(1, "company", table["company"].dictionary_encode())

    def write(table):
        file = pa.BufferOutputStream()
        pq.write_table(table, file, **CODEC, **settings)
        return file.getvalue()

    def read(**columns):
        return pq.ParquetFile(pa.BufferReader(data), **columns).read(use_threads=False)

    writes = [best(lambda: write(rows)) for rows in (table, in_dictionary)]
    data = writes[0][1]
    reads = [best(lambda: read(**columns))[0] for columns in ({}, {"read_dictionary": ["company"]})]
    return {"bytes": len(data), "write": min(seconds for seconds, _ in writes), "read": min(reads)}


def as_most_use_it(table):
    def write():
        file = io.BytesIO()
        pq.write_table(table, file, **CODEC)
        return file.getvalue()

    write_seconds, data = best(write)
    read_seconds, _ = best(lambda: pq.read_table(io.BytesIO(data), use_threads=False))
    return {"bytes": len(data), "write": write_seconds, "read": read_seconds}


def features(stocks):
    for bars in stocks:
        high, low, close = bars["high"], bars["low"], bars["close"]
        columns = [
            WilliamsRIndicator(high, low, close, lbp=14).williams_r(),
            UltimateOscillator(high, low, close).ultimate_oscillator(),
            RSIIndicator(close, window=14).rsi(),
            EMAIndicator(close, window=14).ema_indicator(),
        ]
        columns += [close.shift(lag) for lag in range(1, 6)]
    return columns


def main():
    pa.set_cpu_count(1)
    table = pq.read_table(sys.argv[1], use_threads=False, partitioning=None)
    frame = table.select(["company", "high", "low", "close"]).to_pandas()
    stocks = [bars.reset_index(drop=True) for _, bars in frame.groupby("company", sort=False)]
    # Every stock costs `ta` milliseconds, however few its bars.
    ta_seconds, _ = best(lambda: features(stocks), passes=3 if len(stocks) < 1_000 else 1)
    times = {
        "tuned": with_settings(TUNED, table),
        "plain": with_settings(PLAIN, table),
        "usual": as_most_use_it(table),
        "ta": ta_seconds,
    }
    print(json.dumps(times))


if __name__ == "__main__":
    main()
