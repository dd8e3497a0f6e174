"""The image and the compose file, as far as they can be tried without a container engine.

The build stage's steps are carried out one by one in a folder and a virtual environment of their own, and what comes out is started with
the settings of the final stage and asked by the image's own health check. The image itself is not built here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.engine import make_url

from mastering.settings import Settings
from tests.process import environment, free_port

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "docker/Dockerfile"
COMPOSE = ROOT / "docker/compose.yaml"
PATIENCE = 240
_UNREACHABLE = re.compile(r"NewConnectionError|NameResolutionError|ConnectTimeoutError|Network is unreachable")


def _stages() -> list[list[tuple[str, str]]]:
    """The Dockerfile's stages, each as its instructions in order."""
    lines = [line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    stages: list[list[tuple[str, str]]] = []
    for line in filter(None, map(str.strip, whole.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stages.append([])
        stages[-1].append((word, rest.strip()))
    return stages


BUILD, FINAL = _stages()


def said(stage: list[tuple[str, str]], word: str) -> list[str]:
    """What a stage says with an instruction."""
    return [rest for instruction, rest in stage if instruction == word]


def variables(stage: list[tuple[str, str]]) -> dict[str, str]:
    return dict(pair.split("=", 1) for rest in said(stage, "ENV") for pair in shlex.split(rest))


@dataclass(frozen=True)
class Built:
    """What the build stage leaves: its virtual environment."""

    home: Path
    folder: Path

    def environment(self, **settings: str) -> dict[str, str]:
        """The final stage's variables, with the folders of this test."""
        told = variables(FINAL) | {"PATH": f"{self.home / 'bin'}:{os.environ['PATH']}", "MASTERING_DATA_DIR": str(self.folder / "data")}
        return environment() | told | {f"MASTERING_{name}": value for name, value in settings.items()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Carry out the build stage: every RUN and COPY of it, in order, with /opt/mastering and the work folder moved into a fresh one."""
    folder = tmp_path_factory.mktemp("image")
    home, programs, here = folder / "opt", folder / "programs", folder
    programs.mkdir()
    (programs / "python").symlink_to(os.path.realpath(sys.executable))
    told = environment() | variables(BUILD) | {"PATH": f"{programs}:{os.environ['PATH']}"}
    del told["PIP_NO_CACHE_DIR"]  # it keeps an image small; here the cache spares the registry
    for word, rest in BUILD:
        if word == "WORKDIR":
            here = folder / rest.lstrip("/")
            here.mkdir()
        elif word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copy(ROOT / source, here / target)
        elif word == "RUN":
            step = rest.replace("/opt/mastering", str(home))
            ended = subprocess.run(["sh", "-ec", step], check=False, cwd=here, env=told, capture_output=True, text=True, timeout=PATIENCE)
            if ended.returncode != 0 and _UNREACHABLE.search(ended.stderr):
                pytest.skip("the package registry cannot be reached from here")
            assert ended.returncode == 0, f"{step}\n{ended.stderr}"
        else:
            assert word in {"FROM", "ENV"}, f"the test does not know how to carry out {word}"
    return Built(home, folder)


def copy(source: Path, target: Path) -> None:
    """As COPY does: what a folder holds goes into the target, a file into the folder it is named for."""
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def test_what_the_build_stage_makes_serves_and_works_and_is_found_well_by_the_images_own_checks(built: Built) -> None:
    (entry,), (arguments,), (check,) = said(FINAL, "ENTRYPOINT"), said(FINAL, "CMD"), said(FINAL, "HEALTHCHECK")
    told = built.environment(HOST="127.0.0.1", PORT=str(free_port()))
    asking = json.loads(check[check.index("CMD") + 3 :])
    serve = [*json.loads(entry), *json.loads(arguments)]
    assert serve == ["mastering", "serve"]
    with started(built, serve, told):
        await_well(asking, told)
    assert subprocess.run(asking, check=False, env=told, cwd=built.folder, capture_output=True).returncode == 1
    worker = compose()["services"]["worker"]
    with started(built, [*json.loads(entry), *worker["command"]], told):
        await_well(worker["healthcheck"]["test"][1:], told)


class started:  # noqa: N801 - it reads as what it does
    """A program of the built environment, ended with the block."""

    def __init__(self, built: Built, command: list[str], told: dict[str, str]) -> None:
        self._log = (built.folder / "log").open("ab")
        program = str(built.home / "bin" / command[0])
        self._process = subprocess.Popen([program, *command[1:]], cwd=built.folder, env=told, stdout=self._log, stderr=self._log)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._log.close()


def await_well(check: list[str], told: dict[str, str]) -> None:
    """Until a health check says that all is well."""
    program = shutil.which(check[0], path=told["PATH"])
    assert program is not None
    give_up = time.monotonic() + 60
    while (ended := subprocess.run([program, *check[1:]], check=False, env=told, capture_output=True, text=True)).returncode != 0:
        assert time.monotonic() < give_up, ended.stderr
        time.sleep(0.1)


def test_the_environment_holds_the_pinned_versions_and_nothing_to_build_others_with(built: Built) -> None:
    command = [
        str(built.home / "bin" / "python"),
        "-c",
        "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))",
    ]
    bundled = {"setuptools"} if sys.version_info < (3, 12) else set()  # older Pythons put it into every environment; the image's does not
    found = {line.lower().replace("_", "-").replace(".", "-") for line in subprocess.check_output(command, text=True).split()}
    found = {each for each in found if each.partition("==")[0] not in bundled}
    pinned = {line.lower().replace(".", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {each for each in found if not each.startswith("mastering==")} <= pinned
    assert not {each.partition("==")[0] for each in found} & {"pip", "setuptools", "wheel", "pytest", "ruff", "mypy"}
    assert not (built.home / "bin" / "pip").exists()
    assert any(each.startswith("psycopg-binary==") for each in found)


def test_the_image_runs_as_an_ordinary_user_on_a_base_without_a_compiler() -> None:
    (base,) = said(FINAL, "FROM")
    assert base == "python:3.13-slim"
    assert said(BUILD, "FROM") == [f"{base} AS build"]
    (user,) = said(FINAL, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert [step for step in (*said(BUILD, "RUN"), *said(FINAL, "RUN")) if re.search(r"\bapt|\bgcc|build-essential", step)] == []
    assert said(FINAL, "COPY") == ["--from=build /opt/mastering /opt/mastering"]
    assert all(f"--uid {uid}" in step and f"--gid {gid}" in step for uid, gid in [user.split(":")] for step in said(FINAL, "RUN"))
    assert not [name for name in variables(FINAL) if re.search("PASSWORD|TOKEN|SECRET", name)]


def test_everything_that_is_copied_is_let_through_to_the_build_and_nothing_else_is() -> None:
    let = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {source for rest in said(BUILD, "COPY") for source in rest.split()[:-1]} == let


@pytest.mark.skipif(sys.platform == "win32", reason="hadolint has no wheel for Windows")
def test_the_linter_of_dockerfiles_has_nothing_to_say() -> None:
    ended = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "--no-color", DOCKERFILE], check=False, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (0, "")


# -- the compose file -----------------------------------------------------------------------------------------------------


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return loaded


SERVICES: dict[str, dict[str, Any]] = compose()["services"]
OURS = ("serve", "worker")


def test_two_servers_and_two_workers_share_a_database_that_is_well() -> None:
    assert SERVICES.keys() == {"database", *OURS}
    for name in OURS:
        assert SERVICES[name]["deploy"]["replicas"] == 2
        assert SERVICES[name]["depends_on"] == {"database": {"condition": "service_healthy"}}
        assert SERVICES[name]["user"] in said(FINAL, "USER")
    assert SERVICES["serve"]["image"] == SERVICES["worker"]["image"]
    assert re.fullmatch(r"postgres:1[5-8]", SERVICES["database"]["image"])
    (port,) = SERVICES["serve"]["ports"]
    address, first, last, inside = re.fullmatch(r"([\d.]+):(\d+)-(\d+):(\d+)", port).groups()  # type: ignore[union-attr]
    assert (address, int(last) - int(first) + 1, inside) == ("127.0.0.1", 2, variables(FINAL)["MASTERING_PORT"])
    assert not [name for name in SERVICES if name != "serve" and "ports" in SERVICES[name]]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined_checked_and_started_again(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "privileged" not in service
    assert "healthcheck" in service or name == "serve"  # whose check is the image's own


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_come_from_files_that_are_never_committed(name: str) -> None:
    service, declared = SERVICES[name], compose()["secrets"]
    mounted = {f"/run/secrets/{secret}" for secret in service["secrets"]}
    spoken = {key: value for key, value in service["environment"].items() if re.search("PASSWORD|TOKEN|KEY", key)}
    assert spoken
    assert all(key.endswith("_FILE") for key in spoken)
    assert set(spoken.values()) == mounted
    for secret in service["secrets"]:
        assert declared[secret] == {"file": f"./secrets/{secret}"}
    assert subprocess.run(["git", "check-ignore", "-q", "docker/secrets/x"], check=False, cwd=ROOT).returncode in {0, 128}


def test_what_is_kept_is_on_named_volumes() -> None:
    named = {mount.partition(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert named == set(compose()["volumes"]) == {"database"}


@pytest.mark.parametrize("name", OURS)
def test_the_program_takes_the_settings_and_the_command_of_each_service(name: str, tmp_path: Path) -> None:
    service = SERVICES[name]
    for secret in service["secrets"]:
        (tmp_path / secret).write_text(f"{secret}-of-the-length-that-a-key-must-have\n")
    told = {key: value.replace("/run/secrets", str(tmp_path)) for key, value in service["environment"].items()}
    settings = Settings.from_environment(variables(FINAL) | told)
    url = make_url(settings.database_url)
    assert (url.host, url.database, url.username) == ("database", "mastering", SERVICES["database"]["environment"]["POSTGRES_USER"])
    assert (url.password, settings.secret_key, settings.admin_token) == tuple(
        f"{secret}-of-the-length-that-a-key-must-have" for secret in ("database_password", "secret_key", "admin_token")
    )
    command = [sys.executable, "-m", "mastering.cli", *service["command"], "--help"]
    assert subprocess.run(command, check=False, cwd=ROOT, env=environment(), capture_output=True).returncode == 0


def test_the_client_of_compose_reads_the_file() -> None:
    if shutil.which("docker") is None or subprocess.run(["docker", "compose", "version"], check=False, capture_output=True).returncode != 0:
        pytest.skip("there is no docker compose here")
    ended = subprocess.run(["docker", "compose", "-f", COMPOSE, "config", "--quiet"], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
