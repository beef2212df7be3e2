"""The stores as a file for `ifood-actors accounts import`."""

import csv
from collections.abc import Iterable
from io import StringIO

from ifood_simulator.merchants import Merchant

COLUMNS = ("name", "ifood_merchant_id", "timezone", "priority", "active", "app")


def accounts_csv(merchants: Iterable[Merchant]) -> str:
    """CSV with a header and commas; names stand as they are, quotes and leading `=` included."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((m.name, m.id, m.timezone, m.priority, "true", m.app.name) for m in merchants)
    return text.getvalue()
