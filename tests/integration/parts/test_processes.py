"""Parts die with the process that started them, however it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.parts import gobuild, packages, places
from tests.parts.polling import wait
from tests.parts.process import PartFailedError, Process

_ROOT = Path(__file__).parents[3]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_part_dies_when_its_starter_is_killed(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        "from tests.parts.process import Process\n"
        f"part = Process('sleeper', ['sleep', '600'], folder=pathlib.Path({str(tmp_path)!r}))\n"
        "print(part.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", code], cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert _alive(pid)
    finally:
        starter.kill()
        starter.communicate()
    wait(lambda: not _alive(pid), what="the end of the part whose starter is gone")


def test_a_part_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    part = Process("broken", ["sh", "-c", "echo the port is taken; exit 3"], folder=tmp_path)
    with pytest.raises(PartFailedError, match=r"broken ended with 3:\nthe port is taken"):
        part.await_ready(lambda: False)


def test_a_build_without_go_names_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gobuild.shutil, "which", lambda *_args, **_kwargs: None)
    with pytest.raises(places.PartMissingError, match=r"install Go 1\.25"):
        gobuild.build(gobuild.COMMANDS["etcd"])


def test_rabbitmq_without_root_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)
    with pytest.raises(places.PartMissingError, match=r"the package\s+rabbitmq-server"):
        packages.install_rabbitmq()


def test_assets_come_before_the_path_and_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = tmp_path / "etcd"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert places.find("etcd") == mine
