"""Runs, plans and histories as a person reads them. Every value of a person or an app goes through `words`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mastering.cli.terminal import grid, lines, words
from mastering.cli.wire import Attribute, Change, Event, Hold, Hook, Run, Share, Waiting
from mastering.rules.lifecycle import CONSOLE_LABEL, OKTA_STATUS, Status

STATUS_STYLE = {"ACTIVE": "green", "SUSPENDED": "yellow", "DEACTIVATED": "red", "PENDING_ACTIVATION": "cyan"}
RUN_STYLE = {"COMPLETED": "green", "PLANNED": "green", "HELD": "bold yellow", "FAILED": "bold red"}
_OURS = {shown: status.value for status, shown in OKTA_STATUS.items()}

RULES = {
    "when_deactivated": "the app's option for leavers",
    "reactivate_suspended": "the app's option for suspended returners",
    "reactivate_deactivated": "the app's option for deactivated returners",
    "account_returned": "the account is back",
    "auto_confirm_exact": "an exact match is confirmed by itself",
    "auto_confirm_partial": "a partial match is confirmed by itself",
    "auto_confirm_new": "whoever is new is created by itself",
    "inline_hook": "the app's inline hook",
    "needs_review": "a reviewer decides",
    "ignored": "a reviewer said to ignore it",
    "not_pulled_in": "nobody's account, and inactive: left outside",
    "left_the_queue": "nothing is left to decide",
    "undone": "an admin undoes the run that did it",
}
"""What is behind a rule's name. A rule that is not here says no more than the situation does."""

REASONS = {
    "not_authority": "a higher master has the say over this user",
    "held_by_admin": "an admin hold keeps the status as it is",
    "switch_off": "the app's option to bring such users back is off",
    "never_active": "the user was never active, so there is nothing to suspend",
    "app_limit": "more assignments would end than the app's limit allows",
    "org_limit": "more assignments would end than the organisation's limit allows",
    "empty_snapshot": "the import came without a single record",
    "unidentified_records": "records without an external id may be those that seem to be missing",
    "login_claimed_twice": "another record claims the same login",
    "login_taken": "the login belongs to another user",
    "user_claimed_twice": "another record claims the same user",
    "several_returns": "several accounts of this user came back at once",
    "hook_failed": "the inline hook did not answer as it should",
    "hook_place_taken": "the inline hook names a user who has an account of this app",
    "hook_login_taken": "the login that the inline hook's word leads to belongs to another user",
    "changed_since": "changed since the run, and left alone",
    "place_taken": "the user has another account of this app by now",
}
"""What is behind a reason's name; one that is not here is shown as it is."""

SITUATIONS = {
    "WENT_INACTIVE": "the app calls the account inactive",
    "WENT_MISSING": "a full import came without the account",
    "CAME_BACK": "the account is active again",
    "UNMATCHED": "nobody here it could be",
    "EXACT": "exactly one match, not confirmed yet",
    "PARTIAL": "only the name is the same",
    "AMBIGUOUS": "several people fit equally well",
    "CONFLICT": "the match or the login is spoken for",
}
"""What is behind a situation's name, where a person's account or its place in the queue hangs on it."""

_OF_ACCOUNTS = {"WENT_INACTIVE", "WENT_MISSING", "CAME_BACK"}

_COMES_BACK_AS = {
    "require_activation": "not exactly who left, or not active before: somebody has to look",
    "reactivate": "exactly who left",
    "unsuspend": "exactly who left",
}


def status_text(status: str | None) -> Text:
    """A user's status, in our word or Okta's, as the console calls it."""
    ours = _OURS.get(status or "", status or "")
    label = CONSOLE_LABEL[Status(ours)] if ours in set(Status) else ours
    return words(label, style=STATUS_STYLE.get(ours, ""))


def move_text(before: str | None, after: str | None) -> Text:
    """From one status to another; the one status where nothing moves."""
    if before == after or after is None:
        return status_text(before)
    return words(status_text(before), " → ", status_text(after)) if before else words("→ ", status_text(after))


def held_text(hold: Hold | None) -> Text:
    """That an admin holds a status as it is: until when, and why; nothing where nobody does."""
    if hold is None:
        return words("")
    until = f"until {hold.until[:16].replace('T', ' ')}" if hold.until else "until it is lifted"
    return words(f"held {until}: ", hold.reason, style="magenta")


# -- runs -------------------------------------------------------------------------------------------------------------


def run_summary(run: Run, label: str) -> Group:
    """A run: what became of it, what it found, what it did, and what the safeguards said."""
    took = f", {run.duration_ms / 1000:.1f} s" if run.duration_ms is not None else ""
    kind = "dry run" if run.dry_run else "import"
    head = words(
        f"{run.mode} {kind} of ", words(label, style="bold"), f" {run.id}: ", words(run.status, style=RUN_STYLE.get(run.status, ""))
    )
    parts: list[Text | Table] = [words(head, f"  ({run.records:,} {'record' if run.records == 1 else 'records'}{took})")]
    if run.error:
        parts.append(words(run.error, style="red"))
    if run.superseded_by:
        parts.append(words("superseded by ", run.superseded_by))
    if run.situations or run.actions:
        parts.append(_counts(run))
    if run.hook is not None and run.hook.asked:
        parts.append(_hook(run.hook))
    if run.safeguard is not None:
        parts.append(_verdict(run))
    return Group(*parts)


def _counts(run: Run) -> Table:
    table = grid("", "")
    table.add_row(words("situations", style="dim"), _tally(run.situations))
    table.add_row(words("actions", style="dim"), _tally(run.actions))
    return table


def _tally(counts: Mapping[str, int]) -> Text:
    known = [(name, count) for name, count in sorted(counts.items(), key=lambda item: -item[1]) if count]
    return Text(", ").join(words(words(f"{count:,}", style="bold"), f" {name}") for name, count in known) or words("none")


def _hook(hook: Hook) -> Text:
    asked = words("hook ", words(hook.name, style="bold"), f": asked about {hook.asked:,}: ", _tally(hook.outcomes))
    return lines([asked, words(f"  given up: {hook.gave_up}", style="bold yellow")]) if hook.gave_up else asked


def _verdict(run: Run) -> Text:
    verdict = run.safeguard
    if verdict is None:
        return Text()
    shares = words(_share("assignments of the app", verdict.app), ", ", _share("of all apps", verdict.org))
    if verdict.tripped:
        reason = verdict.reason or ""
        return lines([words(f"safeguard: {reason}, {REASONS.get(reason, reason)}", style="bold yellow"), words("  it would end ", shares)])
    return words(words("safeguard: passed", style="green"), ", ends ", shares)


def _share(of_what: str, share: Share) -> Text:
    return words(f"{share.unassigned:,} of {share.assigned:,} {of_what} ({share.percent:g} %, limit {share.limit} %)")


# -- plans ------------------------------------------------------------------------------------------------------------


_WEIGHTS = (
    "deactivate",
    "suspend",
    "unlink",
    "release",
    "restore",
    "activate",
    "require_activation",
    "reactivate",
    "unsuspend",
    "create",
    "link",
    "update",
    "wait",
    "reject",
)


def weight(action: str) -> int:
    """How early an action is shown: who loses something first."""
    return _WEIGHTS.index(action) if action in _WEIGHTS else len(_WEIGHTS)


def change_group(action: str, rows: Sequence[Change], total: int, *, most: int | None = None) -> Group:
    """`most` of the rows of one action, the rule that they have in common, and how many more than these there are."""
    shared = {row.rule for row in rows} if len(rows) == total else set()
    rule = shared.pop() if len(shared) == 1 else None
    title = words(f"{'nothing to be done' if action == 'none' else action} ({total:,})", style="bold")
    head = words(title, "  ", _rule(rule)) if rule in RULES else title
    shown = rows[:most]
    left = total - len(shown)
    more = [words(f"  … and {left:,} more", style="dim")] if left > 0 else []
    return Group(head, _change_table(shown, told=rule), *more)


def _change_table(rows: Sequence[Change], *, told: str | None) -> Table:
    """Whom, what moves, what the import said, and why, but for the rule that has been told."""
    reasons = [_why(row, told) for row in rows]
    table = grid("  who", "status", "situation", *(["why"] if any(reasons) else []))
    for row, why in zip(rows, reasons, strict=True):
        who = words("  ", row.login or row.external_id or (f"line {row.line}" if row.line else row.user_id or "somebody"))
        table.add_row(who, move_text(row.from_, row.to), words(row.situation), *([lines(why)] if any(reasons) else []))
    return table


def _rule(rule: str | None) -> Text:
    return words(words(rule), words(f": {RULES[rule or '']}", style="dim"))


def _why(row: Change, told_rule: str | None) -> list[Text]:
    """Why a row is decided so, and what it changes beside the status."""
    told = [_rule(row.rule)] if row.rule in RULES and row.rule != told_rule else []
    if row.from_ is not None and row.situation in _OF_ACCOUNTS:
        told.append(words(SITUATIONS[row.situation]))
    if row.action in _COMES_BACK_AS:
        told.append(words(_COMES_BACK_AS[row.action]))
    told += _reason(row.reason, row.situation)
    if row.authority and row.reason == "not_authority":
        told.append(words("the authority is ", row.authority.label))
    if row.hold is not None:
        told.append(held_text(row.hold))
    for what, versions in (row.conflict or {}).items():
        told.append(words(f"{what}: the run left ", _value(versions["left"]), ", now ", _value(versions["now"])))
    if row.error:
        told.append(words(row.error, style="red"))
    if len(row.candidates) > 1:
        told += [words("could be ", candidate["userId"]) for candidate in row.candidates]
    if row.state in {"SKIPPED", "REDECIDED"}:
        told.append(words(row.state, style="yellow"))
    if row.from_ is not None:
        told += [attribute_text(name, attribute) for name, attribute in row.attributes.items()]
    return told


def attribute_text(name: str, attribute: Attribute) -> Text:
    """One attribute's change."""
    return words(words(f"{name}: ", style="dim"), _value(attribute.old), " → ", _value(attribute.new))


def _value(value: object) -> Text:
    return words("nothing", style="dim") if value is None else words(value)


def waiting(accounts: Iterable[Waiting], labels: Mapping[str, str]) -> Table:
    """Accounts that wait for review, why, and who they could be. `labels` names the apps by id."""
    table = grid("external id", "app", "name", "waits as", "why", "could be", "id")
    for account in accounts:
        why = _reason(account.reason, account.situation) or [words(SITUATIONS.get(account.situation or "", ""))]
        people = [words(user.login, " (", status_text(user.status), ") ", held_text(user.hold)) for user in account.candidates] or [
            words("–")
        ]
        app = labels.get(account.app_id, account.app_id)
        cells = (words(account.external_id), words(app), name(account.profile), words(account.situation), lines(why), lines(people))
        table.add_row(*cells, words(account.app_user_id, style="dim"))
    return table


def _reason(reason: str | None, situation: str | None) -> list[Text]:
    """Why, where it says more than the situation does."""
    if reason is None or reason == (situation or "").lower():
        return []
    return [words(REASONS.get(reason, reason), style="yellow")]


def name(profile: Mapping[str, Any]) -> Text:
    """What a person is called, as far as a profile says so; an app's own may use other words."""
    parts = [profile[part] for part in ("firstName", "lastName") if profile.get(part)] or [profile.get("email") or "–"]
    return words(" ".join(str(part) for part in parts))


# -- history ----------------------------------------------------------------------------------------------------------


def history(events: Iterable[Event], labels: Mapping[str, str]) -> Table:
    """Events in the order they are given: when, what, from → to, who, why, and what changed. `labels` names the apps by id."""
    table = grid("", "")
    for event in events:
        what = words(words(event.type, style="bold"), "  ", move_text(event.from_, event.to) if event.to else "")
        table.add_row(words(event.at[:19].replace("T", " "), style="dim"), lines([what, *_event_lines(event, labels)]))
    return table


def _event_lines(event: Event, labels: Mapping[str, str]) -> list[Text]:
    told = [words("by ", _who(event, labels), *_because(event, labels))]
    account = event.account
    if account is not None:
        state = f": {account.account}{', released' if account.released else ''}"
        told.append(words("account ", event.external_id or "?", " of ", labels.get(account.app_id, account.app_id), state, style="dim"))
    if event.from_ is None and event.to is not None:  # a user to be: everything is new
        given = [words(f"{name} ", attribute.new) for name, attribute in event.attributes.items() if attribute.new not in {None, ""}]
        return [*told, words(Text(", ").join(given), style="dim")] if given else told
    return told + [attribute_text(name, attribute) for name, attribute in event.attributes.items()]


def _who(event: Event, labels: Mapping[str, str]) -> Text:
    actor = event.actor
    if actor.type == "import":
        row = f", row {event.row}" if event.row is not None else ""
        return words(labels.get(actor.id, actor.id), f" ({actor.name}{row})")
    return words(f"{actor.type} ", actor.name)


def _because(event: Event, labels: Mapping[str, str]) -> list[Text]:
    told = [words(": ", event.facts["situation"])] if "situation" in event.facts else []
    if event.rule:
        told.append(words(f", rule {event.rule}"))
    if event.reason:
        told.append(words(f", {REASONS.get(event.reason, event.reason)}", style="yellow"))
    if event.authority:
        told.append(words(", authority ", labels.get(event.authority, event.authority)))
    return told
