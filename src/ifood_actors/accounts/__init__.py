"""
The restaurant accounts whose data is pulled.

account (the table) · identifiers (merchant ids and CNPJs) · sheet (accounts as a file; csv_lines
and workbook_lines read its lines, guard keeps formulas out, sandbox limits what a file may cost) ·
registry (imports, lists and changes them) · spelling (one merchant, one account) · linking (which
authorization reads which account) · presence (what iFood says of each)
"""

from ifood_actors.accounts.account import Account
from ifood_actors.accounts.guard import FORMULA
from ifood_actors.accounts.identifiers import canonical_id, cnpj
from ifood_actors.accounts.lines import BadSheet
from ifood_actors.accounts.linking import Linked, link_accounts, unlink_others
from ifood_actors.accounts.presence import (
    PRESENCE_MEANINGS,
    Opened,
    Presence,
    authorizations_by_merchant,
    presence_of,
)
from ifood_actors.accounts.registry import (
    Imported,
    Switched,
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
from ifood_actors.accounts.sheet import COLUMNS, Entry, Sheet, read_sheet, write_sheet

__all__ = [
    "COLUMNS",
    "FORMULA",
    "PRESENCE_MEANINGS",
    "Account",
    "BadSheet",
    "Entry",
    "Imported",
    "Linked",
    "Opened",
    "Presence",
    "Sheet",
    "Switched",
    "add_discovered",
    "application_names",
    "authorizations_by_merchant",
    "busiest_share",
    "canonical_id",
    "cnpj",
    "count_active",
    "import_sheet",
    "link_accounts",
    "list_accounts",
    "names_of",
    "presence_of",
    "read_sheet",
    "require_known",
    "set_active",
    "unlink_others",
    "write_sheet",
]
