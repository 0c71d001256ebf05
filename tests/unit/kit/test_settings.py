"""Settings: what a deployment may set, and the message when a value is wrong."""

from pathlib import Path

import pytest

from pika_kit.settings import Settings, SettingsError

REQUIRED = {
    "PIKA_S3_URL": "http://127.0.0.1:8333",
    "PIKA_S3_ACCESS_KEY": "access",
    "PIKA_S3_SECRET_KEY": "secret-value",
    "PIKA_VALKEY_URL": "redis://127.0.0.1:6379/0",
}


def test_the_required_variables_are_enough():
    settings = Settings.from_environment(REQUIRED)
    assert settings.bucket_prefix == "pika-"
    assert settings.is_pikachu_threshold is None
    assert not settings.api_keys


def test_all_missing_variables_are_named_at_once():
    with pytest.raises(SettingsError, match=r"PIKA_S3_ACCESS_KEY.*PIKA_VALKEY_URL"):
        Settings.from_environment({"PIKA_S3_URL": "http://x", "PIKA_S3_SECRET_KEY": "s"})


def test_secrets_come_from_files(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("from-a-file\n")
    environ = {name: value for name, value in REQUIRED.items() if name != "PIKA_S3_SECRET_KEY"}
    settings = Settings.from_environment(environ | {"PIKA_S3_SECRET_KEY_FILE": str(secret)})
    assert settings.s3_secret_key.get_secret_value() == "from-a-file"
    with pytest.raises(SettingsError, match="PIKA_S3_SECRET_KEY_FILE: expected a readable file"):
        Settings.from_environment(environ | {"PIKA_S3_SECRET_KEY_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("PIKA_S3_URL", "127.0.0.1:8333", "expected an http"),
        ("PIKA_MODEL_RUNTIME", "torch", "expected one of onnx, tensorflow, received 'torch'"),
        ("PIKA_IS_PIKACHU_THRESHOLD", "99", "between 0 and 1"),
        (
            "PIKA_IS_PIKACHU_THRESHOLD",
            "high",
            "between 0 and 1, or nothing, received 'high'",
        ),
        ("PIKA_OPEN_ACCESS", "perhaps", "expected true or false, received 'perhaps'"),
        ("PIKA_GPU_MEMORY_MB", "5", "at least 512 MiB"),
        ("PIKA_MAX_UPLOAD_BYTES", "64MB", "expected a whole number"),
        ("PIKA_MAX_UPLOAD_BYTES", "0", "expected a whole number above 0"),
        ("PIKA_API_KEYS", "no-colon-but-long-enough", "expected NAME:KEY pairs"),
        ("PIKA_API_KEYS", "app:short", "at least 16 characters"),
        ("PIKA_API_KEYS", "app:0123456789abcdef,app:fedcba9876543210", "different names"),
    ],
)
def test_an_unusable_value_is_named_with_what_was_expected(variable, value, message):
    with pytest.raises(SettingsError, match=message) as error:
        Settings.from_environment(REQUIRED | {variable: value})
    assert variable in str(error.value)


def test_a_bad_key_is_not_repeated_in_the_message():
    with pytest.raises(SettingsError) as error:
        Settings.from_environment(REQUIRED | {"PIKA_API_KEYS": "app:hunter2"})
    assert "hunter2" not in str(error.value)


def test_lists_and_pairs_are_parsed():
    settings = Settings.from_environment(
        REQUIRED
        | {
            "PIKA_API_KEYS": "app:0123456789abcdef, other:fedcba9876543210",
            "PIKA_SCRAPE_ROOTS": "/a:/b/../c",
            "PIKA_FETCH_ALLOW": "127.0.0.1:8000, example.test:80",
        }
    )
    keys = {name: key.get_secret_value() for name, key in settings.api_keys.items()}
    assert keys == {"app": "0123456789abcdef", "other": "fedcba9876543210"}
    assert settings.scrape_roots == (Path("/a"), Path("/c"))
    assert settings.fetch_allow == ("127.0.0.1:8000", "example.test:80")


@pytest.mark.parametrize("variable", ["PIKA_API_KEYS", "PIKA_S3_SECRET_KEY", "PIKA_VALKEY_URL"])
def test_an_empty_or_missing_file_of_a_secret_is_an_error(tmp_path, variable):
    environ = {name: value for name, value in REQUIRED.items() if name != variable}
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for path in (empty, tmp_path / "missing", tmp_path):
        with pytest.raises(SettingsError, match=variable):
            Settings.from_environment(environ | {f"{variable}_FILE": str(path)})


def test_no_secret_is_in_a_settings_text():
    settings = Settings.from_environment(
        REQUIRED | {"PIKA_VALKEY_URL": "redis://:hunter2@x/0", "PIKA_API_KEYS": "app:0123456789abcdef"}
    )
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert not any(secret in text for secret in ("hunter2", "secret-value", "0123456789abcdef"))


def test_a_variable_and_its_file_contradict_each_other(tmp_path):
    (tmp_path / "url").write_text("redis://other/0")
    with pytest.raises(SettingsError, match="one of PIKA_VALKEY_URL and PIKA_VALKEY_URL_FILE"):
        Settings.from_environment(REQUIRED | {"PIKA_VALKEY_URL_FILE": str(tmp_path / "url")})


@pytest.mark.parametrize(
    ("bind", "reachable"),
    [
        ("127.0.0.1:8000", False),
        ("[::1]:8000", False),
        ("localhost:1", False),
        ("unix:/run/x.sock", False),
        ("0.0.0.0:8000", True),
        ("[::]:8000", True),
        ("192.168.1.5:8000", True),
        (":8000", True),
    ],
)
def test_what_others_can_reach_needs_keys_or_the_operators_word(bind, reachable):
    environ = REQUIRED | {"PIKA_BIND": bind}
    if reachable:
        with pytest.raises(SettingsError, match="PIKA_OPEN_ACCESS"):
            Settings.from_environment(environ).require_keys()
    else:
        Settings.from_environment(environ).require_keys()
    Settings.from_environment(environ | {"PIKA_API_KEYS": "app:0123456789abcdef"}).require_keys()
    Settings.from_environment(environ | {"PIKA_OPEN_ACCESS": "true"}).require_keys()


def test_an_empty_file_of_keys_is_meant_where_access_is_open(tmp_path):
    (tmp_path / "keys").write_text("")
    environ = REQUIRED | {"PIKA_API_KEYS_FILE": str(tmp_path / "keys"), "PIKA_BIND": "0.0.0.0:8000"}
    Settings.from_environment(environ | {"PIKA_OPEN_ACCESS": "true"}).require_keys()
    with pytest.raises(SettingsError, match="PIKA_API_KEYS"):
        Settings.from_environment(environ | {"PIKA_OPEN_ACCESS": "false"})
