"""The import walk (SPEC §5): receive → plan → check → apply → record, one file to a step.

::

    spool      an HTTP body or a pulled page becomes chunks of record lines in the database
    sessions   an import that comes in pieces, and the request that seals it
    pulling    a worker fetches the records from the app's own server; `puller` runs such workers
    runs       start, seal, approve, cancel: what people and clients do to a run
    lines      one received line: at a glance, by its mark, and in full
    reading    chunks back to records; which lines need a closer look at all
    planning   all rows of a run, decided on one snapshot, checked by the safeguards
    applying   the rows, in batches, each one transaction with its history
    kept       what planned runs received: deflated, forgotten in time, rid of who is erased
    turns      whose turn it is: one run of an app at a time, claimed with a lease and a fence
    worker     the thread that takes turns and does the steps

Up to the check nothing of the org is written. A process may die anywhere: received lines, the plan and the cursor are in the database,
a plan that was not finished is made anew, and a batch that was not committed never happened.
"""
