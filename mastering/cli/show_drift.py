"""Differences that a reconciliation found, as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group
from rich.text import Text

from mastering.cli.show import attribute_text, held_text, move_text
from mastering.cli.terminal import counted, grid, lines, words
from mastering.cli.wire import Attribute, Difference, Reconciliation

TITLES = {
    "status_drift": "status is not what a master says",
    "attribute_drift": "profile is not what its masters say",
    "missing_authority": "nobody has authority any more",
    "waiting_matches": "waits, and would be confirmed now",
    "failed_task": "the app was not told",
    "schedule_missed": "schedule was not kept",
    "history_broken": "history does not verify",
    "app_account_gone": "known here and gone there",
    "app_account_unknown": "there and unknown here",
    "app_active_differs": "active in the app, or not, other than here",
    "app_attributes_differ": "other values in the app than here",
    "app_not_read": "the app could not be read",
}
"""What is behind a kind's name."""


def group(kind: str, rows: Sequence[Difference], total: int, labels: Mapping[str, str]) -> Group:
    """Some differences of one kind, and how many more there are. `labels` names the apps by id."""
    title = words(words(f"{kind} ({total:,})", style="bold"), words(f"  {TITLES.get(kind, '')}", style="dim"))
    table = grid("  who", "app", "what", "why", "goes back to")
    for row in rows:
        who = words("  ", row.login or row.external_id or row.user_id or "–")
        app = words(labels.get(row.app_id or "", row.app_id or "–"))
        table.add_row(
            who,
            app,
            lines(_what(row)),
            lines([_why(row), *([held_text(row.hold)] if row.hold else [])]),
            words(row.event_id or "–", style="dim"),
        )
    more = [words(f"  … and {total - len(rows):,} more", style="dim")] if total > len(rows) else []
    return Group(title, table, *more)


def _what(row: Difference) -> list[Text]:
    if row.kind == "status_drift":
        return [move_text(row.actual.get("status"), row.expected.get("status"))]
    if row.kind in {"app_active_differs", "app_account_gone", "app_account_unknown"}:
        return [words(f"{row.expected.get('account', 'unknown')} here, {row.actual.get('account', 'gone')} there")]
    if row.kind in {"attribute_drift", "app_attributes_differ"}:
        return [attribute_text(name, Attribute(row.actual.get(name), value)) for name, value in row.expected.items()]
    if row.kind == "waiting_matches":
        return [words(f"{row.actual.get('action')} → {row.expected.get('action')}")]
    return [words("–")]


def _why(row: Difference) -> Text:
    style = "dim" if row.respected else "yellow" if row.repairable else "red"
    return words(
        row.detail if row.kind in {"history_broken", "schedule_missed", "failed_task", "app_not_read"} else row.because, style=style
    )


def summary(found: Reconciliation) -> Group:
    """What was looked at, and what came of it."""
    seconds = f", {found.duration_ms / 1000:.1f} s" if found.duration_ms is not None else ""
    looked = found.checked
    head = words(
        f"reconciliation {found.id}: ",
        words(found.status, style="bold red" if found.status == "FAILED" else "green"),
        f"  ({counted(looked.users, 'user')}, {counted(looked.accounts, 'account')}, {counted(looked.events, 'event')}{seconds})",
    )
    total = sum(found.differences.values())
    told = words(f"{counted(total, 'difference')}: {found.repairable:,} repairable, {found.respected:,} as an admin or an option wants it")
    return Group(head, words(found.error, style="red") if found.error else told)
