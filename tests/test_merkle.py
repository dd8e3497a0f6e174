"""The tree against RFC 9162's own definition, which is recursive and holds all leaves (SPEC §13)."""

from hashlib import sha256

import pytest

from mastering.merkle import Tree, root_by


def as_the_standard_says(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + as_the_standard_says(leaves[:split]) + as_the_standard_says(leaves[split:])).digest()


def test_the_root_is_the_one_that_the_standard_defines() -> None:
    for size in range(70):
        leaves = [f"leaf {number}".encode() for number in range(size)]
        tree = Tree()
        for leaf in leaves:
            tree.add(leaf)
        assert (tree.size, tree.close()) == (size, as_the_standard_says(leaves))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 21])
def test_every_leaf_and_no_other_is_led_to_the_root_by_its_own_way(size: int) -> None:
    leaves = [f"leaf {number}".encode() for number in range(size)]
    for watched in range(size):
        tree = Tree(watch=watched)
        for leaf in leaves:
            tree.add(leaf)
        root = tree.close()
        assert root_by(leaves[watched], tree.path) == root
        assert root_by(b"another leaf", tree.path) != root
