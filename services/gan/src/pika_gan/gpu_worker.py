"""The GAN's worker where a GPU was asked for: `python -m pika_gan.gpu_worker`.

Stops at once, and says what to check, where TensorFlow sees no GPU: training would otherwise go on at
a hundredth of the speed. The look happens in a child, so that the worker itself stays small.
"""

import os
import subprocess
import sys

LOOK = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
NO_GPU = """gpu_worker: expected an NVIDIA GPU, and TensorFlow sees none. Check, in this order:
  1. on the host, `nvidia-smi` lists the card (driver 525 or newer);
  2. the NVIDIA Container Toolkit is installed, and the engine was restarted after that;
  3. the card that PIKA_GPU names is there (`nvidia-smi -L`), and CUDA_VISIBLE_DEVICES is not set to nothing;
  4. python3 deploy/docker/preflight.py, which looks at all of these.
To train on the CPU, take compose.gpu.yaml out of COMPOSE_FILE in .env.
What TensorFlow said:
{said}"""
WORKER = [sys.executable, "-m", "pika_kit.worker", "gan"]


def main() -> int:
    """Become the worker where there is a GPU; else 1."""
    look = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=False)
    counted = look.stdout.split()[-1:]
    if look.returncode or counted in ([], ["0"]):
        said = "\n".join(f"  {line}" for line in look.stderr.strip().splitlines()[-8:]) or "  nothing"
        print(NO_GPU.format(said=said), file=sys.stderr)
        return 1
    print(f"gpu_worker: {counted[0]} GPU", flush=True)
    os.execv(WORKER[0], WORKER)  # noqa: S606
    return 0


if __name__ == "__main__":
    sys.exit(main())
