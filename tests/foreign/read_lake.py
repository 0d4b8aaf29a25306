#!/usr/bin/env python3
"""Reads a lake with programs that are not ours and checks that they agree with each other and with the reference.

  read_lake.py LAKE                  all readers see equal rows of the promised schema, each bar once, with statistics;
                                     the features are those of `ta` 0.11.0 over the bars
  read_lake.py LAKE --ticks FILE     and the bars are those of pandas over this file of ticks (replayed alone into the lake,
                                     layout per_stock; plain or .gz)
  read_lake.py LAKE --spark          Spark reads it too

Exits 0 and says what was compared, or prints the first difference and exits 1.
"""

import argparse
import pathlib
import sys

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ta.momentum import RSIIndicator, UltimateOscillator, WilliamsRIndicator
from ta.trend import EMAIndicator

PRICES = [(name, pa.float64()) for name in ("open", "high", "low", "close")]
KEY = [("timestamp", pa.timestamp("us", tz="UTC")), ("company", pa.string())]
LAGS = [f"close_lag{k}" for k in range(1, 6)]
INDICATORS = ["williams_r", "ultimate_osc", "rsi", "ema", *LAGS]
COLUMNS = {
    "bars": [*KEY, *PRICES, ("volume", pa.float64()), ("vwap", pa.float64()), ("ticks", pa.int64())],
    "features": [*KEY, *PRICES, *((name, pa.float64()) for name in INDICATORS)],
}


class Wrong(Exception):
    """The lake, or one reader's view of it, is not what was promised."""


def require(condition, message):
    if not condition:
        raise Wrong(message)


def parquet_files(dataset):
    """All files below a dataset; there must be nothing but Parquet below date directories."""
    files = sorted(path for path in dataset.rglob("*") if not path.is_dir())
    require(files, f"{dataset}: no files")
    for path in files:
        good = path.suffix == ".parquet" and path.parent.parent == dataset and path.parent.name.startswith("date=")
        require(good, f"{path}: not a Parquet file in a date directory")
    return files


def same_type(got, wanted):
    if pa.types.is_timestamp(wanted):
        return pa.types.is_timestamp(got) and got.unit == wanted.unit and got.tz in ("UTC", "+00:00")
    return got == wanted


def check_file(path, columns):
    """Schema, order, date, NULL instead of NaN, and statistics that say the truth; returns the file's rows."""
    with pq.ParquetFile(path) as file:
        schema, metadata, table = file.schema_arrow, file.metadata, file.read()
        got = [(field.name, field.type) for field in schema]
        match = len(got) == len(columns) and all(g[0] == c[0] and same_type(g[1], c[1]) for g, c in zip(got, columns))
        require(match, f"{path}: columns {got}, expected {columns}")
        for group in range(metadata.num_row_groups):
            rows = file.read_row_group(group)
            for index, name in enumerate(rows.column_names):
                check_statistics(f"{path}, row group {group}, {name}", metadata.row_group(group).column(index), rows[name])
    require(table.num_rows > 0, f"{path}: no rows")
    for name, column in zip(table.column_names, table.columns):
        if pa.types.is_floating(column.type):
            values = column.drop_null().to_numpy()
            require(np.isfinite(values).all(), f"{path}: {name} holds NaN or infinity instead of NULL")
            require(not (np.signbit(values) & (values == 0)).any(), f"{path}: {name} holds -0.0")
    keys = list(zip(table["company"].to_pylist(), table["timestamp"].cast(pa.int64()).to_pylist()))
    require(keys == sorted(set(keys)), f"{path}: rows not sorted by (company, timestamp), or one of them twice")
    dates = {str(date) for date in pc.cast(table["timestamp"], pa.date32()).to_pylist()}
    require(dates == {path.parent.name.removeprefix("date=")}, f"{path}: holds rows of {sorted(dates)}")
    return table


def check_statistics(where, chunk, values):
    statistics = chunk.statistics
    require(chunk.is_stats_set and statistics.has_null_count, f"{where}: no statistics")
    require(statistics.null_count == values.null_count, f"{where}: {statistics.null_count} nulls in the statistics")
    if values.null_count < len(values):
        require(statistics.has_min_max, f"{where}: no min and max that a reader trusts")
        bounds = pc.min_max(values).as_py()
        same = statistics.min == bounds["min"] and statistics.max == bounds["max"]
        require(same, f"{where}: statistics say {statistics.min}..{statistics.max}, the values are {bounds}")


def read_pandas(dataset):
    return pa.Table.from_pandas(pd.read_parquet(dataset), preserve_index=False)


def read_polars(dataset):
    return pl.read_parquet(f"{dataset}/**/*.parquet").to_arrow()


def read_duckdb(dataset):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection.sql("SELECT * FROM read_parquet(?)", params=[f"{dataset}/**/*.parquet"]).to_arrow_table()


def read_spark(dataset):
    from pyspark.sql import SparkSession

    settings = {"spark.sql.session.timeZone": "UTC", "spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1"}
    builder = SparkSession.builder.master("local[1]").appName("read_lake")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate().read.parquet(str(dataset)).toArrow()


def canonical(table, columns):
    """One type a column, sorted by (company, timestamp); what a reader adds of its own (`date`) is dropped."""
    missing = [name for name, _ in columns if name not in table.column_names]
    require(not missing, f"columns {missing} are missing")
    table = table.select([name for name, _ in columns]).cast(pa.schema(columns))
    return table.sort_by([("company", "ascending"), ("timestamp", "ascending")]).combine_chunks()


def difference(left, right):
    """The first row and column in which two canonical tables differ in a bit, or None."""
    if left.num_rows != right.num_rows:
        return f"{left.num_rows} rows against {right.num_rows}"
    for name in left.column_names:
        column = pa.table({"l": left[name], "r": right[name]})
        same = pc.or_kleene(pc.and_(pc.is_null(column["l"]), pc.is_null(column["r"])), pc.equal(column["l"], column["r"]))
        wrong = np.flatnonzero(~same.fill_null(False).to_numpy(zero_copy_only=False))
        if len(wrong):
            row = int(wrong[0])
            key = f"{left['company'][row]} {left['timestamp'][row]}"
            return f"{name} of {key}: {column['l'][row]} against {column['r'][row]} ({len(wrong)} rows differ)"
    return None


def check_readers(lake, spark):
    """Returns bars and features as all readers see them."""
    readers = {"pandas": read_pandas, "polars": read_polars, "duckdb": read_duckdb}
    if spark:
        readers["spark"] = read_spark
    tables, names = {}, {}
    for dataset, columns in COLUMNS.items():
        files = parquet_files(lake / dataset)
        parts = {path.relative_to(lake / dataset): check_file(path, columns) for path in files}
        names[dataset] = parts
        ours = canonical(pa.concat_tables([part.cast(pa.schema(columns)) for part in parts.values()]), columns)
        keys = ours.group_by(["company", "timestamp"]).aggregate([([], "count_all")])
        require(keys.num_rows == ours.num_rows, f"{dataset}: {ours.num_rows - keys.num_rows} rows stand there twice")
        for reader, read in readers.items():
            found = difference(ours, canonical(read(lake / dataset), columns))
            require(found is None, f"{dataset} by {reader}: {found}")
        print(f"{dataset}: {ours.num_rows} rows in {len(files)} files, the same by pyarrow, {', '.join(readers)}")
        tables[dataset] = ours
    require(names["bars"].keys() == names["features"].keys(), "bars and features have not the same files")
    shared = [name for name, _ in [*KEY, *PRICES]]
    for path, bars in names["bars"].items():
        require(bars.select(shared).equals(names["features"][path].select(shared)), f"{path}: bars and features differ")
    return tables["bars"], tables["features"]


def bars_of(ticks_file, window, lateness):
    """What the lake must hold after a replay of this file, by pandas and numpy. Spans in microseconds."""
    names = ["timestamp", "company", "price", "volume"]
    ticks = pd.read_csv(ticks_file, header=None, names=names, dtype=str)
    for name in ("price", "volume"):
        ticks[name] = ticks[name].map(float).astype(float)  # Python's own conversion rounds exactly
    time = pd.to_datetime(ticks["timestamp"], utc=True, format="ISO8601").astype("datetime64[us, UTC]").astype("int64")
    ticks["time"], ticks["start"] = time, time // window * window
    # a partition holds one stock; a tick is late when its window had closed before it
    watermark = ticks.groupby("company")["time"].cummax() - lateness
    late = ticks["start"] + window <= watermark
    ticks = ticks[~late].reset_index(drop=True)

    groups = ticks.groupby(["company", "start"], sort=True)
    number, count = groups.ngroup().to_numpy(), groups.ngroups
    bars = groups.agg(high=("price", "max"), low=("price", "min"), ticks=("price", "size")).reset_index()
    by_time = ticks.sort_values("time", kind="stable").groupby(["company", "start"], sort=True)["price"]
    bars["open"], bars["close"] = by_time.first().to_numpy(), by_time.last().to_numpy()
    # plain sums in file order: pandas' own sum compensates rounding, a single pass does not
    given = ticks["volume"].notna().to_numpy()
    volume, price = ticks["volume"].to_numpy()[given], ticks["price"].to_numpy()[given]
    sums = np.bincount(number[given], weights=volume, minlength=count)
    money = np.bincount(number[given], weights=price * volume, minlength=count)
    any_given = np.bincount(number[given], minlength=count) > 0
    bars["volume"] = np.where(any_given, sums, np.nan)
    bars["vwap"] = np.where(any_given & (sums > 0), money / np.where(sums > 0, sums, 1.0), np.nan)
    bars["timestamp"] = pd.to_datetime(bars["start"], unit="us", utc=True)
    table = pa.Table.from_pandas(bars, preserve_index=False)
    return canonical(table, COLUMNS["bars"]), len(ticks), int(late.sum())


def features_of(bars):
    """`ta` over the whole history of each stock; -0.0 as 0.0."""
    parts = []
    for _, stock in bars.to_pandas().groupby("company", sort=True):
        high, low, close = stock["high"], stock["low"], stock["close"]
        stock = stock[[name for name, _ in [*KEY, *PRICES]]].assign(
            williams_r=WilliamsRIndicator(high, low, close, lbp=14).williams_r() + 0.0,
            ultimate_osc=UltimateOscillator(high, low, close, 7, 14, 28).ultimate_oscillator() + 0.0,
            rsi=RSIIndicator(close, window=14).rsi() + 0.0,
            ema=EMAIndicator(close, window=14).ema_indicator() + 0.0,
            **{name: close.shift(k) for k, name in enumerate(LAGS, start=1)},
        )
        parts.append(stock.replace([np.inf, -np.inf], np.nan))
    return canonical(pa.Table.from_pandas(pd.concat(parts), preserve_index=False), COLUMNS["features"])


def check_features(features, expected):
    exact = [name for name in features.column_names if name != "ultimate_osc"]
    found = difference(features.select(exact), expected.select(exact))
    require(found is None, f"features against ta 0.11.0: {found}")
    ours, theirs = (table["ultimate_osc"].to_numpy() for table in (features, expected))
    require((np.isnan(ours) == np.isnan(theirs)).all(), "ultimate_osc: NULL where ta has a value, or the reverse")
    worst = np.nanmax(np.abs(ours - theirs), initial=0.0)
    require(worst <= 1e-9, f"ultimate_osc: {worst} away from ta")
    print(f"features: {features.num_rows} rows equal ta 0.11.0 bit for bit, ultimate_osc within {worst:.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake", type=pathlib.Path)
    parser.add_argument("--ticks", type=pathlib.Path, help="the file whose replay made the lake")
    parser.add_argument("--window", type=int, default=300, help="seconds")
    parser.add_argument("--lateness", type=int, default=600, help="seconds")
    parser.add_argument("--spark", action="store_true")
    options = parser.parse_args()
    try:
        bars, features = check_readers(options.lake, options.spark)
        if options.ticks:
            expected, ticks, late = bars_of(options.ticks, options.window * 1_000_000, options.lateness * 1_000_000)
            found = difference(bars, expected)
            require(found is None, f"bars against pandas: {found}")
            print(f"bars: {bars.num_rows} rows equal pandas bit for bit, from {ticks} ticks, {late} late left out")
        check_features(features, features_of(bars))
    except Wrong as wrong:
        sys.exit(f"WRONG: {wrong}")


if __name__ == "__main__":
    main()
