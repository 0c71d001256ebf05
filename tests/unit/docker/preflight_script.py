"""deploy/docker/preflight.py as a module, and answers of Docker and nvidia-smi for it."""

import importlib.util
import json
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "deploy/docker/preflight.py"

# Its folder is on the path, as when it runs.
sys.path.insert(0, str(SCRIPT.parent))
_spec = importlib.util.spec_from_file_location("preflight", SCRIPT)
preflight = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(preflight)
sys.path.remove(str(SCRIPT.parent))

front, gpu, host, secret_files = preflight.front, preflight.gpu, preflight.host, preflight.secret_files
findings = sys.modules["preflight_findings"]
Answer = findings.Answer

VERSION = {"Client": {"Version": "28.2.2"}, "Server": {"Version": "28.5.2+dfsg4"}}
INFO = {"DockerRootDir": "/", "MemTotal": 25_276_063_744, "Runtimes": {"runc": {}}, "CDISpecDirs": []}
CARD = "NVIDIA H200, 570.133.20, 143771 MiB\n"
GOOD = {
    ("docker", "version"): Answer(0, json.dumps(VERSION)),
    ("docker", "info"): Answer(0, json.dumps(INFO)),
    ("docker", "compose", "version"): Answer(0, '{"version":"2.40.3-3"}\n'),
    ("docker", "buildx"): Answer(0, "github.com/docker/buildx 0.29.1 0.29.1-4\n"),
    ("docker", "compose", "ps"): Answer(0, ""),
}
WITH_CARD = GOOD | {("nvidia-smi",): Answer(0, CARD)}


def answering(answers):
    """Programs that give the `answers` to the commands that begin so; there are no others."""

    def run(command):
        fitting = (words for words in answers if tuple(command[: len(words)]) == words)
        words = next(fitting, None)
        return answers[words] if words else Answer(127, error=f"{command[0]} cannot be started: not found")

    return run


def only(answer):
    """Every command gets the same answer."""
    return lambda _command: answer


def replace(path, text):
    path.chmod(0o644)
    path.write_text(text)
    path.chmod(0o444)


def levels(found):
    return {finding.name: finding.level for finding in found}
