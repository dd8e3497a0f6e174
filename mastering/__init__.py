"""Profile mastering and user lifecycle: which app is right about a person, and what follows from it.

Start reading at `mastering.rules` (what must happen), then `mastering.imports` (the walk that makes it happen),
then `mastering.ledger` (the only writer of users, accounts and history).
"""
