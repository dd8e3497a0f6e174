"""The server held against its own description: schemathesis makes requests of it, good ones and bad, and looks at every answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from tests.process import serving

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
PERSON = {"login": "known@example.com", "email": "known@example.com", "firstName": "Known", "lastName": "Person"}


def test_no_request_the_description_allows_or_forbids_meets_a_fault_or_an_answer_it_does_not_describe(tmp_path: Path) -> None:
    with serving(tmp_path) as port:
        address, token = f"http://127.0.0.1:{port}", (tmp_path / "admin-token").read_text().strip()
        with httpx.Client(base_url=f"{address}/api/v1", headers={"Authorization": f"SSWS {token}"}, trust_env=False) as http:
            user = http.post("/users", json={"profile": PERSON}).raise_for_status().json()["id"]
            app = http.post("/apps", json={"label": "Known"}).raise_for_status().json()["id"]
        known = tmp_path / "schemathesis.toml"  # somebody and something to meet: ids made up are only ever 404
        known.write_text(f'[parameters]\n"path.user_id" = "{user}"\n"path.app_id" = "{app}"\n')
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(known), "run", f"{address}/openapi.json"),
            *("--header", f"Authorization: SSWS {token}", "--checks", CHECKS, "--phases", "fuzzing", "--max-examples", "8", "--seed", "1"),
            *("--generation-database", "none", "--warnings", "off", "--no-color"),
        ]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: " in done.stdout
