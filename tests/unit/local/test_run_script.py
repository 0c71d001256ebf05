"""The set-up script at the root: which uv it uses, and that it accepts only the locked hashes."""

import hashlib
import importlib.machinery
import importlib.util
import io
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def run():
    loader = importlib.machinery.SourceFileLoader("run_script", str(ROOT / "run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_script", loader))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


@pytest.fixture(scope="module")
def wheels():
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    return next(package for package in lock["package"] if package["name"] == "uv")["wheels"]


@pytest.mark.parametrize(
    ("system", "machine", "libc", "expected"),
    [
        ("Linux", "x86_64", "glibc", "manylinux_2_17_x86_64"),
        ("Linux", "aarch64", "glibc", "manylinux_2_17_aarch64"),
        ("Linux", "x86_64", "", "musllinux_1_1_x86_64"),
        ("Linux", "aarch64", "", "musllinux_1_1_aarch64"),
        ("Darwin", "arm64", "", "macosx_11_0_arm64"),
        ("Darwin", "x86_64", "", "macosx_10_12_x86_64"),
    ],
)
def test_the_wheel_of_this_machine_is_chosen(run, wheels, system, machine, libc, expected):
    assert expected in run.choose_wheel(wheels, system, machine, libc)["url"]


def test_a_machine_without_a_wheel_is_named(run, wheels):
    with pytest.raises(run.SetupError, match="Linux on vax"):
        run.choose_wheel(wheels, "Linux", "vax", "glibc")


def _wheel(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("uv-0.0.0.data/scripts/uvx", b"not this one")
        archive.writestr("uv-0.0.0.data/scripts/uv", content)
    return buffer.getvalue()


def test_only_the_program_is_unpacked_and_can_be_run(run, tmp_path):
    wheel = _wheel(b"#!/bin/sh\necho uv\n")
    run.install_uv(wheel, hashlib.sha256(wheel).hexdigest(), tmp_path / "uv")
    assert [path.name for path in tmp_path.iterdir()] == ["uv"]
    assert subprocess.check_output([tmp_path / "uv"]) == b"uv\n"


def test_other_bytes_than_the_locked_ones_are_refused(run, tmp_path):
    wheel = _wheel(b"anything")
    with pytest.raises(run.SetupError, match="expected a file with SHA-256 00"):
        run.install_uv(wheel, "00" * 32, tmp_path / "uv")
    assert not list(tmp_path.iterdir())


def test_without_network_pip_and_uv_the_message_tells_all_three_ways(run, tmp_path, monkeypatch):
    (tmp_path / "uv.lock").write_bytes((ROOT / "uv.lock").read_bytes())
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "download", lambda _url: (_ for _ in ()).throw(OSError("no network")))
    monkeypatch.setattr(run.sys, "executable", "/bin/false")
    monkeypatch.setattr(run.shutil, "which", lambda _name: None)
    with pytest.raises(run.SetupError) as caught:
        run.find_uv()
    message = str(caught.value)
    assert "no network" in message
    assert "pip download uv==" in message
    assert "uv on PATH" in message


def test_a_change_of_any_members_dependencies_is_noticed(run, tmp_path, monkeypatch):
    names = ["uv.lock", "pyproject.toml", *(f"{member}/pyproject.toml" for member in _members())]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    seen = {run.fingerprint()}
    for name in names:
        (tmp_path / name).write_text("b")
        seen.add(run.fingerprint())
    assert len(seen) == len(names) + 1


def _members() -> list[str]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
