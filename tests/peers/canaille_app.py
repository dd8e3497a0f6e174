"""Canaille as a SCIM server, in memory: run by the Python of canaille's own environment, never imported.

    python canaille_app.py PORT TOKEN

It listens on 127.0.0.1 and lets in who shows the token, as a client of its own would.
"""

import sys
from datetime import UTC, datetime
from typing import Any

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from werkzeug.serving import WSGIRequestHandler, make_server

CONFIG = {
    "SECRET_KEY": "of a server that lives as long as a test",
    "SERVER_NAME": None,
    "CANAILLE": {"DATABASE": "memory", "LOGGING": None, "MIN_PASSWORD_LENGTH": 8},
    "CANAILLE_OIDC": {"DYNAMIC_CLIENT_REGISTRATION_OPEN": False},
    "CANAILLE_SCIM": {"ENABLE_SERVER": True},
}


class Quiet(WSGIRequestHandler):
    """One connection for many requests, and not a line for each."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_: Any) -> None:
        """Say nothing."""


def main(port: str, token: str) -> None:
    """Serve until the process is ended."""
    app = create_app(CONFIG)
    with app.app_context():
        now = datetime.now(UTC)
        client = models.Client(client_id="mastering", client_name="mastering", client_secret="unused", client_id_issued_at=now)
        Backend.instance.save(client)
        lasting = models.Token(
            token_id="mastering",
            access_token=token,
            client=client,
            subject=None,
            token_type=None,
            refresh_token=None,
            scope=["openid"],
            issue_date=now,
            lifetime=86_400,
        )
        Backend.instance.save(lasting)
    make_server("127.0.0.1", int(port), app, threaded=True, request_handler=Quiet).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
