"""The generated pages say what the tables in the code say."""

import re
from pathlib import Path

import pytest

from mastering.rules.lifecycle import TRANSITIONS, Status
from scripts.generate_docs import ROOT, pages, user_diagram, with_diagram

PAGES = pages(ROOT)


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_a_generated_page_is_what_the_generator_would_write_now(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == PAGES[path], "run: python3 make.py docs"


def test_the_diagram_has_an_arrow_for_every_move_of_the_table_and_no_other() -> None:
    drawn = {
        (trigger, start, end)
        for start, end, triggers in re.findall(r"^ +(\S+) --> (\S+) : (.+)$", user_diagram(), re.MULTILINE)
        for trigger in triggers.split(", ")
    }
    ends = set(Status)
    moves = {
        (trigger.value, start if start in ends else "[*]", end if end in ends else "[*]")
        for trigger, row in TRANSITIONS.items()
        for start, end in row.items()
        if end is not None
    }
    assert drawn == moves


def test_the_readme_keeps_everything_but_the_block_between_the_markers() -> None:
    text = "before\n<!-- lifecycle:begin -->\nan old diagram\n<!-- lifecycle:end -->\nafter\n"
    fresh = with_diagram(text)
    assert fresh == f"before\n<!-- lifecycle:begin -->\n{user_diagram()}\n<!-- lifecycle:end -->\nafter\n"
    assert with_diagram(fresh) == fresh


def test_a_readme_without_markers_is_left_alone() -> None:
    assert with_diagram("before\nafter\n") == "before\nafter\n"


def test_the_readme_is_one_of_the_pages_where_there_is_one(tmp_path: Path) -> None:
    without = set(pages(tmp_path))
    (tmp_path / "README.md").write_text("<!-- lifecycle:begin -->\n<!-- lifecycle:end -->\n", encoding="utf-8")
    assert set(pages(tmp_path)) - without == {Path("README.md")}
    assert user_diagram() in pages(tmp_path)[Path("README.md")]
