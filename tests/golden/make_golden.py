"""Writes the golden files beside this script: bars and what the library `ta` makes of them.

    python3 -m venv venv && venv/bin/pip install ta==0.11.0 pandas==3.1.1 numpy==2.4.6
    venv/bin/python tests/golden/make_golden.py

Made with Python 3.11, ta 0.11.0, pandas 3.1.1, numpy 2.4.6 on x86-64 (where pandas is built without fused multiply-add: a
machine with it may differ in the last bit). The walks come from seeded generators of the standard library, so a second run
writes the same bytes.

Columns: the prices, then the indicators by the names of the features dataset. Numbers are the shortest decimals that read
back as the same double. Empty: not a finite number (too little history, or 0 / 0). -0.0 is written as 0.0.
"""

import csv
import math
import random
from pathlib import Path

import pandas as pd
from ta.momentum import RSIIndicator, UltimateOscillator, WilliamsRIndicator
from ta.trend import EMAIndicator

HERE = Path(__file__).resolve().parent
PRICES = ["open", "high", "low", "close"]


def flat_bars(closes):
    """Bars whose four prices are the close."""
    return [(c, c, c, c) for c in map(float, closes)]


def walk(seed, bars, start, step, digits=None):
    """A geometric random walk, eight ticks a bar; `step` is the standard deviation of a tick's log return."""
    rng = random.Random(seed)
    price, out = start, []
    for _ in range(bars):
        ticks = []
        for _ in range(8):
            price *= math.exp(rng.gauss(0.0, step))
            ticks.append(price if digits is None else round(price, digits))
        out.append((ticks[0], max(ticks), min(ticks), ticks[-1]))
    return out


def jumping(seed, bars):
    """A walk that jumps by up to a factor of 50, and stands still for up to 40 bars now and then."""
    rng = random.Random(seed)
    price, out = 100.0, []
    while len(out) < bars:
        kind = rng.random()
        if kind < 0.05:
            price *= rng.choice([0.02, 0.5, 0.9, 1.1, 2.0, 50.0])
        if kind > 0.97:
            out.extend(flat_bars([price] * rng.randint(1, 40)))
        close = price * math.exp(rng.gauss(0.0, 0.01))
        high = max(price, close) * (1.0 + abs(rng.gauss(0.0, 0.002)))
        low = min(price, close) * (1.0 - abs(rng.gauss(0.0, 0.002)))
        out.append((price, high, low, close))
        price = close
    return out[:bars]


def aapl_daily():
    with open(HERE / "sources" / "aapl_daily.csv", newline="", encoding="ascii") as file:
        return [tuple(float(row[name]) for name in PRICES) for row in csv.DictReader(file)]


SERIES = {
    "aapl_daily": aapl_daily(),
    # Random walks: full precision, cents as real prices have, and scales at which a rounding error would show or drown.
    "walk_full_precision": walk(1, 400, 211.45, 0.0004),
    "walk_in_cents": walk(2, 600, 57.3, 0.0006, digits=2),
    "walk_quiet_in_cents": walk(3, 600, 12.0, 0.00004, digits=2),
    "walk_penny_stock": walk(4, 300, 0.0031, 0.01),
    "walk_of_millions": walk(5, 300, 5.4e6, 0.001),
    "walk_wild": walk(6, 300, 100.0, 0.2),
    "jumps_and_standstills": jumping(7, 800),
    # Averages that fade into subnormal numbers.
    "fading_to_subnormal": walk(8, 40, 1e-290, 0.01) + flat_bars([1e-290] * 900),
    "flat": flat_bars([100] * 40),
    # A price at which (1 - alpha) * p + alpha * p is not p, with the alpha of EMA (a sixth of all prices in cents).
    "flat_at_a_rounded_price": flat_bars([112.27] * 60),
    "rising": flat_bars(range(100, 140)),
    "falling": flat_bars(range(200, 160, -1)),
    "one_move_after_35_flat": flat_bars([100] * 35 + [101, 100, 100, 100, 100]),
    "constant_then_walk": flat_bars([57.3] * 600) + walk(9, 100, 57.3, 0.0006, digits=2),
    "alternating": flat_bars([10.1, 10.2] * 40),
    "alternating_range": [(10.0, 10.5, 9.5, 10.0 + (0.3 if i % 2 else -0.2)) for i in range(60)],
    "flat_for_seven_within_a_walk": walk(10, 40, 20.0, 0.01) + flat_bars([20.3] * 9) + walk(11, 40, 20.3, 0.01),
    **{f"length_{n:02}": walk(100 + n, n, 100.0, 0.001, digits=2) for n in (0, 1, 13, 14, 27, 28, 29)},
}


def with_indicators(bars):
    frame = pd.DataFrame(bars, columns=PRICES, dtype="float64")
    high, low, close = frame["high"], frame["low"], frame["close"]
    frame["williams_r"] = WilliamsRIndicator(high, low, close, lbp=14, fillna=False).williams_r()
    frame["ultimate_osc"] = UltimateOscillator(high, low, close, fillna=False).ultimate_oscillator()
    frame["rsi"] = RSIIndicator(close, window=14, fillna=False).rsi()
    frame["ema"] = EMAIndicator(close, window=14, fillna=False).ema_indicator()
    for lag in range(1, 6):
        frame[f"close_lag{lag}"] = close.shift(lag)
    return frame


def text(value):
    return repr(value + 0.0) if math.isfinite(value) else ""


def main():
    for name, bars in SERIES.items():
        frame = with_indicators(bars)
        with open(HERE / f"{name}.csv", "w", newline="", encoding="ascii") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(frame.columns)
            writer.writerows([text(float(value)) for value in row] for row in frame.itertuples(index=False))


if __name__ == "__main__":
    main()
