#!/usr/bin/env python3
"""Write the pages of `docs/` that are drawn from the tables in the code, and the diagram in the README.

    python3 make.py docs

`docs/lifecycle.md` shows the machines of a user and of an import run, `docs/rules.md` the tables that decide what a record means and what
follows from it, `docs/expressions.md` the expression language (`scripts/expression_docs.py`). Nothing on them is decided here: each cell is looked up in a table of `mastering.rules` or answered by `assess` and
`decide`. Only the sentences are written in this file. A test fails when a page is not what this script would write.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mastering.rules import decision as rules
from mastering.rules.decision import Action, Facts, Known, Reason, Return, Rule, Situation, Word
from mastering.rules.lifecycle import CONSOLE_LABEL, DELETED, NOBODY, OKTA_STATUS, STAGES, TRANSITIONS, WHO_MAY_FIRE, Actor, Status, Trigger
from mastering.rules.matching import Kind
from mastering.rules.policy import Confirmation, ImportPolicy, Mastering, WhenDeactivated
from mastering.rules.record import AccountState
from mastering.rules.runs import ENDED, RUN_MACHINE, RUN_TRANSITIONS, RunStatus, RunTrigger
from scripts import expression_docs

ROOT = Path(__file__).resolve().parent.parent
LIFECYCLE, RULES, README = Path("docs/lifecycle.md"), Path("docs/rules.md"), Path("README.md")
EXPRESSIONS = Path("docs/expressions.md")
MADE = "<!-- Written by scripts/generate_docs.py from the tables in mastering/rules. Change those, then run: python3 make.py docs -->"
BLOCK = re.compile(r"(<!-- lifecycle:begin -->\n).*?(<!-- lifecycle:end -->)", re.DOTALL)
NOTHING = "–"

Table = Mapping[Trigger, Mapping[str, str | None]] | Mapping[RunTrigger, Mapping[str, str | None]]

TRIGGERS = {
    Trigger.create: "Makes the user, by hand or from a record.",
    Trigger.activate: "Lets the user in. An import or a reviewer does it only together with *create*.",
    Trigger.suspend: "Locks the user out for a time.",
    Trigger.unsuspend: "Takes a suspension back.",
    Trigger.deactivate: "Ends the user's access. The apps that take their users from the directory are told.",
    Trigger.reactivate: "Brings back who left. The returning record must be an exact match.",
    Trigger.require_activation: "Brings back whose returning record is no exact match, for somebody to look at first.",
    Trigger.delete: "Removes the user. The history stays.",
    Trigger.restore: "Only undo may: back to where the user was before the run that is undone, where no other trigger leads there.",
}

RUN_TRIGGERS = {
    RunTrigger.seal: "The import has arrived whole.",
    RunTrigger.close: "Whoever opened the upload session, or an admin, gave it up before it was started.",
    RunTrigger.plan: "It is the run's turn, and a process plans it.",
    RunTrigger.requeue: "That process died. The plan is made anew.",
    RunTrigger.show: "It was a dry run. Its plan can be read.",
    RunTrigger.hold: "A safeguard stopped it.",
    RunTrigger.apply: "The plan passed the safeguards, or an admin approved it.",
    RunTrigger.complete: "Every row is written.",
    RunTrigger.cancel: "An admin called it off.",
    RunTrigger.supersede: "A newer full run of the app took its place.",
    RunTrigger.fail: "It could not be read, planned or finished. The run says why.",
}

RULE_TEXTS = {
    Rule.undone: "An admin undoes the run that did it.",
    Rule.account_unchanged: "The account says what it said before.",
    Rule.profile_mapped: "The account has other content, or another mark. It is mapped where the app supplies the profile.",
    Rule.when_deactivated: "The app's option *when a user is deactivated in the app*.",
    Rule.reactivate_suspended: "The app's switch *reactivate suspended users*.",
    Rule.reactivate_deactivated: "The app's switch *reactivate deactivated users*.",
    Rule.account_returned: "The account came back to a user whose status asks for nothing.",
    Rule.auto_confirm_exact: "The app's option *auto-confirm exact matches*.",
    Rule.auto_confirm_partial: "The app's option *auto-confirm partial matches*.",
    Rule.auto_confirm_new: "The app's option *auto-confirm new users*.",
    Rule.inline_hook: "The app's import inline hook named the user, or failed and asks for a reviewer.",
    Rule.needs_review: "No option confirms it, or none may.",
    Rule.ignored: "A reviewer had the external id ignored.",
    Rule.not_pulled_in: "An inactive record that nobody knows is not pulled in.",
    Rule.left_the_queue: "A record that waited is inactive now, or gone.",
    Rule.record_invalid: "The record cannot be used. The row says what is wrong with it.",
}

REASON_TEXTS = {
    Reason.not_authority: "Another app has the say over this user.",
    Reason.held_by_admin: "An admin holds the user's status.",
    Reason.switch_off: "The app's switch for bringing back a user in this status is off.",
    Reason.never_active: "The user has not been activated yet, so there is nothing to suspend.",
}


def main() -> None:
    """Write every generated page."""
    for path, text in pages(ROOT).items():
        (ROOT / path).write_text(text, encoding="utf-8", newline="\n")
        print(path)


def pages(root: Path) -> dict[Path, str]:
    """Each generated page and its text; the README is among them where it exists under `root`."""
    made = {LIFECYCLE: lifecycle_page(), RULES: rules_page(), EXPRESSIONS: expression_docs.page(MADE)}
    if (root / README).is_file():
        made[README] = with_diagram((root / README).read_text(encoding="utf-8"))
    return made


def with_diagram(text: str) -> str:
    """A text with the diagram of a user's life drawn anew between its two markers; unchanged where it has none."""
    return BLOCK.sub(lambda found: f"{found[1]}{user_diagram()}\n{found[2]}", text)


# ------------------------------------------------------------------------------------------------------------ lifecycle


def lifecycle_page() -> str:
    """The two machines, drawn and tabulated."""
    parts = [
        f"# The lifecycle\n\n{MADE}",
        "A user's status moves only by a trigger, and only as drawn here. Whatever is not drawn is refused, and nothing changes.",
        user_diagram(),
        "## Statuses",
        table(["name", "on Okta-shaped endpoints", "in the console"], [(code(s), code(OKTA_STATUS[s]), CONSOLE_LABEL[s]) for s in Status]),
        "## Every move of a user",
        f"Down the side the trigger, across the top where the user is. {NOTHING} stands for refused.",
        table(["trigger", *STAGES], _moves(TRANSITIONS)),
        "## Triggers, and who may fire them",
        table(["trigger", "fired by", "meaning"], [(code(t), _who(t), TRIGGERS[t]) for t in TRANSITIONS]),
        "## The life of an import run",
        "A run that is being applied cannot be called back. If its process dies, another goes on from the last batch that was written.",
        run_diagram(),
        table(["trigger", *RunStatus], _moves(RUN_TRANSITIONS)),
        table(["trigger", "meaning"], [(code(t), RUN_TRIGGERS[t]) for t in RUN_TRANSITIONS]),
        "Nothing leaves these: " + ", ".join(code(status) for status in RunStatus if status in ENDED) + ".",
    ]
    return "\n\n".join(parts) + "\n"


def user_diagram() -> str:
    """A user's life in Mermaid."""
    names = [f'state "{CONSOLE_LABEL[status]}" as {status}' for status in Status]
    return mermaid(names, TRANSITIONS, {NOBODY: "[*]", DELETED: "[*]"}, [])


def run_diagram() -> str:
    """An import run's life in Mermaid."""
    ends = [f"{status} --> [*]" for status in RunStatus if status in ENDED]
    return mermaid([f"[*] --> {RUN_MACHINE.initial}"], RUN_TRANSITIONS, {}, ends)


def mermaid(first: Sequence[str], moves: Table, spelled: Mapping[str, str], last: Sequence[str]) -> str:
    """A state diagram: one arrow for each pair of stages that a trigger connects, labelled with all that do."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for trigger, row in moves.items():
        for start, end in row.items():
            if end is not None:
                arrows.setdefault((spelled.get(start, start), spelled.get(end, end)), []).append(trigger)
    drawn = [f"{start} --> {end} : {', '.join(triggers)}" for (start, end), triggers in arrows.items()]
    lines = ["stateDiagram-v2", *(f"    {line}" for line in [*first, *drawn, *last])]
    return "\n".join(["```mermaid", *lines, "```"])


def _moves(moves: Table) -> list[list[str]]:
    return [[code(trigger), *(end or NOTHING for end in row.values())] for trigger, row in moves.items()]


def _who(trigger: Trigger) -> str:
    return ", ".join(actor.value for actor in Actor if actor in WHO_MAY_FIRE[trigger])


# ---------------------------------------------------------------------------------------------------------------- rules


def rules_page() -> str:
    """What a record means and what follows, in tables."""
    parts = [
        f"# The rules in tables\n\n{MADE}",
        "The words are explained in the [glossary](glossary.md), the statuses in [the lifecycle](lifecycle.md).",
        "## What a record means",
        "An account that is linked. *Same* and *other* speak of the record's content. Only a full run concludes anything from an absence.",
        linked_table(),
        "What a released account does moves nobody until it comes back, and then it is a CONFLICT if another has taken its place.",
        "An account that is not linked. An active record is then what its match is.",
        unlinked_table(),
        "A record that cannot be used is INVALID and counts as present. If it names a linked account as inactive, the leaver still leaves.",
        "## When an account goes inactive or missing",
        "Down the side the app's option, across the top the user's status. DO_NOTHING moves nobody; it releases the account.",
        table(["option", *Status], [(code(o), *(shown(rules.ON_LEAVING[o, s]) for s in Status)) for o in WhenDeactivated]),
        "## When an account comes back, or is linked anew",
        "*Was pending*: the user was PENDING_ACTIVATION when deactivated.",
        return_table(),
        "## Whose word is heard",
        "Authority and admin hold are asked about a cell of the two tables above before it is followed.",
        heard_table(),
        "## Confirmation",
        confirmation_table(),
        "## Situations that every policy answers alike",
        "`update` stands in the plan only where the user changes too.",
        standing_table(),
        "## Rules",
        "Each decision names the rule that fired.",
        table(["rule", "meaning"], [(code(rule), RULE_TEXTS[rule]) for rule in Rule]),
        "## Reasons",
        "A word that was heard and not followed says why.",
        table(["reason", "meaning"], [(code(reason), REASON_TEXTS[reason]) for reason in Reason]),
    ]
    return "\n\n".join(parts) + "\n"


WORDS = {
    "absent": Word(present=False, active=False, same=False),
    "inactive, same": Word(present=True, active=False, same=True),
    "inactive, other": Word(present=True, active=False, same=False),
    "active, same": Word(present=True, active=True, same=True),
    "active, other": Word(present=True, active=True, same=False),
}


def linked_table() -> str:
    """Every word about every linked account."""
    known = [Known(linked=True, released=released, waiting=False, account=state) for state in AccountState for released in (False, True)]
    rows = [(k.account, "yes" if k.released else "no", *(rules.assess(word, k) for word in WORDS.values())) for k in known]
    return table(["the account was", "released", *WORDS], rows)


def unlinked_table() -> str:
    """What an unlinked record is: waiting or fresh, by its match where it is active."""
    matches: dict[str, Kind | Situation] = {
        "active, no candidate": Kind.NONE,
        "active, one exact": Kind.EXACT,
        "active, one partial": Kind.PARTIAL,
        "active, several of the best kind": Situation.AMBIGUOUS,
        "active, taken or claimed twice": Situation.CONFLICT,
    }
    fresh, waiting = (Known(linked=False, released=False, waiting=waits, account=AccountState.ACTIVE) for waits in (False, True))
    absent, inactive, active = WORDS["absent"], WORDS["inactive, other"], WORDS["active, other"]
    rows = [
        ("absent", NOTHING, rules.assess(absent, waiting)),
        ("inactive", rules.assess(inactive, fresh), rules.assess(inactive, waiting)),
        *((text, rules.assess(active, fresh, match), rules.assess(active, waiting, match)) for text, match in matches.items()),
    ]
    return table(["the record", "new", "waiting for review"], rows)


def return_table() -> str:
    """ON_RETURN, a row for each status and switch."""
    facts = {
        "exact match": (True, False),
        "exact match, was pending": (True, True),
        "otherwise": (False, False),
        "otherwise, was pending": (False, True),
    }
    rows = [
        (code(status), "on" if switch else "off", *(shown(rules.ON_RETURN[Return(status, switch, *fact)]) for fact in facts.values()))
        for status in Status
        for switch in (True, False)
    ]
    return table(["user", "switch", *facts], rows)


def heard_table() -> str:
    """What becomes of a trigger, a reason and nothing, with and without authority and hold."""
    cells = {
        "a trigger": (WhenDeactivated.DEACTIVATE, Status.ACTIVE),
        "a reason": (WhenDeactivated.SUSPEND, Status.PENDING_ACTIVATION),
        NOTHING: (WhenDeactivated.SUSPEND, Status.SUSPENDED),
    }
    rows = []
    for powers, held in ((p, h) for p in (rules.FULL_POWERS, rules.NO_POWERS) for h in (False, True)):
        answers = []
        for option, status in cells.values():
            facts = Facts(status, exact=True, pending_when_deactivated=False, held=held)
            policy = ImportPolicy(mastering=Mastering(when_deactivated=option))
            made = rules.decide(policy, powers, Situation.WENT_INACTIVE, facts)
            answers.append("followed" if made.trigger else "that reason" if made.reason == Reason.never_active else shown(made.reason))
        rows.append(("yes" if powers.authority else "no", "yes" if held else "no", *answers))
    return table(["authority", "held", *(f"the cell has {cell}" for cell in cells)], rows)


def confirmation_table() -> str:
    """What each situation of an active, unlinked record comes to with its option on and off."""
    options = {
        "EXACT, *auto-confirm exact*": (Situation.EXACT, Confirmation(auto_confirm_exact=True)),
        "PARTIAL, *auto-confirm partial*": (Situation.PARTIAL, Confirmation(auto_confirm_partial=True)),
        "UNMATCHED, *auto-confirm new*": (Situation.UNMATCHED, Confirmation(auto_confirm_new=True)),
        "UNMATCHED, *auto-confirm new* and *auto-activate*": (
            Situation.UNMATCHED,
            Confirmation(auto_confirm_new=True, auto_activate_new=True),
        ),
    }
    rows = [(text, _answer(situation, on), _answer(situation, Confirmation())) for text, (situation, on) in options.items()]
    rows += [(situation, NOTHING, _answer(situation, Confirmation())) for situation in (Situation.AMBIGUOUS, Situation.CONFLICT)]
    return table(["situation and option", "on", "off"], rows)


def _answer(situation: Situation, confirmation: Confirmation) -> str:
    matched = situation in {Situation.EXACT, Situation.PARTIAL}
    facts = Facts(Status.ACTIVE if matched else None, exact=matched, pending_when_deactivated=False, held=False)
    made = rules.decide(ImportPolicy(confirmation=confirmation), rules.FULL_POWERS, situation, facts)
    return f"{code(made.action)}, {made.to}" if made.action is Action.create else code(made.action)


def standing_table() -> str:
    """Situations whose answer depends on no option."""
    facts = Facts(None, exact=False, pending_when_deactivated=False, held=False)
    asked = {Situation.WENT_INACTIVE, Situation.WENT_MISSING, Situation.CAME_BACK, Situation.UNMATCHED, Situation.EXACT, Situation.PARTIAL}
    made = [rules.decide(ImportPolicy(), rules.NO_POWERS, situation, facts) for situation in Situation if situation not in asked]
    return table(["situation", "action", "rule"], [(each.situation, code(each.action), code(each.rule)) for each in made])


# ------------------------------------------------------------------------------------------------------------- Markdown


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def code(word: str) -> str:
    """A word as it is spelled in the program."""
    return f"`{word}`"


def shown(outcome: str | None) -> str:
    """A cell of a reaction table: a trigger, a reason, or nothing."""
    return code(outcome) if outcome else NOTHING


if __name__ == "__main__":
    main()
