import unicodedata

import pytest

from mastering.cli.terminal import LONGEST, plain, words

HOSTILE = {
    "an escape sequence": "\x1b[31mred\x1b[0m",
    "a window title": "\x1b]0;owned\x07",
    "a one-byte sequence": "\x9b31m",
    "a new line": "one\ntwo\r\nthree\u2028four",
    "an override": "abc\u202etxt.exe",
    "a stray isolate": "\u2069\u2066x",
    "half a pair": "\ud800",
    "a tag nobody sees": "\U000e0041",
    "a private character": "\ue000",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_what_a_terminal_would_act_on_is_shown_as_its_escape(name: str) -> None:
    shown = plain(name)
    assert all(unicodedata.category(character)[0] != "C" for character in shown)
    assert not set(shown) & {"\u2028", "\u2029"}
    assert "\\" in shown


def test_names_of_every_script_stay_as_they_are() -> None:
    for name in ("Jiménez", "Нина", "李小龍", "नेहा", "O’Brien", "👩\u200d💻", "e\u0301"):
        assert plain(name) == name


def test_text_from_right_to_left_is_isolated_from_what_stands_beside_it() -> None:
    assert plain("محمد") == "\u2068محمد\u2069"
    assert plain("דנה\u202e") == "\u2068דנה\\u202e\u2069"


def test_markup_and_signs_in_a_name_are_letters() -> None:
    assert words("[bold red]Ann[/] :smile: [link=http://x]y").plain == "[bold red]Ann[/] :smile: [link=http://x]y"
    assert words("[bold red]Ann[/]").spans == []


def test_a_long_value_is_cut_and_counted() -> None:
    assert plain("x" * 2_000_000) == "x" * LONGEST + "… (2,000,000 characters)"
