"""Installs RabbitMQ, PostgreSQL and single programs from the packages of the distribution, without their services.

A service of a package would hold the well-known ports and an epmd that outlives the tests. While apt runs, a
policy-rc.d forbids the start of services (an existing policy-rc.d of the machine is left alone), and processes that
started under the package's user all the same are stopped by process id.
"""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts import places

_POLICY = Path("/usr/sbin/policy-rc.d")
_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def rabbitmq_server() -> Path | None:
    """Returns the start script, or None; the script on PATH requires the package's user and its directories."""
    if _SERVER.exists():
        return _SERVER
    found = shutil.which("rabbitmq-server") or shutil.which("rabbitmq-server", path="/usr/sbin")
    return Path(found) if found else None


def install_rabbitmq() -> Path:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise places.PartMissingError(
            "rabbitmq-server is not on PATH and only root with apt-get could install it: install the package "
            "rabbitmq-server, or set AMQP_URL to a RabbitMQ that the tests may use"
        )
    before = _processes_of("rabbitmq", "epmd")
    with _services_stay_down():
        _apt("update", "-qq")
        _apt("install", "-y", "-qq", "--no-install-recommends", "rabbitmq-server")
    for pid in _processes_of("rabbitmq", "epmd") - before:
        os.kill(pid, signal.SIGKILL)
    found = rabbitmq_server()
    if found is None:
        raise places.PartMissingError(
            "apt-get installed the package rabbitmq-server, but it brought no rabbitmq-server"
        )
    return found


def postgres_tools() -> Path | None:
    """Returns the folder of initdb, postgres and psql, or None; Debian has one for each version, outside PATH."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "postgres").exists():
            return folder
    found = shutil.which("postgres")
    return Path(found).resolve().parent if found else None


def install_postgres() -> Path:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise places.PartMissingError(
            "postgres is not on PATH and only root with apt-get could install it: install the package postgresql"
        )
    before = _processes_of("postgres")
    with _services_stay_down():
        _apt("update", "-qq", package="postgresql")
        _apt("install", "-y", "-qq", "--no-install-recommends", "postgresql", package="postgresql")
    for pid in _processes_of("postgres") - before:
        os.kill(pid, signal.SIGKILL)
    found = postgres_tools()
    if found is None:
        raise places.PartMissingError("apt-get installed the package postgresql, but it brought no postgres")
    return found


def program(name: str) -> Path | None:
    """Returns the path of a program; servers are in /usr/sbin, which not every PATH has."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    return Path(found) if found else None


def install_program(name: str, package: str) -> Path:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise places.PartMissingError(
            f"{name} is not on PATH and only root with apt-get could install it: install the package {package}"
        )
    with _services_stay_down():
        _apt("update", "-qq", package=package)
        _apt("install", "-y", "-qq", "--no-install-recommends", package, package=package)
    found = program(name)
    if found is None:
        raise places.PartMissingError(f"apt-get installed the package {package}, but it brought no {name}")
    return found


def _apt(*args: str, package: str = "rabbitmq-server") -> None:
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", *args], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise places.PartMissingError(
            f"apt-get {' '.join(args)} failed; install the package {package} by hand:\n{done.stderr[-2000:]}"
        )


@contextmanager
def _services_stay_down() -> Iterator[None]:
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def _processes_of(*users: str) -> set[int]:
    """Returns the ids of the processes of these users; the users may not exist yet."""
    uids = {entry.pw_uid for entry in pwd.getpwall() if entry.pw_name in users}
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if folder.stat().st_uid in uids:
                found.add(int(folder.name))
        except FileNotFoundError:
            continue
    return found
