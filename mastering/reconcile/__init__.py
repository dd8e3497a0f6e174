"""Reconciliation: what the rules expect of everybody's standing state against what is (SPEC §12).

`passes` is what people do to a reconciliation, `turns` how a worker carries it on, batch by batch, `comparing` what is looked at in a
batch. The rules are in `mastering.rules.reconciliation`. It reports, and changes nothing; a repair is an import run of its own.
"""
