"""Who masters an attribute, and who supplies it: every kind, every state of two accounts, every ranking (SPEC §4).

The law is written down a second time here, as a person would say it, and compared in every one of the cases.
"""

from datetime import UTC, datetime
from itertools import product

import pytest

from mastering.rules.lifecycle import Status
from mastering.rules.mapping import compile_mapping, compile_username, default_rules
from mastering.rules.people import Account, User
from mastering.rules.policy import UsernameFormat
from mastering.rules.profile import Source, Sources, attribute_masters, mastered, supplied
from mastering.rules.record import AccountState
from mastering.rules.schema import AttributeMaster, MasterKind, default_schema

BEFORE = "2026-01-01T00:00:00.000Z"
ASSIGNED = {"active": AccountState.ACTIVE, "inactive": AccountState.INACTIVE, "missing": AccountState.MISSING}
STATES = ("none", *ASSIGNED, "released", "never seen active")
RANKINGS = (("hr", "ad"), ("ad", "hr"), ("hr",), ("ad",), ())
MASTERS = {
    "inherit": AttributeMaster(),
    "directory": AttributeMaster(MasterKind.OKTA),
    "hr first": AttributeMaster(MasterKind.OVERRIDE, ("hr", "ad")),
    "ad first": AttributeMaster(MasterKind.OVERRIDE, ("ad", "hr")),
    "ad only": AttributeMaster(MasterKind.OVERRIDE, ("ad",)),
    "an app that is no master": AttributeMaster(MasterKind.OVERRIDE, ("badge",)),
}
CASES = list(product(MASTERS, STATES, STATES))


def expected(kind: str, states: dict[str, str], ranking: tuple[str, ...]) -> tuple[str | None, str | None]:
    """Who masters the attribute, and who supplies it."""
    asked = ranking if kind == "inherit" else MASTERS[kind].priority
    speakers = [app for app in asked if app in ranking and states.get(app) in ASSIGNED]
    if not speakers:
        return None, None
    return speakers[0], speakers[0] if states[speakers[0]] == "active" else None


def person(states: dict[str, str]) -> User:
    links = [
        Account(
            f"in-{app}", app, "E1", ASSIGNED.get(state, AccountState.ACTIVE), {"department": f"of {app}", "email": "jane@example.com"},
            BEFORE, BEFORE, "jane", released=state == "released", seen_active=state != "never seen active",
        )
        for app, state in states.items()
        if state != "none"
    ]  # fmt: skip
    profile = {"login": "jane@example.com", "email": "jane@example.com", "firstName": "Jane", "lastName": "Doe", "department": "as it was"}
    return User("jane", Status.ACTIVE, "jane@example.com", dict(profile), BEFORE, BEFORE, links=links)


@pytest.mark.parametrize("ranking", RANKINGS, ids=">".join)
def test_who_masters_and_who_supplies_an_attribute_follows_from_kind_accounts_and_ranking(ranking: tuple[str, ...]) -> None:
    username = compile_username(UsernameFormat.EMAIL, None)
    for kind, hr, ad in CASES:
        states = {"hr": hr, "ad": ad}
        schema = default_schema().with_master("department", MASTERS[kind])
        source = Source(compile_mapping(default_rules(schema), schema), username)
        sources = Sources(ranking, dict.fromkeys(ranking, source), schema, update_deactivated=False, now=datetime(2026, 3, 1, tzinfo=UTC))
        user = person(states)
        master, supplier = expected(kind, states, ranking)
        link = attribute_masters(sources, [account.link for account in user.links])["department"]
        assert (link.app_id if link else None) == master, (kind, states)
        supplying = supplied(sources, user).get("department")
        assert (supplying.app_id if supplying else None) == supplier, (kind, states)
        assert mastered(sources, user).new == ({"department": f"of {supplier}"} if supplier else {}), (kind, states)


def test_the_cases_are_all_there_are() -> None:
    assert len(CASES) * len(RANKINGS) == 6 * 6 * 6 * 5
