"""
The restaurant accounts whose data is pulled.

account (the table) · identifiers (merchant ids and CNPJs) · sheet (accounts as a file; lines and
workbook_lines read it, guard keeps formulas out, sandbox limits what a file may cost) ·
registry (imports, lists and changes them) · spelling (one merchant, one account) · linking (which
authorization reads which account) · presence (what iFood says of each)
"""

from ifood_actors.accounts.account import Account
from ifood_actors.accounts.guard import FORMULA
from ifood_actors.accounts.lines import BadSheet
from ifood_actors.accounts.registry import (
    Imported,
    add_discovered,
    application_names,
    busiest_share,
    count_active,
    import_sheet,
    list_accounts,
    names_of,
    require_known,
    set_active,
)

__all__ = [
    "FORMULA",
    "Account",
    "BadSheet",
    "Imported",
    "add_discovered",
    "application_names",
    "busiest_share",
    "count_active",
    "identifiers",
    "import_sheet",
    "linking",
    "list_accounts",
    "names_of",
    "presence",
    "require_known",
    "set_active",
    "sheet",
]
