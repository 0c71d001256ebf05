"""Start a program if a GPU is available: `python -m pika_gan.gpu PROGRAM ARGS`.

Exits at once, with what to check, if TensorFlow sees no GPU: training would otherwise run a hundred times
slower. The check runs in a child process, so that the program itself stays small.
"""

import os
import subprocess
import sys
from pathlib import Path

DEVICES = ("nvidia[0-9]*", "dxg")
"""What the driver's devices are called in /dev; dxg is Windows' own, under WSL."""
LOOK = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
NO_GPU = """gpu: expected an NVIDIA GPU, and there is none. Check, in this order:
  1. on the host, `nvidia-smi` lists the card (driver 525 or newer);
  2. the NVIDIA Container Toolkit is installed, and the engine was restarted after that;
  3. the card that PIKA_GPU names is there (`nvidia-smi -L`), and CUDA_VISIBLE_DEVICES is not set to nothing;
  4. python3 deploy/docker/preflight.py, which looks at all of these.
To do without a GPU, take compose.gpu.yaml out of COMPOSE_FILE in .env.
What was seen:
{seen}"""


def problem(devices: Path = Path("/dev")) -> str | None:
    """Return why there is no GPU, as far as can be seen; None if TensorFlow sees one."""
    # Without a device node skip TensorFlow's slow import; the engine retries until a driver is there.
    if not any(path for name in DEVICES for path in devices.glob(name)):
        return f"  {devices} has no device of NVIDIA's driver"
    look = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=False)
    if look.returncode == 0 and look.stdout.split()[-1:] not in ([], ["0"]):
        return None
    return (
        "\n".join(f"  {line}" for line in look.stderr.strip().splitlines()[-8:])
        or "  TensorFlow says nothing"
    )


def main(program: list[str]) -> int:
    """Replace this process by the program if there is a GPU; otherwise return 1."""
    if not program:
        print("usage: python -m pika_gan.gpu PROGRAM ARGS", file=sys.stderr)
        return 2
    seen = problem()
    if seen:
        print(NO_GPU.format(seen=seen), file=sys.stderr)
        return 1
    os.execvp(program[0], program)  # noqa: S606
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
