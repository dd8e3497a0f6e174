"""A checker that cannot fail is none: each law of the retelling is broken in a history that keeps all the others, and has to be noticed."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mastering import assignments, holds, users
from mastering.catalog import ranks
from mastering.clock import now
from mastering.holds import Terms
from mastering.imports import runs
from mastering.rules.lifecycle import Status
from mastering.rules.policy import ImportPolicy, Safeguard
from mastering.store.documents import dump, load
from mastering.store.engine import open_database
from mastering.store.tables import HistoryEvent
from tests.retelling import Story, retell, story_of
from tests.store.test_serializable import Org, record
from tests.walks.imports_world import ADMIN, CONFIRM_ALL, master

BOTH = ImportPolicy(confirmation=CONFIRM_ALL, mastering=master(suspended=True, deactivated=True), safeguard=Safeguard(enabled=False))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """One of everything that the laws are about."""
    folder: Path = tmp_path_factory.mktemp("told")
    engine = open_database(f"sqlite:///{folder / 'm.db'}")
    org = Org.of(engine, BOTH, BOTH)
    hr, ad = org.apps["HR"], org.apps["AD"]
    everybody = [record(name) for name in ("ann", "bob", "cid", "dan")]
    (bob,), (cid,), (dan,) = org.ids("bob"), org.ids("cid"), org.ids("dan")
    org.world.send(hr, [record("ann"), record("bob", active=False), *everybody[2:]])
    org.world.send(ad, [record("ann"), record("bob"), record("cid", active=False), *everybody[3:]])
    org.world.send(hr, everybody)
    holds.set_hold(engine, ADMIN, now(), dan, Terms("because", None))
    org.world.send(hr, [*everybody[:3], record("dan", active=False)])
    ranks.reorder(engine, ADMIN, now(), [ad, hr])
    org.world.send(ad, [record("ann", active=False), *everybody[1:]])
    assignments.unassign(engine, ADMIN, now(), hr, cid)
    users.act(engine, ADMIN, now(), bob, users.Act.deactivate)
    org.world.send(hr, [everybody[0], record("bob", 2), everybody[3]])
    run = org.world.send(hr, [])
    assert run.status == "HELD"
    runs.approve(engine, ADMIN, now(), run.id, run.plan_hash or "")
    org.world.work()
    story = story_of(engine)
    engine.dispose()
    return story


def at(story: Story, kind: str, number: int = 0, **body: Any) -> int:
    """Where the event of a kind stands whose body says this."""
    found = [place for place, event in enumerate(story.events) if event.type == kind and body.items() <= load(event.body).items()]
    return found[number]


def rewrite(event: HistoryEvent, **parts: Any) -> None:
    event.body = dump({**load(event.body), **parts})


def refact(event: HistoryEvent, **facts: Any) -> None:
    rewrite(event, facts={**load(event.body)["facts"], **facts})


def moved_from_elsewhere(story: Story) -> None:
    rewrite(story.events[at(story, "user.deactivate")], **{"from": "SUSPENDED"})


def moved_against_the_table(story: Story) -> None:
    rewrite(story.events[at(story, "user.deactivate")], to="SUSPENDED")


def ranked_before(story: Story) -> None:
    events = list(story.events)
    events.insert(at(story, "user.deactivate"), events.pop(at(story, "masters.update", -1)))
    _renumber(story, events)


def held_before(story: Story) -> None:
    """A hold that was set before a master moved the user."""
    place = at(story, "user.deactivate")
    hold = deepcopy(story.events[at(story, "user.hold.set")])
    hold.subject, hold.at = story.events[place].subject, story.events[place].at
    _renumber(story, [*story.events[:place], hold, *story.events[place:]])


def another_status_seen(story: Story) -> None:
    refact(story.events[at(story, "user.deactivate")], status="PENDING_ACTIVATION")


def another_match_seen(story: Story) -> None:
    refact(story.events[at(story, "user.reactivate")], exact=False)


def another_history_seen(story: Story) -> None:
    refact(story.events[at(story, "user.reactivate")], pendingWhenDeactivated=True)


def another_authority(story: Story) -> None:
    rewrite(story.events[at(story, "user.deactivate")], authority=load(story.events[at(story, "masters.update", -1)].body)["new"][0])


def another_reason(story: Story) -> None:
    rewrite(story.events[at(story, "account.inactive", reason="held_by_admin")], reason="not_authority")


def moved_without_authority(story: Story) -> None:
    """A word of a lower master, as if it had been followed."""
    event = story.events[at(story, "account.inactive", reason="not_authority")]
    event.type = "user.deactivate"
    rewrite(event, **{"from": "ACTIVE", "to": "DEACTIVATED", "trigger": "deactivate", "reason": None})


def decided_and_not_done(story: Story) -> None:
    event = story.events[at(story, "user.deactivate", rule="when_deactivated")]
    event.type = "account.inactive"


def planned_by_another_policy(story: Story) -> None:
    run_id = story.events[at(story, "import.planned")].run_id or ""
    story.run_policies[run_id] = replace(story.run_policies[run_id], mastering=master(suspended=False))


def approved_twice(story: Story) -> None:
    place = at(story, "import.approved")
    _renumber(story, [*story.events[:place], deepcopy(story.events[place]), *story.events[place:]])


def applied_before_it_was_approved(story: Story) -> None:
    events = list(story.events)
    place = at(story, "import.approved")
    events.insert(place + 2, events.pop(place))
    _renumber(story, events)


def one_login_of_two(story: Story) -> None:
    one, other = (story.events[at(story, "user.create", number)] for number in (0, 1))
    values = load(other.values_json or "")
    values["attributes"]["login"] = load(one.values_json or "")["attributes"]["login"]
    other.values_json = dump(values)


def one_place_of_two(story: Story) -> None:
    event = story.events[at(story, "account.replaced")]
    rewrite(event, account={**load(event.body)["account"], "released": False})


def one_account_of_two(story: Story) -> None:
    one, other = (story.events[at(story, "user.create", number)] for number in (0, 1))
    rewrite(other, account={**load(other.body)["account"], "id": load(one.body)["account"]["id"]})


def lost(story: Story) -> None:
    _renumber(story, [event for place, event in enumerate(story.events) if place != at(story, "user.hold.set")])


def out_of_order(story: Story) -> None:
    events = list(story.events)
    place = at(story, "user.create")
    events[place], events[place + 1] = events[place + 1], events[place]
    story.events = events


def overwritten(story: Story) -> None:
    next(iter(story.users.values())).status = Status.SUSPENDED


def overwritten_profile(story: Story) -> None:
    next(iter(story.users.values())).profile["title"] = "Boss"


def overwritten_link(story: Story) -> None:
    user = next(iter(story.users.values()))
    user.links[0].released = not user.links[0].released


def reordered_in_silence(story: Story) -> None:
    story.ranking = story.ranking[::-1]


def given_another_policy_in_silence(story: Story) -> None:
    app_id = next(iter(story.policies))
    story.policies[app_id] = replace(story.policies[app_id], reactivate_suspended=False)


def _renumber(story: Story, events: list[HistoryEvent]) -> None:
    """The events in another order, each with the number that it would have there."""
    numbers: dict[str, int] = {}
    for event in events:
        event.seq = numbers[event.subject] = numbers.get(event.subject, 0) + 1
    story.events = events


TAMPERED: dict[Callable[[Story], None], str] = {
    moved_from_elsewhere: "and the user was ACTIVE",
    moved_against_the_table: "evt",
    ranked_before: "authority|had it",
    held_before: "hold",
    another_status_seen: "PENDING_ACTIVATION was told",
    another_match_seen: "nothing decided so",
    another_history_seen: "evt",
    another_authority: "was told, and",
    another_reason: "the rules say held_by_admin",
    moved_without_authority: "the rules say not_authority",
    decided_and_not_done: "decided, and not carried out",
    planned_by_another_policy: "imp",
    approved_twice: "import.approved of a run that is APPLYING",
    applied_before_it_was_approved: "of a run that is HELD",
    one_login_of_two: "a login of two users",
    one_place_of_two: "two accounts of one app",
    one_account_of_two: "'s",
    lost: "hold|00u|held_by_admin",
    out_of_order: "out of its place",
    overwritten: "00u",
    overwritten_profile: "00u",
    overwritten_link: "00u",
    reordered_in_silence: "ranking",
    given_another_policy_in_silence: "policies",
}


def test_a_history_that_was_told_as_it_happened_is_believed(told: Story) -> None:
    retell(told)


@pytest.mark.parametrize("tamper", TAMPERED, ids=lambda tamper: tamper.__name__)
def test_every_law_of_the_retelling_is_noticed_when_it_is_broken(told: Story, tamper: Callable[[Story], None]) -> None:
    story = replace(
        told,
        events=[HistoryEvent(**event.model_dump()) for event in told.events],
        users=deepcopy(told.users),
        run_policies=dict(told.run_policies),
        policies=dict(told.policies),
    )
    tamper(story)
    with pytest.raises(AssertionError, match=TAMPERED[tamper]):
        retell(story)
