"""An import-linter contract that lists what may be imported, instead of what may not.

import-linter's own contracts forbid modules by name, so a new dependency is allowed until somebody thinks of forbidding it. The
rules are to stay pure, and for that the list has to run the other way round: the standard library without its ways to the outside
world, a handful of named modules, and nothing else. `pyproject.toml` holds both lists.
"""

import sys
from collections.abc import Iterable

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class OnlyImportsContract(Contract):
    """The modules of `source_packages` import each other, `allowed` modules and the standard library except `forbidden`."""

    type_name = "only_imports"

    source_packages = fields.ListField(subfield=fields.StringField())
    allowed = fields.ListField(subfield=fields.StringField())
    forbidden = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every direct import; indirect ones are the affair of the module that makes them."""
        inside = _names(self.source_packages)
        welcome = inside | _names(self.allowed)
        standard = sys.stdlib_module_names - _names(self.forbidden)
        offences = [
            f"{importer} imports {imported}"
            for importer in sorted(graph.modules)
            if _within(importer, inside)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not _within(imported, welcome) and imported not in standard
        ]
        output.verbose_print(verbose, f"{len(offences)} imports outside the list.")
        return ContractCheck(kept=not offences, metadata={"offences": offences})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line for each import that is not on the list."""
        for offence in check.metadata["offences"]:
            output.print_error(f"- {offence}")


def _names(raw: object) -> frozenset[str]:
    """The values of a list field, which import-linter types as the field itself."""
    if not isinstance(raw, Iterable):
        raise TypeError(f"expected a list of module names, got {raw!r}")
    return frozenset(map(str, raw))


def _within(module: str, packages: frozenset[str]) -> bool:
    """Whether a module is one of the packages or lies inside one."""
    return any(module == package or module.startswith(package + ".") for package in packages)
