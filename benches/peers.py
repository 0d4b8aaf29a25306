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
LEVEL = 3


def best(work):
    """Seconds of the fastest pass, and what it gave."""
    seconds = []
    for _ in range(int(sys.argv[2])):
        begun = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds), result


def write(table):
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd", compression_level=LEVEL)
    return file.getvalue()


def read(data):
    return pq.read_table(io.BytesIO(data), use_threads=False)


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
    write_seconds, data = best(lambda: write(table))
    read_seconds, _ = best(lambda: read(data))
    frame = table.select(["company", "high", "low", "close"]).to_pandas()
    stocks = [bars.reset_index(drop=True) for _, bars in frame.groupby("company", sort=False)]
    ta_seconds, _ = best(lambda: features(stocks))
    print(json.dumps({"bytes": len(data), "write": write_seconds, "read": read_seconds, "ta": ta_seconds}))


if __name__ == "__main__":
    main()
