"""When a user is reactivated in the app: the table of SPEC §7 for accounts that come back and for new links to people who are gone."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from mastering import holds
from mastering.clock import now
from mastering.holds import Terms
from mastering.review import Verdict
from mastering.rules.policy import Confirmation, ImportPolicy, Matching, WhenDeactivated
from mastering.store.documents import load
from tests.walks.imports_world import ADMIN, World, calm, master, person

PEOPLE = {
    "PENDING": ("PENDING_ACTIVATION", []),
    "ACTIVE": ("ACTIVE", ["activate"]),
    "SUSPENDED": ("SUSPENDED", ["activate", "suspend"]),
    "DEACTIVATED": ("DEACTIVATED", ["activate", "deactivate"]),
    "NEVER": ("DEACTIVATED", ["deactivate"]),
}
"""Each person with the status they have when the account returns, and how they got there. NEVER was pending when deactivated."""

TABLE = """
person       switch  exact  trigger             becomes             reason
PENDING      on      yes    -                   PENDING_ACTIVATION  -
PENDING      on      no     -                   PENDING_ACTIVATION  -
PENDING      off     yes    -                   PENDING_ACTIVATION  -
PENDING      off     no     -                   PENDING_ACTIVATION  -
ACTIVE       on      yes    -                   ACTIVE              -
ACTIVE       on      no     -                   ACTIVE              -
ACTIVE       off     yes    -                   ACTIVE              -
ACTIVE       off     no     -                   ACTIVE              -
SUSPENDED    on      yes    unsuspend           ACTIVE              -
SUSPENDED    on      no     require_activation  PENDING_ACTIVATION  -
SUSPENDED    off     yes    -                   SUSPENDED           switch_off
SUSPENDED    off     no     -                   SUSPENDED           switch_off
DEACTIVATED  on      yes    reactivate          ACTIVE              -
DEACTIVATED  on      no     require_activation  PENDING_ACTIVATION  -
DEACTIVATED  off     yes    -                   DEACTIVATED         switch_off
DEACTIVATED  off     no     -                   DEACTIVATED         switch_off
NEVER        on      yes    require_activation  PENDING_ACTIVATION  -
NEVER        on      no     require_activation  PENDING_ACTIVATION  -
NEVER        off     yes    -                   DEACTIVATED         switch_off
NEVER        off     no     -                   DEACTIVATED         switch_off
"""
CELLS = {
    (name, switch == "on", exact == "yes"): cell for name, switch, exact, *cell in (line.split() for line in TABLE.strip().splitlines()[1:])
}
CASES = list(product([True, False], repeat=3))


@dataclass(frozen=True)
class Case:
    """The two switches, and whether the returning records match exactly."""

    suspended: bool
    deactivated: bool
    exact: bool

    def cell(self, name: str) -> list[str]:
        return CELLS[name, self.suspended if name == "SUSPENDED" else self.deactivated, self.exact]

    def policy(self, **parts: Any) -> ImportPolicy:
        mastering = master(WhenDeactivated.SUSPEND, suspended=self.suspended, deactivated=self.deactivated)
        return calm(**{"mastering": mastering, "confirmation": Confirmation(auto_confirm_new=True), **parts})

    def record(self, name: str, **more: Any) -> dict[str, Any]:
        """The record that returns. Matching is by username: another address is no exact match, though the name is the same."""
        return person(name, title="back", **({} if self.exact else {"email": f"{name.lower()}@elsewhere.org"}), **more)


def returned(case: Case, org: World, app_id: str, run: Any, user_ids: dict[str, str], action: str | None) -> None:
    """Each person stands as the table says, and row and history say why. `action` is given where the row links."""
    for name, user_id in user_ids.items():
        trigger, becomes, reason = case.cell(name)
        row, user = org.change(run, name), org.user(user_id)
        assert (row.trigger or "-", row.to_status, row.reason or "-", row.authority) == (trigger, becomes, reason, app_id), name
        assert row.action == (action or (trigger if trigger != "-" else "none" if becomes == "DEACTIVATED" else "update")), name
        assert user.status == becomes, name
        assert user.profile.get("title") == (None if becomes == "DEACTIVATED" else "back"), (
            f"{name}: who stays deactivated keeps the profile"
        )
        told = [load(event.body) for event in org.events(user_id) if event.run_id == run.id]
        assert [event["type"] for event in told if event.get("trigger")] == ([f"user.{trigger}"] if trigger != "-" else []), name
        assert {event.get("reason", "-") for event in told} == {reason}, name


def gone(org: World, case: Case) -> tuple[str, dict[str, str]]:
    """An app whose accounts are inactive, and their users in every status."""
    hr = org.app("HR", case.policy())
    org.send(hr, [person(name) for name in PEOPLE])
    org.send(hr, [person(name, active=False) for name in PEOPLE])
    user_ids = {name: org.user_of(hr, name).id for name in PEOPLE}
    for name, (_, acts) in PEOPLE.items():
        for act in acts:
            org.act(user_ids[name], act)
    assert {name: org.user(user_id).status for name, user_id in user_ids.items()} == {name: status for name, (status, _) in PEOPLE.items()}
    return hr, user_ids


@pytest.mark.parametrize("case", [Case(*switches) for switches in CASES], ids=str)
def test_an_account_that_came_back_finds_its_cell_of_the_table(org: World, case: Case) -> None:
    hr, user_ids = gone(org, case)
    run = org.send(hr, [case.record(name) for name in PEOPLE])
    assert org.situations(run) == {"CAME_BACK": 5}
    returned(case, org, hr, run, user_ids, None)


@pytest.mark.parametrize("case", [Case(*switches) for switches in CASES], ids=str)
def test_a_new_link_to_people_who_are_gone_is_a_return_and_a_partial_match_is_no_exact_one(org: World, case: Case) -> None:
    user_ids = {}
    for name, (_, acts) in PEOPLE.items():
        user_ids[name] = org.by_hand(name.lower(), activate=False, firstName=f"First-{name}", lastName=f"Last-{name}").id
        for act in acts:
            org.act(user_ids[name], act)
    confirmation = Confirmation(auto_confirm_exact=True, auto_confirm_partial=True)
    hr = org.app("HR", case.policy(matching=Matching(username=True, allow_partial=True), confirmation=confirmation))
    run = org.send(hr, [case.record(name) for name in PEOPLE])
    assert org.situations(run) == {"EXACT" if case.exact else "PARTIAL": 5}
    returned(case, org, hr, run, user_ids, "link")


@pytest.mark.parametrize("case", [Case(*switches) for switches in CASES], ids=str)
def test_a_reviewers_link_is_a_return_judged_by_the_apps_options_and_not_by_the_reviewers_word(org: World, case: Case) -> None:
    user_ids = {}
    for name, (_, acts) in PEOPLE.items():
        user_ids[name] = org.by_hand(name.lower(), activate=False).id
        for act in acts:
            org.act(user_ids[name], act)
    hr = org.app("HR", case.policy(confirmation=Confirmation()))
    org.send(hr, [case.record(name) for name in PEOPLE])
    for name, user_id in user_ids.items():
        result = org.review(hr, name, Verdict.LINK, user_id=user_id)
        _, becomes, reason = case.cell(name)
        assert (result.error, org.user(user_id).status) == (None, becomes), name
        assert org.account(hr, name).unheeded_reason == (reason if reason != "-" else None), name
        assert org.user(user_id).profile.get("title") == (None if becomes == "DEACTIVATED" else "back"), name


@pytest.mark.parametrize("exact", [True, False])
def test_under_a_hold_nobody_returns(org: World, exact: bool) -> None:
    case = Case(suspended=True, deactivated=True, exact=exact)
    hr, user_ids = gone(org, case)
    for user_id in user_ids.values():
        holds.set_hold(org.engine, ADMIN, now(), user_id, Terms("legal hold", None))
    run = org.send(hr, [case.record(name) for name in PEOPLE])
    for name, user_id in user_ids.items():
        trigger, _, _ = case.cell(name)
        assert org.user(user_id).status == PEOPLE[name][0]
        assert (org.change(run, name).trigger, org.change(run, name).reason) == (None, "held_by_admin" if trigger != "-" else None)
        assert org.account(hr, name).unheeded == (trigger if trigger != "-" else None)


def test_a_word_stopped_by_a_switch_is_a_word_that_stands(org: World) -> None:
    case = Case(suspended=False, deactivated=False, exact=True)
    hr, _user_ids = gone(org, case)
    org.send(hr, [case.record(name) for name in PEOPLE])
    unheeded = {name: (org.account(hr, name).unheeded, org.account(hr, name).unheeded_reason) for name in PEOPLE}
    assert unheeded == {
        "PENDING": (None, None),
        "ACTIVE": (None, None),
        "SUSPENDED": ("unsuspend", "switch_off"),
        "DEACTIVATED": ("reactivate", "switch_off"),
        "NEVER": ("require_activation", "switch_off"),
    }


def test_nobody_is_activated_by_a_detour_that_the_app_itself_makes(org: World) -> None:
    hr = org.app("HR", calm(mastering=master(suspended=True, deactivated=True), confirmation=Confirmation(auto_confirm_new=True)))
    org.send(hr, [person("E1")])
    for _ in range(2):
        org.send(hr, [], allow_empty=True)
        org.send(hr, [person("E1")])
        user = org.user_of(hr, "E1")
        assert user.status == "PENDING_ACTIVATION"
    assert org.kinds(user.id) == ["user.create", "user.deactivate", "user.require_activation", "user.deactivate", "user.require_activation"]


def test_the_profile_is_mapped_in_the_transaction_of_the_return(org: World) -> None:
    case = Case(suspended=True, deactivated=True, exact=True)
    hr, user_ids = gone(org, case)
    org.send(hr, [case.record("DEACTIVATED")])
    event = org.events(user_ids["DEACTIVATED"])[-1]
    assert (event.type, load(event.values_json or "{}")["attributes"]) == ("user.reactivate", {"title": {"old": None, "new": "back"}})


def test_a_return_stands_though_its_profile_is_rejected(org: World) -> None:
    case = Case(suspended=True, deactivated=True, exact=False)
    hr, user_ids = gone(org, case)
    org.by_hand("taken", login="suspended@elsewhere.org")
    run = org.send(hr, [case.record("SUSPENDED")])
    row, user = org.change(run, "SUSPENDED"), org.user(user_ids["SUSPENDED"])
    assert (row.trigger, user.status, user.login, user.profile.get("title")) == (
        "require_activation",
        "PENDING_ACTIVATION",
        "suspended@example.com",
        None,
    )
    assert "login" in (row.detail or "")
    org.rename(org.by_login("suspended@elsewhere.org").id, "somebody@else.org")  # type: ignore[union-attr]
    org.send(hr, [case.record("SUSPENDED")])
    assert (org.user(user.id).login, org.user(user.id).profile["title"]) == ("suspended@elsewhere.org", "back")


@pytest.mark.parametrize("by", ["the app", "hand"])
def test_whoever_deactivated_somebody_who_was_never_active_no_number_of_returns_activates_them(org: World, by: str) -> None:
    hr = org.app("HR", calm(mastering=master(suspended=True, deactivated=True), confirmation=Confirmation(auto_confirm_new=True)))
    org.send(hr, [person("E1")])
    user = org.user_of(hr, "E1").id
    for cycle in range(6):
        if by == "hand":
            org.act(user, "deactivate")
        org.delta(hr, [person("E1", active=False)])
        assert (org.user(user).status, org.user(user).pending_when_deactivated) == ("DEACTIVATED", cycle != 3), cycle
        org.delta(hr, [person("E1", active=True)])
        assert org.user(user).status == ("ACTIVE" if cycle == 3 else "PENDING_ACTIVATION"), cycle
        if cycle == 2:
            org.act(user, "activate")
        if cycle == 3:  # who was active is theirs to reactivate; who comes back as somebody else is pending again
            org.act(user, "suspend")
            org.delta(hr, [person("E1", active=False)])
            org.act(user, "unsuspend") if org.user(user).status == "SUSPENDED" else None
            org.delta(hr, [person("E1", email="other@x.org", active=True)])
            assert org.user(user).status == "PENDING_ACTIVATION"


def test_the_history_of_a_return_says_on_what_facts_it_was_decided(org: World) -> None:
    case = Case(suspended=True, deactivated=True, exact=True)
    hr, user_ids = gone(org, case)
    holds.set_hold(org.engine, ADMIN, now(), user_ids["ACTIVE"], Terms("because", None))
    run = org.send(hr, [case.record(name) for name in PEOPLE])
    facts = {name: load(org.events(user_id)[-1].body)["facts"] for name, user_id in user_ids.items()}
    assert facts == {
        name: {
            "situation": "CAME_BACK",
            "status": status,
            "exact": True,
            "held": name == "ACTIVE",
            "pendingWhenDeactivated": name == "NEVER",
        }
        for name, (status, _) in PEOPLE.items()
    }
    told = load(org.events(user_ids["NEVER"])[-1].body)
    assert (told["rule"], told["authority"], told["run"]) == ("reactivate_deactivated", hr, {"id": run.id, "planHash": run.plan_hash})
    assert told["row"] == org.change(run, "NEVER").seq
