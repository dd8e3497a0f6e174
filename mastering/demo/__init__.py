"""The demo: a made-up company on a real server, told over HTTP, and checked while it is told.

    server    starts the process, and takes it and its folder away again
    company   the two apps, their policies and HR's mapping
    story     the chapters, and what has to come of each: data
    telling   sends the files, prints what was decided and why, and compares it with the story

The files that are sent are in `data/`; they can be sent again, by hand, to a server that is left running.
"""

from __future__ import annotations

from contextlib import suppress

from mastering.cli.client import Client
from mastering.cli.terminal import tell
from mastering.demo.server import running
from mastering.demo.telling import invite, tell_story

__all__ = ["run"]


def run(*, stay: bool) -> bool:
    """Tell the story; whether it came out as told. `stay`: leave the server running until Ctrl-C. Raises `Stop`."""
    tell("Starting a server of its own for the demo ...")
    with running() as server, Client(server.address, server.token) as client:
        told_truly = tell_story(client)
        if stay and told_truly:
            invite(client)
            with suppress(KeyboardInterrupt):
                server.process.wait()
            tell("The demo's server is stopped, and its data is gone")
    return told_truly
