"""Who is right about a person: the ranked masters, and the authority of one user (SPEC §3).

The ranking is one ordered tuple of app ids for the whole org: the enabled masters that are active, best first.
A link gives an app a say in a user only while it is an *assignment*: not released, and shown active at least once.
An inactive or missing account still speaks: a person whom HR ended is not brought back by a lower directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mastering.errors import Invalid
from mastering.rules.record import AccountState


@dataclass(frozen=True, slots=True)
class Link:
    """One account of one user, as far as ranking cares."""

    app_id: str
    account_id: str
    account: AccountState
    released: bool
    seen_active: bool

    @property
    def assigned(self) -> bool:
        """Whether this link is an assignment (SPEC §1)."""
        return self.seen_active and not self.released


def authority(links: Iterable[Link], ranking: Sequence[str]) -> Link | None:
    """The link of the highest-ranked master with an assignment; `None` when the directory itself masters the user (SPEC §3)."""
    assigned = {link.app_id: link for link in links if link.assigned}
    for app_id in ranking:
        if app_id in assigned:
            return assigned[app_id]
    return None


def reordered(ranking: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The new order, which names exactly the enabled masters; raises `Invalid` naming what is missing, unknown or twice there (SPEC §3)."""
    causes = [f"masters: {app_id} is not an enabled master" for app_id in wanted if app_id not in ranking]
    causes += [f"masters: {app_id} is missing from the order" for app_id in ranking if app_id not in wanted]
    causes += [f"masters: {app_id} is named twice" for app_id in dict.fromkeys(wanted) if list(wanted).count(app_id) > 1]
    if causes:
        raise Invalid("The order must name exactly the enabled masters", *causes)
    return tuple(wanted)
