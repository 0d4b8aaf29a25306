#!/usr/bin/env python3
"""Prints ticks of four stocks over two days in the wire format, always the same for a seed: some without a volume, some out
of order within the lateness, some late, with quiet hours and a stock that never moves."""

import argparse
import datetime
import random

STOCKS = {"AAPL": 211.45, "BRK.B": 498.2, "EURUSD=X": 1.1187, "0700": 504.5}
START = datetime.datetime(2025, 5, 13, 22, 0, tzinfo=datetime.timezone.utc)


def line(generator, time, symbol, price):
    stamp = (START + datetime.timedelta(seconds=time)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    volume = f",{generator.randint(1, 500)}" if symbol != "EURUSD=X" and generator.random() < 0.9 else ""
    return f"{stamp},{symbol},{price:.4f}{volume}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    generator = random.Random(options.seed)
    prices, time, step = dict(STOCKS), 0.0, 48 * 3600 / options.count
    for _ in range(options.count):
        time += generator.expovariate(1 / step)
        symbol = generator.choice(list(prices))
        if symbol != "0700":
            prices[symbol] *= 1 + generator.gauss(0, 0.0004)
        if symbol == "BRK.B" and time % 86_400 < 20_000:
            continue
        kind = generator.random()
        back = 1800 if kind < 0.002 else generator.uniform(0, 600) if kind < 0.1 else 0
        print(line(generator, max(0.0, time - back), symbol, prices[symbol]))


if __name__ == "__main__":
    main()
