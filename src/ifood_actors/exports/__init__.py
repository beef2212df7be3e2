"""
The stored records as a file: which rows and columns (selection), and one module a format.

What Postgres can do it does, and rows pass through one by one or in batches: an export of any
length takes the same memory.
"""

from ifood_actors.exports.as_csv import write_csv
from ifood_actors.exports.files import whole_file
from ifood_actors.exports.selection import Selection

__all__ = ["Selection", "as_parquet", "as_xlsx", "whole_file", "write_csv"]
