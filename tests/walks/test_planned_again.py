"""A past run with an inline hook, planned again: what the hook said is known from the plan, and it is never called (SPEC §8; decision 0058)."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select
from sqlmodel import col

from mastering.clock import now
from mastering.rules.hook import OnFailure
from mastering.rules.mapping import MappingRule
from mastering.rules.policy import Matching
from mastering.store import catalog, previews, tables
from mastering.store.engine import reading
from mastering.whatif import again
from mastering.whatif import previews as walk
from mastering.whatif.world import Wishes
from tests.hook_server import Reply, Seen, linking
from tests.walks.imports_world import ADMIN, person
from tests.walks.test_hooks import Hooked, hooked

__all__ = ["hooked"]


def previewed(it: Hooked, run: tables.ImportRun, wishes: Wishes) -> dict[str | None, previews.PreviewRow]:
    """The rows of a preview by external id; no hook is called for it."""
    calls = len(it.server.seen)
    asked = walk.start(it.world.engine, ADMIN, now(), wishes, {}, run_id=run.id)
    it.world.work()
    done = walk.read(it.world.engine, asked.id)
    assert (done.status, len(it.server.seen)) == ("COMPLETED", calls), done.error
    with reading(it.world.engine) as session:
        row = previews.PreviewRow
        found = session.execute(select(row).where(col(row.preview_id) == asked.id)).scalars()
        return {each.external_id: each for each in found}


def email_of(seen: Seen) -> str:
    return str(seen.document["data"]["appUser"]["profile"]["email"]).lower()


def titled(it: Hooked, expression: str) -> Wishes:
    with reading(it.world.engine) as session:
        rules = {rule.target: rule for rule in catalog.mapping_rules(session, it.hr)}
    rules["title"] = MappingRule("title", expression, create_only=False)
    return Wishes(mappings={it.hr: tuple(rules.values())})


def test_what_the_hook_changed_is_mapped_under_the_wishes_and_it_is_not_called(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.server.commands(("appUser.profile.update", {"department": "Engines"}), ("user.profile.update", {"city": "London"}))
    run = it.world.send(it.hr, [person("E1", department="x"), person("E2")])
    assert it.outcomes(run) == {"changed": 2}
    found = previewed(it, run, titled(it, "'of ' + appuser.department"))
    assert {who: row.attributes for who, row in found.items()} == dict.fromkeys(
        ("E1", "E2"), '{"title":{"old":null,"new":"of Engines"}}'
    ), "and the city stays as the hook said"


def test_a_failure_and_a_link_by_the_hook_stand_as_they_were(hooked: Hooked) -> None:
    it = hooked.set_up()
    somebody = it.world.by_hand("somebody")
    fails = "e1@example.com"
    it.server.behaves = lambda seen: Reply(400) if email_of(seen) == fails else Reply(body=linking(somebody.id))
    run = it.world.send(it.hr, [person("E1"), person("E2")])
    assert [(it.world.change(run, who).action, it.world.change(run, who).reason) for who in ("E1", "E2")] == [
        ("wait", "hook_failed"),
        ("link", None),
    ]
    assert previewed(it, run, Wishes(policies={it.hr: replace(it.policy(), safeguard=replace(it.policy().safeguard, enabled=True))})) == {}


def test_about_whom_the_hook_was_not_asked_nothing_is_claimed(hooked: Hooked) -> None:
    it = hooked.set_up(OnFailure.CONTINUE, matching=Matching(username=False, email=True))
    it.world.by_hand("somebody", email="e1@example.com")
    run = it.world.send(it.hr, [person("E1"), person("E2")])
    assert len(it.server.seen) == 1
    found = previewed(it, run, Wishes(policies={it.hr: it.policy()}))
    assert {who: row.detail for who, row in found.items()} == {"E1": again.NOT_ASKED}
