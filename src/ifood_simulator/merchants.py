"""The stores, and the traits by which their answers differ from one another."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeVar
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from ifood_simulator.draws import number, unit
from ifood_simulator.settings import App, Settings

_NAMESPACE = UUID("2b1d6c1e-52d5-4c58-93a5-5b0f5f0f7a11")

_HOUSES = (
    "Cantina da Nonna",
    "Açaí do Zé",
    "Pizzaria São João",
    'Bar "O Gordo"',
    "Esfiharia D'Ouro",
    "Churrascaria Três Irmãos",
    "Sabor & Cia; Marmitas",
    "Sushi Kōji",
    "=Mais Sabor",
    "Tapioca, Café e Prosa",
    "Padaria Pão Quente",
    "Hamburgueria 100% Brasa",
    "@Lanches da Praça",
    "Galeto do Coração",
    "Feijoada da Vovó Conceição",
    "Pastelaria Feira-Livre",
    "Temakeria Maré Alta",
    "Boteco Água na Boca",
    "Moqueca & Dendê",
)
_DISTRICTS = (
    "Centro",
    "Moema",
    "Vila Mariana",
    "Pinheiros",
    "Copacabana",
    "Boa Viagem",
    "Savassi",
    "Água Verde",
    "Ponta Negra",
    "Asa Sul",
    "Barra da Tijuca",
    "Tatuapé",
    "Aldeota",
    "Cidade Baixa",
    "Jardim América",
    "Pituba",
    "Santa Cecília",
)
EmptyFace = Literal["404", "204", "blank", "list", "null", "bare_list", "bare_null"]
Plan = Literal["daily", "weekly"]
Receivables = Literal["none", "split", "thrice"]
T = TypeVar("T")

_ZONES = (
    ("America/Sao_Paulo", 0.80),
    ("America/Manaus", 0.07),
    ("Etc/GMT+3", 0.05),
    ("America/Rio_Branco", 0.05),
    ("America/Noronha", 0.03),
)
_PLANS: tuple[tuple[Plan, float], ...] = (("daily", 0.7), ("weekly", 0.3))
_EMPTY_FACES: tuple[tuple[EmptyFace, float], ...] = (
    ("404", 0.4),
    ("204", 0.2),
    ("list", 0.2),
    ("null", 0.2),
)
_RECEIVABLES: tuple[tuple[Receivables, float], ...] = (
    ("none", 0.65),
    ("thrice", 0.20),
    ("split", 0.15),
)
_SHARES = {
    "array_envelope": 0.25,
    "balance_zero": 0.15,
    "chain": 0.05,
    "old_spelling": 0.10,
    "paid_weekly": 0.50,
    "priority": 0.05,
    "repeats_row": 0.30,
    "size_is_rows": 0.40,
    "text_short_id": 0.30,
    "total_off": 0.10,
}


@dataclass(frozen=True, slots=True)
class Merchant:
    """
    A store and its traits.

    Each trait was met in the real API; a store keeps its own.
    """

    index: int
    id: str
    short_id: int
    name: str
    corporate_name: str
    document: str
    timezone: str
    zone: ZoneInfo
    app: App
    volume: float
    """Factor on the average number of sales."""
    priority: int
    plan: Plan | None
    revoked: bool
    array_envelope: bool
    empty: EmptyFace
    """How "nothing" looks: `answers.nothing` has the faces."""
    size_is_rows: bool
    total_off: bool
    repeats_row: bool
    """The first row of page n + 1 is the last row of page n."""
    text_short_id: bool
    old_spelling: bool
    """`billingSumary`, `payments.payments` and `merchant.document`."""
    balance_zero: bool
    receivables: Receivables
    """`split`: RENEGOCIADA = REGISTRO_RECEBIVEIS + REPASSE; `thrice`: one sum in three titles."""
    paid_weekly: bool
    books: int
    """Index of the store whose titles these are: stores of one chain are settled together."""


class Roster:
    """The merchants of a world; a store is drawn when it is asked for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._index_of = {
            merchant_id(settings.seed, index): index for index in range(settings.merchants)
        }
        self._drawn = lru_cache(maxsize=None)(self._draw)

    def __len__(self) -> int:
        return self._settings.merchants

    def __iter__(self) -> Iterator[Merchant]:
        return map(self._drawn, range(self._settings.merchants))

    def at(self, index: int) -> Merchant:
        """Store number `index`, from 0."""
        return self._drawn(index)

    def find(self, id_: str) -> Merchant | None:
        """The store with that id, in any case of its letters, or None."""
        index = self._index_of.get(id_.lower())
        return None if index is None else self._drawn(index)

    def settled_with(self, merchant: Merchant) -> list[Merchant]:
        """The stores that share the merchant's titles, itself among them, lowest number first."""
        pair = (merchant.books, merchant.books + 1)
        members = [self._drawn(index) for index in pair if index < len(self)]
        return [member for member in members if member.books == merchant.books]

    def of(self, app: App) -> list[Merchant]:
        """The stores that belong to `app`, in the order of their numbers."""
        apps = self._settings.apps
        first = apps.index(app)
        return [self._drawn(i) for i in range(first, self._settings.merchants, len(apps))]

    def _draw(self, index: int) -> Merchant:
        settings = self._settings
        seed = settings.seed

        def chance(trait: str) -> float:
            return unit(seed, index, trait)

        def has(trait: str) -> bool:
            return chance(trait) < _SHARES[trait]

        name = _name(seed, index)
        timezone = _pick(chance("timezone"), _ZONES)
        without_plan = chance("plan") < settings.no_plan_share
        in_chain = unit(seed, index // 2, "chain") < _SHARES["chain"]
        return Merchant(
            index=index,
            id=merchant_id(seed, index),
            short_id=1_000_000 + index,
            name=name,
            corporate_name=f"{name.split(' - ', maxsplit=1)[0]} Alimentos LTDA",
            document=f"{number(seed, 'document', index) % 10**8:08d}0001{index % 100:02d}",
            timezone=timezone,
            zone=ZoneInfo(timezone),
            app=settings.apps[index % len(settings.apps)],
            volume=0.4 + 1.2 * chance("volume"),
            priority=10 if has("priority") else 0,
            plan=None if without_plan else _pick(chance("rhythm"), _PLANS),
            revoked=chance("revoked") < settings.revoked_share,
            array_envelope=has("array_envelope"),
            empty=_pick(chance("empty"), _EMPTY_FACES),
            size_is_rows=has("size_is_rows"),
            total_off=has("total_off"),
            repeats_row=has("repeats_row"),
            text_short_id=has("text_short_id"),
            old_spelling=has("old_spelling"),
            balance_zero=has("balance_zero"),
            receivables=_pick(chance("receivables"), _RECEIVABLES),
            paid_weekly=has("paid_weekly"),
            books=index - index % 2 if in_chain else index,
        )


def merchant_id(seed: int, index: int) -> str:
    """The UUID of merchant number `index` in the world of `seed`."""
    return str(uuid5(_NAMESPACE, f"{seed}/{index}"))


def _name(seed: int, index: int) -> str:
    start = number(seed, "names") % len(_HOUSES)
    house = _HOUSES[(start + index) % len(_HOUSES)]
    rounds = index // len(_HOUSES)
    district = _DISTRICTS[rounds % len(_DISTRICTS)]
    branch = rounds // len(_DISTRICTS)
    return f"{house} - {district}" + (f" {branch + 1}" if branch else "")


def _pick(chance: float, shares: tuple[tuple[T, float], ...]) -> T:
    reach = 0.0
    for choice, share in shares:
        reach += share
        if chance < reach:
            return choice
    return shares[-1][0]
