"""The catalog walk: what admins set up, and what follows from it for people (SPEC §§3, 4, 6-9).

Apps, their policies and mappings, the ranking of the masters, the org's safeguard. Each change is one transaction with its history, and
the standing disagreements that it resolves; after it, the profiles that it affects are mapped again, in batches. No status ever moves.

A change takes the org's row first. Admins change the catalog rarely and one at a time is no loss; in return ranks stay without gaps.
"""
