"""Records as Parquet: typed, for programs; needs the extra `export`."""

from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import parquet
from sqlalchemy import Column, Connection, Date, DateTime, Integer, Numeric, Uuid

from ifood_actors.exports.selection import Selection

_ROWS = 10_000  # a row group, which is in memory as a whole
# Of a column that keeps all decimals that iFood sends, such as a percentage: Parquet wants to know
# how many beforehand, so longer ones are rounded.
_PRECISION, _SCALE = 38, 18


def write_parquet(connection: Connection, selection: Selection, out: BinaryIO) -> int:
    """
    Write the selected records; returns how many.

    Money is decimal128(14, 2), a percentage is rounded to 18 decimals, instants are UTC in
    microseconds, texts are as they are.
    """
    schema = pa.schema([pa.field(c.name, _type(c), c.nullable) for c in selection.columns])
    written = 0
    with parquet.ParquetWriter(out, schema, compression="zstd") as file:
        for rows in selection.batches(connection, _expression, size=_ROWS):
            columns = zip(*rows, strict=True)
            arrays = [
                pa.array(values, type=one.type) for values, one in zip(columns, schema, strict=True)
            ]
            file.write_table(pa.Table.from_arrays(arrays, schema=schema))
            written += len(rows)
    return written


def _type(column: Column[Any]) -> pa.DataType:
    match column.type:
        case Numeric(precision=precision, scale=scale):
            return pa.decimal128(precision or _PRECISION, _SCALE if scale is None else scale)
        case DateTime():
            return pa.timestamp("us", tz="UTC")
        case Date():
            return pa.date32()
        case Integer():
            return pa.int64()
        case _:
            return pa.string()


def _expression(column: Column[Any]) -> str:
    match column.type:
        case Uuid():
            return f"{column.name}::text"
        case Numeric(scale=None):
            return f"round({column.name}, {_SCALE})"
        case _:
            return column.name
