"""How texts are compared (SPEC §4, last point): names loosely, logins and addresses without case, everything else exactly.

A folded text is a key to compare and to index by, never a value to keep or to show.
"""

import unicodedata

BETWEEN = "\x1f"  # splits the parts of a key; folding a name removes it from the parts, as it counts as a blank


def fold_name(text: str) -> str:
    """A person's name as a key: compatibility forms made one, trimmed, inner blanks collapsed, case folded.

    Normalised again after folding the case, which can take a composed letter apart, so that folding twice changes nothing.
    """
    if text.isascii():
        return " ".join(text.split()).lower()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def fold_login(text: str) -> str:
    """A login or an e-mail address as a key: trimmed, case folded."""
    return text.strip().casefold()


def name_key(first: str | None, last: str | None) -> str | None:
    """First and last name as one key, or None if either says nothing: half a name is nobody's (SPEC §6)."""
    return joined_names(fold_name(first), fold_name(last)) if first and last else None


def joined_names(first: str, last: str) -> str | None:
    """The same of names that are folded already."""
    return f"{first}{BETWEEN}{last}" if first and last else None
