"""Settings: environment and secret files → one frozen dataclass, checked at start.

Every field is read from `PIKA_<FIELD>`; `PIKA_<FIELD>_FILE` names a file that holds the value, for secrets.
Deployment values live here and nowhere else; hyper-parameters live in each model's own config.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL_RUNTIMES = ("onnx", "tensorflow")


class SettingsError(ValueError):
    """A setting is missing or unusable; the message names the variable, what was expected and what came."""


@dataclass(frozen=True)
class Settings:
    """What one process of the stack needs to know about where it runs."""

    s3_url: str
    s3_access_key: str
    s3_secret_key: str
    valkey_url: str
    s3_region: str = "us-east-1"
    bucket_prefix: str = "pika-"
    api_keys: Mapping[str, str] | None = None
    """Name → key. Without any, the services are open, which is meant for loopback only."""
    state_dir: Path = Path(".pikastack/scratch")
    """A folder of this process's own, for model caches and scratch files; it may be lost at any time."""
    model_runtime: str = "onnx"
    max_upload_bytes: int = 64 * 2**20
    is_pikachu_threshold: float = 0.99
    scrape_roots: tuple[Path, ...] = ()
    """Folders that the scraper's worker may read for `POST /scrape` from a folder."""
    fetch_allow: tuple[str, ...] = ()
    """`host:port` pairs that may be fetched although their addresses are not public."""
    gpu_memory_mb: int | None = None
    """At most so much of a GPU's memory, in MiB; without it, memory is taken as it is needed."""

    def __post_init__(self) -> None:
        if not self.s3_url.startswith(("http://", "https://")):
            raise SettingsError(f"PIKA_S3_URL: expected an http(s) URL, received {self.s3_url!r}")
        if self.model_runtime not in MODEL_RUNTIMES:
            raise SettingsError(
                f"PIKA_MODEL_RUNTIME: expected one of {', '.join(MODEL_RUNTIMES)}, "
                f"received {self.model_runtime!r}"
            )
        if not 0.0 < self.is_pikachu_threshold < 1.0:
            raise SettingsError(
                "PIKA_IS_PIKACHU_THRESHOLD: expected a number between 0 and 1, "
                f"received {self.is_pikachu_threshold!r}"
            )
        if self.gpu_memory_mb is not None and self.gpu_memory_mb < 512:
            raise SettingsError(
                f"PIKA_GPU_MEMORY_MB: expected at least 512 MiB, or nothing, received {self.gpu_memory_mb}"
            )
        if self.max_upload_bytes <= 0:
            raise SettingsError(
                f"PIKA_MAX_UPLOAD_BYTES: expected a positive number, received {self.max_upload_bytes}"
            )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read all settings.

        Raises:
            SettingsError: a required variable is missing, or a value does not parse.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for name, parse in _PARSERS.items():
            text = _read(environ, f"PIKA_{name.upper()}")
            if text is None:
                continue
            try:
                values[name] = parse(text)
            except ValueError as error:
                # The text itself stays out of the message: it may be a secret.
                raise SettingsError(f"PIKA_{name.upper()}: {error}") from None
        missing = [f"PIKA_{name.upper()}" for name in _REQUIRED if name not in values]
        if missing:
            raise SettingsError(f"these environment variables are required and not set: {', '.join(missing)}")
        return cls(**values)


def _read(environ: Mapping[str, str], variable: str) -> str | None:
    """The variable's value, or the content of the file that `<variable>_FILE` names."""
    if environ.get(variable):
        return environ[variable]
    path = environ.get(f"{variable}_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(
            f"{variable}_FILE: expected a readable file, received {path!r}: {error}"
        ) from None


def _parse_keys(text: str) -> dict[str, str]:
    """`name:key` pairs, separated by commas or new lines."""
    pairs = [pair.strip() for pair in text.replace("\n", ",").split(",") if pair.strip()]
    keys = dict(pair.split(":", 1) for pair in pairs if ":" in pair)
    if len(keys) != len(pairs) or not all(name and len(key) >= 16 for name, key in keys.items()):
        raise ValueError("expected NAME:KEY pairs with different names and keys of at least 16 characters")
    return keys


def _parse_int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"expected a whole number, received {text!r}") from None


def _parse_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"expected a number, received {text!r}") from None


def _parse_paths(text: str) -> tuple[Path, ...]:
    return tuple(Path(part).resolve() for part in text.split(os.pathsep) if part)


def _parse_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_REQUIRED = ("s3_url", "s3_access_key", "s3_secret_key", "valkey_url")
_PARSERS: dict[str, Any] = {
    "s3_url": str,
    "s3_access_key": str,
    "s3_secret_key": str,
    "s3_region": str,
    "bucket_prefix": str,
    "valkey_url": str,
    "api_keys": _parse_keys,
    "state_dir": Path,
    "model_runtime": str,
    "max_upload_bytes": _parse_int,
    "is_pikachu_threshold": _parse_float,
    "scrape_roots": _parse_paths,
    "fetch_allow": _parse_list,
    "gpu_memory_mb": _parse_int,
}
