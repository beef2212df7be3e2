"""
The restaurant accounts whose data is pulled.

models (the table) · sheet (accounts as CSV, pure) · registry (imports, lists and changes them) ·
linking (which authorization reads which account)
"""

from ifood_actors.accounts.linking import Linked, link_accounts
from ifood_actors.accounts.models import Account
from ifood_actors.accounts.registry import (
    AccountRow,
    Imported,
    Switched,
    add_discovered,
    application_names,
    busiest_share,
    count_active,
    import_sheet,
    list_accounts,
    require_known,
    set_active,
)
from ifood_actors.accounts.sheet import BadSheet, Entry, Sheet, read_sheet, write_sheet

__all__ = [
    "Account",
    "AccountRow",
    "BadSheet",
    "Entry",
    "Imported",
    "Linked",
    "Sheet",
    "Switched",
    "add_discovered",
    "application_names",
    "busiest_share",
    "count_active",
    "import_sheet",
    "link_accounts",
    "list_accounts",
    "read_sheet",
    "require_known",
    "set_active",
    "write_sheet",
]
