"""To App: what apps are told of people (SPEC §10; docs/provisioning.md).

The way of a task: `mastering.outgoing` queues it in the transaction that causes it; a `deliverer` claims it, `jobs` gathers what the person is
like by then, `calls` says it to the app's server while no transaction is open, and `outcomes` writes down what came of it. `tasks` is what
admins see of the queue and do about it.
"""
