"""The command alone: small, without the services' packages, and able to find the stack by itself."""

import os
import subprocess

MEGABYTE = 1e6


def test_it_is_small(client):
    files = [path for path in client.parents[1].rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < 60 * MEGABYTE
    assert not [path for path in files if "pika_kit" in path.parts or "tensorflow" in path.parts]


def test_it_finds_the_stack_of_the_clone_it_is_called_in(client, clone, project, stack, walked, tmp_path):
    words = ["generate", "-n", "1", "--seed", "7", "--out", str(tmp_path / "out"), "--json"]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PIKA")}
    (clone / ".env").write_text(f"PIKA_PORT={project.port}\n")
    try:
        done = subprocess.run(
            [client, *words], cwd=clone, env=environ, capture_output=True, text=True, check=False
        )
    finally:
        (clone / ".env").unlink()
    assert done.returncode == 0, done.stderr
    assert next((tmp_path / "out").glob("*.png")).read_bytes() == stack.get("/generate?seed=7").data


def test_it_speaks_to_a_named_stack_and_runs_none(client, stack, tmp_path):
    environ = os.environ | {"PIKA_API_KEY": stack.headers["Authorization"].removeprefix("Bearer ")}
    command = [client, "jobs", "list", "--url", stack.url, "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    asked = subprocess.run([client, "up"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert asked.returncode == 2
    assert "No such command" in asked.stderr
