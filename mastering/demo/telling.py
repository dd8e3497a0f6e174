"""Telling the story: send a file, print what was decided and why, compare it with what the story says, go on."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from rich.console import Group
from rich.text import Text

from mastering.cli import show
from mastering.cli.client import Client, decode
from mastering.cli.follow import follow, program, way_out
from mastering.cli.terminal import console, grid, tell, words
from mastering.cli.upload import upload
from mastering.cli.wire import Change, Event, Results, Run, Standings, User, Waiting
from mastering.demo import story
from mastering.demo.company import Company, found
from mastering.demo.story import CHAPTERS, Chapter
from mastering.rules.lifecycle import OKTA_STATUS, Status

_DATA = Path(__file__).parent / "data"
_SHOWN = 4
"""Rows of one action that are printed."""

Faults = list[str]
"""Where the service answered otherwise than the story says; a sentence each."""


def tell_story(client: Client) -> bool:
    """Tell all of it; whether it came out as told. Raises `Stop` where the service refuses something."""
    company = found(client)
    faults: Faults = []
    for number, chapter in enumerate(CHAPTERS, 1):
        _head(f"{number}. {chapter.title}", chapter.happened)
        faults += _tell_chapter(client, company, chapter)
        if number == story.REVIEW_AFTER:
            faults += _tell_review(client, company)
    faults += _tell_life(client, company)
    faults += _tell_end(client)
    for fault in faults:
        tell("Not as told: ", fault, style="bold red")
    return not faults


def _head(title: str, happened: str) -> None:
    out = console()
    out.print()
    out.rule(Text(title, style="bold"), align="left", style="dim")
    out.print(Text(happened, style="italic"))
    out.print()


# -- one import -------------------------------------------------------------------------------------------------------


def _tell_chapter(client: Client, company: Company, chapter: Chapter) -> Faults:
    app_id = company.apps[chapter.app]
    run = follow(client, upload(client, _DATA / chapter.file, app_id, {"mode": chapter.mode.value}))
    changes = list(client.pages(f"/imports/{run.id}/changes", Change))
    out = console()
    out.print(show.run_summary(run, chapter.app))
    out.print()
    out.print(_decisions(changes))
    if run.status == "HELD":
        out.print(words("Nothing of it was applied. Whoever has looked at it chooses:", style="bold"))
        out.print(Text("\n".join(f"  {command}" for command in way_out(client, run))), soft_wrap=True)
    return _compare(chapter, run, changes)


def _decisions(changes: list[Change]) -> Group:
    """What was decided, by action, those that take something away first."""
    ordered = sorted(changes, key=lambda row: (show.weight(row.action), row.action, row.seq))
    groups = [(action, list(rows)) for action, rows in groupby(ordered, key=lambda row: row.action)]
    return Group(*(show.change_group(action, rows, len(rows), most=_SHOWN) for action, rows in groups))


def _compare(chapter: Chapter, run: Run, changes: list[Change]) -> Faults:
    faults = []
    if run.status != chapter.status:
        faults.append(f"{chapter.title}: the import is {run.status}, not {chapter.status}: {run.error}")
    if run.situations != dict(chapter.situations):
        faults.append(f"{chapter.title}: the records meant {run.situations}, not {dict(chapter.situations)}")
    decided = {row.external_id: (row.action, row.to, row.reason) for row in changes}
    for external_id, outcome in chapter.rows.items():
        if decided.get(external_id) != outcome:
            faults.append(f"{chapter.title}: {external_id} is decided {decided.get(external_id)}, not {outcome}")
    return faults


# -- the reviewer -----------------------------------------------------------------------------------------------------


def _tell_review(client: Client, company: Company) -> Faults:
    waiting = {account.external_id: account for account in client.pages("/review", Waiting)}
    _head("A reviewer looks at who waits", "What is not certain is never guessed: it waits, with everybody it could be.")
    out = console()
    out.print(show.waiting(waiting.values(), company.labels))
    situations = {external_id: account.situation for external_id, account in waiting.items()}
    if situations != story.REVIEWED:
        return [f"review: those who wait are {situations}, not {story.REVIEWED}"]
    account = waiting[story.CONFIRMED]
    person = account.candidates[0]
    decision = {"appUserId": account.app_user_id, "action": "LINK", "userId": person.user_id}
    result = decode(client.ask("POST", "/review/decisions", json={"decisions": [decision]}), Results).results[0]
    out.print()
    out.print(words("The reviewer links ", show.name(account.profile), " to ", person.login, ". The others go on waiting."))
    return [] if result.ok and result.status == "ACTIVE" else [f"review: the link ended with {result.status}: {result.error_summary}"]


# -- what is left -----------------------------------------------------------------------------------------------------


def _tell_life(client: Client, company: Company) -> Faults:
    events = list(client.pages(f"/users/{story.TOLD_IN_FULL}/history", Event))[::-1]
    _head("One person's history", f"Everything that ever happened to {story.TOLD_IN_FULL}, and who decided it under which rule.")
    console().print(show.history(events, company.labels))
    told = [event.type for event in events]
    return [] if told == story.LIFE else [f"history: it tells of {told}, not {story.LIFE}"]


def _tell_end(client: Client) -> Faults:
    people = [user for shown in OKTA_STATUS.values() for user in client.pages("/users", User, {"filter": f'status eq "{shown}"'})]
    others = {str(user.profile["login"]): user for user in people if user.status != OKTA_STATUS[Status.ACTIVE]}
    standing = client.get(f"/users/{story.DISAGREES}/masters", Standings).disagreements
    _head("How it stands", f"{len(people) - len(others)} of {len(people)} people are active. The others, and a word that was not followed:")
    table = grid("", "")
    for login, user in sorted(others.items()):
        table.add_row(words(login), show.status_text(user.status))
    for word in standing:
        because = show.REASONS.get(word.reason or "", word.reason)
        table.add_row(words(story.DISAGREES), words(word.label, f" asks to {word.trigger}, but {because}"))
    console().print(table, "")
    faults = [] if standing else [f"{story.DISAGREES}: no master's word stands unheeded"]
    statuses = {login: user.status for login, user in others.items()}
    wanted = {login: OKTA_STATUS[Status(status)] for login, status in story.NOT_ACTIVE_AT_THE_END.items()}
    if (len(people), statuses) != (story.PEOPLE, wanted):
        faults.append(f"the end: of {len(people)} people {statuses} are not active, not {wanted} of {story.PEOPLE}")
    return faults


def invite(client: Client) -> None:
    """Say where the server is and what to try."""
    held = next(run for run in client.pages("/imports", Run) if run.status == "HELD")
    curl = 'curl -s -H "Authorization: SSWS $MASTERING_TOKEN" "$MASTERING_SERVER/api/v1'
    text = f"""\
The server goes on at {client.server}, and describes its API at {client.server}/docs. Ctrl-C stops it, and its data goes with it.

  export MASTERING_SERVER={client.server}
  export MASTERING_TOKEN={client.token}

  {curl}/users?limit=5"
  {curl}/users/{story.DISAGREES}/masters"
  {curl}/imports/{held.id}/changes?action=deactivate"

  {program()} review
  {program()} history {story.TOLD_IN_FULL}
"""
    console().print(Text(text), soft_wrap=True)
