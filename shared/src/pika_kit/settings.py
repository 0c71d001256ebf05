"""Settings: environment variables and secret files → one frozen model, validated at start.

Every field is read from `PIKA_<FIELD>`; `PIKA_<FIELD>_FILE` names a file that contains the value, for
secrets. Deployment values live only here; hyper-parameters live in each model's own config.
"""

import ipaddress
import os
from collections.abc import Mapping
from ipaddress import IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

_PREFIX = "PIKA_"
_FILE = "_FILE"
SHORTEST_KEY = 16


class SettingsError(ValueError):
    """Settings are missing or invalid; the message names each variable and what was expected."""


def _parse_keys(value: Any) -> Any:
    """Parse `name:key` pairs separated by commas or newlines."""
    if not isinstance(value, str):
        return value
    pairs = [pair.strip() for pair in value.replace("\n", ",").split(",") if pair.strip()]
    keys = dict(pair.split(":", 1) for pair in pairs if ":" in pair)
    is_good = all(name and len(key) >= SHORTEST_KEY for name, key in keys.items())
    if not pairs or len(keys) != len(pairs) or not is_good:
        raise ValueError(
            f"expected NAME:KEY pairs with different names and keys of at least {SHORTEST_KEY} characters"
        )
    return keys


def _parse_paths(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(Path(part).resolve() for part in value.split(os.pathsep) if part)


def _parse_list(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _parse_networks(value: Any) -> Any:
    networks = tuple(IPv6Network(part) for part in _parse_list(value)) if isinstance(value, str) else value
    if any(network.prefixlen not in (32, 40, 48, 56, 64, 96) for network in networks):
        raise ValueError("expected prefixes of 32, 40, 48, 56, 64 or 96 bits")
    return networks


class Settings(BaseSettings):
    """What one process of the stack needs to know about its environment."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid")

    s3_url: str = Field(pattern=r"^https?://")
    s3_access_key: SecretStr
    s3_secret_key: SecretStr
    valkey_url: SecretStr
    """The queue's server; user and password may stand in it."""
    s3_region: str = "us-east-1"
    bucket_prefix: str = "pika-"
    valkey_user: str | None = None
    valkey_password: SecretStr | None = None
    """For a URL that holds neither."""
    bind: str = "127.0.0.1:8000"
    """Where a front end listens: HOST:PORT."""
    api_keys: Annotated[dict[str, SecretStr] | None, NoDecode, BeforeValidator(_parse_keys)] = None
    """Name → key. A service that others than this machine can reach does not start without any."""
    open_access: bool = False
    """Whoever reaches the services may use them: the operator's word that no keys are meant."""
    state_dir: Path = Path(".pikastack/scratch")
    """A folder of this process's own, for model caches and scratch files; it may be lost at any time."""
    model_runtime: Literal["onnx", "tensorflow"] = "onnx"
    max_upload_bytes: int = Field(64 * 2**20, gt=0)
    is_pikachu_threshold: float | None = Field(None, gt=0.0, lt=1.0)
    """From which probability a picture counts; without it, what the model's card recommends."""
    scrape_roots: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_parse_paths)] = ()
    """Folders that the scraper's worker may read for `POST /scrape` from a folder."""
    scrape_buckets: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parse_list)] = ()
    """Other buckets of the same store that the scraper may take pictures from."""
    fetch_allow: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parse_list)] = ()
    """`host:port` pairs that may be fetched although their addresses are not public."""
    nat64_prefixes: Annotated[tuple[IPv6Network, ...], NoDecode, BeforeValidator(_parse_networks)] = ()
    """IPv6 prefixes behind which this network's translator reaches IPv4 (RFC 6052)."""
    contact: str | None = Field(None, max_length=200, pattern=r"^[ -~]+$")
    """Who collects: an address of mail or of a page, told to the hosts that pictures are fetched from."""
    openverse_url: str = Field("https://api.openverse.org", pattern=r"^https?://")
    openverse_token: SecretStr | None = None
    """A key to Openverse, with which it answers more requests."""
    commons_url: str = Field("https://commons.wikimedia.org", pattern=r"^https?://")
    google: bool = False
    """Whether the source `google` may be used: it hides that it is a robot."""
    google_url: str | None = Field(None, pattern=r"^https?://")
    """A results page in place of Google's, for tests."""
    outage_seconds: float = Field(86_400.0, gt=0)
    """How long a job waits for a store, queue or disk that is away before it fails."""
    gpu_memory_mb: int | None = Field(None, ge=512)
    """At most so much of a GPU's memory, in MiB; without it, memory is taken as it is needed."""
    gan_backend: Literal["tensorflow", "jax"] = "tensorflow"
    """What the GAN's worker trains with; jax, where it is installed, for a GPU without a TensorFlow."""

    @field_validator("s3_access_key", "s3_secret_key", "valkey_url", "valkey_password")
    @classmethod
    def _is_there(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value():
            raise ValueError("expected a secret, received nothing")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 — pydantic-settings' signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the constructor only; `from_environment` is the single way to read variables."""
        return (init_settings,)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read all settings.

        Raises:
            SettingsError: a required variable is missing, a value is invalid, or a secret's file is empty or
                unreadable.
        """
        environ = os.environ if environ is None else environ
        try:
            return cls(**_Environment(cls, environ)())
        except ValidationError as error:
            raise SettingsError(_in_words(error)) from None

    def require_keys(self) -> None:
        """Refuse to serve other machines without API keys.

        Raises:
            SettingsError: the service listens beyond loopback without keys, and that was not explicitly
                allowed.
        """
        if not self.api_keys and not self.open_access and not _is_loopback(self.bind):
            raise SettingsError(
                f"PIKA_API_KEYS: expected NAME:KEY pairs, because others than this machine can reach "
                f"{self.bind}, received none; PIKA_OPEN_ACCESS=true says that everybody may do everything"
            )


class _Environment(EnvSettingsSource):
    """Return a mapping's variables and the files named by `<variable>_FILE`."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str]:
        values = {}
        for name in self.settings_cls.model_fields:
            variable = f"{_PREFIX}{name.upper()}"
            text = self._read(variable)
            if text is not None:
                values[variable.lower()] = text
        if values.get("pika_open_access", "").lower() in {"true", "1", "yes", "on"} and not values.get(
            "pika_api_keys"
        ):
            values.pop("pika_api_keys", None)  # an empty file of keys is valid
        return values

    def _read(self, variable: str) -> str | None:
        """Return the variable's value or its file's content; None if neither is set."""
        value, path = self._environ.get(variable), self._environ.get(f"{variable}{_FILE}")
        if value and path:
            raise SettingsError(f"expected one of {variable} and {variable}{_FILE}, received both")
        if not path:
            return value or None
        try:
            # An empty value is an error that the validators report; it never means "not set".
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SettingsError(
                f"{variable}{_FILE}: expected a readable file, received {path!r}: {reason}"
            ) from None


def _is_loopback(bind: str) -> bool:
    host = bind.rsplit(":", 1)[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or bind.startswith("unix:")


def _in_words(error: ValidationError) -> str:
    """Write one line per variable. Values are shown unless they may be secrets."""
    lines, missing = [], []
    for problem in error.errors(include_url=False):
        name = str(problem["loc"][0])
        variable = f"{_PREFIX}{name.upper()}"
        if problem["type"] == "missing":
            missing.append(variable)
            continue
        message = problem["msg"].removeprefix("Value error, ")
        message = _EXPECTED.get(name, message[:1].lower() + message[1:])
        is_secret = name in {
            "s3_access_key",
            "s3_secret_key",
            "valkey_url",
            "valkey_password",
            "openverse_token",
            "api_keys",
        }
        received = "" if is_secret else f", received {problem['input']!r}"
        lines.append(f"{variable}: {message}{received}")
    if missing:
        lines.insert(0, f"these environment variables are required and not set: {', '.join(missing)}")
    return "; ".join(lines)


_EXPECTED = {
    "s3_url": "expected an http(s) URL",
    "gan_backend": "expected one of tensorflow, jax",
    "model_runtime": "expected one of onnx, tensorflow",
    "open_access": "expected true or false",
    "google": "expected true or false",
    "max_upload_bytes": "expected a whole number above 0",
    "is_pikachu_threshold": "expected a number between 0 and 1, or nothing",
    "nat64_prefixes": "expected IPv6 prefixes of 32, 40, 48, 56, 64 or 96 bits, such as 64:ff9b::/96",
    "gpu_memory_mb": "expected at least 512 MiB as a whole number, or nothing",
}
