"""
Which stores are linked with their application, and since when.

A store that was just linked needs a new token and up to ten minutes to spread (iFood's guide,
section Authentication); until then it answers 403 and is in no list.
"""


class Links:
    """Every store is linked from the start. Instants are seconds of one monotonic clock."""

    def __init__(self, *, spread_seconds: float) -> None:
        self._spread_seconds = spread_seconds
        self._since: dict[str, float] = {}
        self._unlinked: set[str] = set()

    def link(self, merchant: str, *, at: float) -> None:
        """Link the store; one that was linked by this before stays as it is."""
        if merchant in self._unlinked or merchant not in self._since:
            self._since[merchant] = at
        self._unlinked.discard(merchant)

    def unlink(self, merchant: str) -> None:
        """Take the store from its application: every token is refused there."""
        self._unlinked.add(merchant)

    def unlinked(self, merchant: str) -> bool:
        return merchant in self._unlinked

    def opens(self, merchant: str, *, issued_at: float, at: float) -> bool:
        """Whether a token of `issued_at` opens the store at `at`, as far as the link goes."""
        if merchant in self._unlinked:
            return False
        since = self._since.get(merchant)
        return since is None or (issued_at >= since and at >= since + self._spread_seconds)
