"""One row of a preview: somebody or something that would be otherwise, in which way, and when (decision 0055)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mastering.rules.expressions import Value
from mastering.store.bulk import Row
from mastering.store.documents import dump


class Kind(StrEnum):
    """What would be otherwise."""

    PROFILE = "PROFILE"
    REJECTED = "REJECTED"
    AUTHORITY = "AUTHORITY"
    WORD = "WORD"
    STATUS = "STATUS"
    WAITING = "WAITING"
    CONFIRMATION = "CONFIRMATION"
    RECORD = "RECORD"


class When(StrEnum):
    """When it would be so: at once, with the next import of the app, if a reconciliation repaired it, or it is of a run that is past."""

    ON_SAVE = "ON_SAVE"
    NEXT_IMPORT = "NEXT_IMPORT"
    REPAIR = "REPAIR"
    PAST = "PAST"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A row. `before` and `after` are statuses, apps, situations or actions, by kind."""

    kind: Kind
    when: When
    user_id: str | None = None
    login: str | None = None
    app_id: str | None = None
    account_id: str | None = None
    external_id: str | None = None
    before: str | None = None
    after: str | None = None
    trigger: str | None = None
    reason: str | None = None
    attributes: Mapping[str, tuple[Value, Value]] = field(default_factory=dict)
    candidates: tuple[str, ...] = ()
    detail: str | None = None

    def row(self, preview_id: str, seq: int) -> Row:
        """In the order of `store.previews.ROW_COLUMNS`."""
        attributes = {name: {"old": old, "new": new} for name, (old, new) in self.attributes.items()}
        return (
            preview_id,
            seq,
            self.kind.value,
            self.when.value,
            self.user_id,
            self.login,
            self.app_id,
            self.account_id,
            self.external_id,
            self.before,
            self.after,
            self.trigger,
            self.reason,
            dump(attributes),
            dump(self.candidates),
            self.detail,
        )
