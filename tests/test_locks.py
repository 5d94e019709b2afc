"""The locked packages: those of developers, and of these the ones that a machine needs to run dxatrend."""

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.folders import ROOT

DEVELOPERS, RUNTIME = "requirements.lock", "requirements-runtime.lock"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def pins(lock: str) -> dict[str, str]:
    """The version of each package."""
    found = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def hashes(lock: str) -> dict[str, set[str]]:
    """The hashes of each package's files."""
    entries = re.split(r"^(?=[a-z])", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    return {entry.partition("==")[0]: set(re.findall(r"--hash=(\S+)", entry)) for entry in entries}


def check_locked(lock: str, requirements: list[str]) -> None:
    locked = pins(lock)
    for requirement in map(Requirement, requirements):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("name", [DEVELOPERS, RUNTIME])
def test_a_lock_pins_every_package_by_hash_and_names_no_address(name):
    lock = (ROOT / name).read_text()
    entries = re.findall(r"^[^#\s].*$", lock, re.MULTILINE)
    assert len(entries) > 100
    assert [entry for entry in entries if not re.fullmatch(r"[A-Za-z0-9._-]+==[^ ]+ \\", entry)] == []
    assert lock.count("# via") == len(entries)
    assert re.findall(r"^.*(?:://|--index|--find|file:/).*$", lock, re.MULTILINE) == []
    assert all(hashes(name).values())


def test_the_developers_lock_pins_what_every_extra_asks_for():
    """So the default set-up, which installs the lock, can test and lint."""
    check_locked(DEVELOPERS, [line for extra in EXTRAS.values() for line in extra])


def test_the_runtime_lock_has_what_the_service_needs():
    check_locked(RUNTIME, PROJECT["dependencies"])


def test_the_runtime_lock_is_a_part_of_the_developers_with_the_same_files():
    developers = hashes(DEVELOPERS)
    assert pins(RUNTIME).items() < pins(DEVELOPERS).items()
    assert {name: files for name, files in hashes(RUNTIME).items() if developers[name] != files} == {}


def test_the_runtime_lock_has_no_tool_of_developers():
    tools = {canonicalize_name(Requirement(line).name) for line in EXTRAS["dev"]}
    needed = {"pyyaml"}  # Prefect's too
    assert pins(RUNTIME).keys() & (tools - needed) == set()
