"""The commands of docs/mappings.md, typed as they stand there, against a real server."""

import json
import re
import subprocess
from pathlib import Path

import httpx

from scripts.generate_docs import ROOT
from tests.process import serving

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BEFORE = """\
set -euo pipefail
call() { curl -sSf --noproxy '*' -H "Authorization: SSWS $TOKEN" -H "Content-Type: application/json" "$@"; echo; }
"""


def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / "docs/mappings.md").read_text(encoding="utf-8"))
    assert len(blocks) == 5
    with serving(tmp_path) as port:
        address, token = f"http://127.0.0.1:{port}", (tmp_path / "admin-token").read_text().strip()
        with httpx.Client(base_url=f"{address}/api/v1", headers={"Authorization": f"SSWS {token}"}, trust_env=False) as http:
            app_id = http.post("/apps", json={"label": "HR"}).json()["id"]
            policy = {"confirmation": {"autoConfirmNew": True}, "mastering": {"enabled": True}}
            http.put(f"/apps/{app_id}/import-policy", json=policy).raise_for_status()
            ada = {"externalId": "E1", "profile": {"email": "ada@example.com", "firstName": "Ada", "lastName": "Lovelace"}}
            http.post(f"/apps/{app_id}/imports?mode=FULL", json=[ada], headers={"Prefer": "wait=30"}).raise_for_status()
            environment = {"SERVER": address, "TOKEN": token, "HR": app_id, "PATH": "/usr/local/bin:/usr/bin:/bin"}
            script = BEFORE + "".join(blocks)
            done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr
            schema, masters, before, tried, after = map(json.loads, done.stdout.strip().splitlines())
            assert list(schema["definitions"]["custom"]["properties"]) == ["badge", "size"]
            assert masters["attributes"]["lastName"]["why"] == "inherit_from_profile_master"
            assert before["properties"]["nickName"]["expression"] == "appuser.nickName"
            assert tried["changes"] == {"displayName": {"old": None, "new": "Ada Lovelace"}}
            assert "nickName" not in after["properties"]
            assert http.get("/users/ada@example.com").json()["profile"]["displayName"] == "Ada Lovelace"
