"""Everything this program refuses, as one tree.

::

    MasteringError                a refusal; carries causes, one per fault
    ├── Invalid                   the request contradicts itself or the rules           400 E0000001
    ├── MalformedBody             the body as a whole cannot be read                    400 E0000003
    ├── Unauthenticated           no token, or not one of ours                          401 E0000011
    ├── Forbidden                 the token's role does not allow it                    403 E0000006
    ├── IllegalMove               the lifecycle table has no such move                  403 E0000038
    │   └── AlreadyActive         activate of an active user                            403 E0000016
    ├── AttributeMastered         a write to an attribute that a master supplies        403 E0000023
    ├── WrongState                the run is not in the state the call needs            403 E0000107
    ├── NotFound                  no such thing                                         404 E0000007
    ├── UnsupportedMediaType      a content type nobody here reads                      415 E0000021
    ├── PlanChanged               the plan hash quoted is not this plan's               409 M0000001
    ├── KeyReused                 an idempotency key came back with another body        409 M0000002
    ├── PreconditionFailed        If-Match does not fit                                 412 E0000231
    ├── Busy                      as much of this is under way as there is room for     429 E0000047
    └── SettingInvalid            a setting stops the start                             (exit 2)

The class says what went wrong, `api/errors.py` says it in HTTP. Messages are sentences for the person who has to mend it.
"""

from __future__ import annotations


class MasteringError(Exception):
    """A refusal. `summary` is one sentence; `causes` has one sentence per fault and names the field."""

    def __init__(self, summary: str, *causes: str) -> None:
        super().__init__(summary)
        self.summary = summary
        self.causes = causes


class Invalid(MasteringError):
    """The request contradicts itself or a rule; one cause per fault, each naming its field."""


class MalformedBody(MasteringError):
    """The body as a whole cannot be read. `line` is the 1-based line of the fault where there is one."""

    def __init__(self, summary: str, line: int | None = None) -> None:
        super().__init__(summary if line is None else f"line {line}: {summary}")
        self.line = line


class Unauthenticated(MasteringError):
    """No token was given, or it is not one of ours, or it was revoked."""


class Forbidden(MasteringError):
    """The token's role does not allow this."""


class IllegalMove(MasteringError):
    """The lifecycle table (SPEC §2) has no such move; nothing has changed."""


class AlreadyActive(IllegalMove):
    """Activate was asked of a user who is active."""


class AttributeMastered(MasteringError):
    """An admin wrote to an attribute that a master supplies at the moment (SPEC §4)."""


class WrongState(MasteringError):
    """The run, session or task is not in the state that the call needs."""


class NotFound(MasteringError):
    """There is no such thing; the summary names kind and id."""


class UnsupportedMediaType(MasteringError):
    """The body's content type is none that an import reads."""


class PlanChanged(MasteringError):
    """The plan hash quoted is not the hash of the plan that is held."""


class KeyReused(MasteringError):
    """An idempotency key came back with another request."""


class PreconditionFailed(MasteringError):
    """`If-Match` names a version that is no longer the current one."""


class Busy(MasteringError):
    """As much of this is under way as the process has room for; nothing was done, and the same request will do a little later."""


class SettingInvalid(MasteringError):
    """A setting cannot be used; the sentence names it and says what would do."""
