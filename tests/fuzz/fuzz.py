"""Fuzz one of the readers of untrusted bytes, guided by code coverage.

    uv run --with atheris tests/fuzz/fuzz.py picture|zip|csv [SECONDS]
    python tests/fuzz/fuzz.py pack

Starts from `corpus/<target>.zip`, unpacked into `work/`, and adds inputs that reached new code; `pack` puts
those into the zip. An unexpected exception, ten seconds for one input, or two gigabytes of memory ends the
run, and the input is written beside. The unit tests run the corpus.

With MALLOC_MMAP_THRESHOLD_=1048576 the memory of large pictures is returned to the system.
"""

import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


def fuzz(name: str, seconds: str) -> None:
    """Run libFuzzer on the named target; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["pika_kit", "pika_scraper", "zipfile", "csv", "PIL"]):
        from targets import TARGETS, corpus

    folder = HERE / "work" / name
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, data in corpus(name).items():
        (folder / file_name).write_bytes(data)
    arguments = [
        *(
            sys.argv[0],
            str(folder),
            f"-artifact_prefix={HERE / 'work' / name}-",
            f"-max_total_time={seconds}",
        ),
        *("-timeout=10", "-rss_limit_mb=2048", "-max_len=20000"),
    ]
    atheris.Setup(arguments, TARGETS[name])
    atheris.Fuzz()


def pack() -> None:
    """Pack the contents of `work/` into the zips."""
    for folder in sorted(path for path in (HERE / "work").iterdir() if path.is_dir()):
        with zipfile.ZipFile(HERE / "corpus" / f"{folder.name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.iterdir()):
                # The same files always give the same zip.
                archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    if sys.argv[1] == "pack":
        pack()
    else:
        fuzz(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "300")
