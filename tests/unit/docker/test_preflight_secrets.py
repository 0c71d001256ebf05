"""Secrets, as real files."""

import subprocess

import pytest
from preflight_script import levels, replace, secret_files


def values(folder):
    return {name: (folder / name).read_text() for name in secret_files.NAMES}


def test_they_are_made_once(tmp_path):
    folder = tmp_path / "secrets"
    made = secret_files.make_secrets(folder)
    assert {finding.level for finding in made} == {"ok"}
    first = values(folder)
    assert {finding.message for finding in secret_files.make_secrets(folder)} == {"kept"}
    assert values(folder) == first


def test_they_are_long_different_and_plain(folder):
    made = values(folder)
    name, _, key = made.pop("api-keys").partition(":")
    assert (name, len(key.strip())) == ("pikastack", 40)
    assert made.pop("valkey-url") == f"redis://:{made['valkey-password']}@valkey:6379/0"
    assert len(set(made.values())) == len(made)
    for name in secret_files.PASSWORDS:
        assert 32 <= len(made[name]) <= 40
        assert not made[name].startswith("-")
    for name in secret_files.USERS:
        assert len(made[name]) == 20
        assert made[name].isalnum()


def test_values_that_begin_with_a_dash_are_drawn_again(tmp_path, monkeypatch):
    drawn = iter(["-" + "abcdefg" * 5, "hijklmn" * 5])
    monkeypatch.setattr(secret_files.secrets, "token_urlsafe", lambda _bytes: next(drawn))
    assert secret_files._new_value(tmp_path, "valkey-password") == "hijklmn" * 5


def test_the_folder_is_its_owners_and_the_files_are_everybodys(folder):
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {(folder / name).stat().st_mode & 0o777 for name in secret_files.NAMES} == {0o444}
    assert sorted(path.name for path in folder.iterdir()) == sorted(secret_files.NAMES)


def test_good_ones_pass(folder):
    replace(folder / "s3-root-user", "pikastack-root\n")
    found = secret_files.check_secrets(folder)
    assert {finding.level for finding in found} == {"ok"}
    assert len(found) == 1 + len(secret_files.NAMES)


def test_no_folder_is_one_problem_with_one_command(tmp_path):
    (finding,) = secret_files.check_secrets(tmp_path / "secrets")
    assert finding.level == "problem"
    assert finding.remedy == "python3 deploy/docker/preflight.py --secrets"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("s3-root-password", "", "16 characters or more, received 0"),
        ("s3-root-password", "minioadmin", "16 characters or more, received 10"),
        ("s3-root-password", "minioadminminioadmin", "'minioadmin'"),
        ("s3-secret-key", "Please-ChangeMe-Please", "'changeme'"),
        ("s3-secret-key", "please-change-me-soon", "'change-me'"),
        ("s3-secret-key", "wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY", "'example'"),
        ("valkey-password", "my-very-long-password", "'password'"),
        ("valkey-password", "this-is-a-secret-value", "'secret'"),
        ("valkey-password", "x1234567890123456789", "'12345678'"),
        ("valkey-password", "admin123admin123", "'admin123'"),
        ("valkey-password", "abababababababab", "5 different characters"),
        ("valkey-password", "two words and some more", "expected letters, digits"),
        ("valkey-password", 'quote"in-the-middle-of-it', "expected letters, digits"),
        ("valkey-password", "-looks-like-an-option", "no dash in front"),
        ("s3-root-user", "admin", "8 characters or more, received 5"),
        ("s3-access-key", "minioadmin", "'minioadmin'"),
        ("s3-access-key", "AKIAIOSFODNN7EXAMPLE", "'example'"),
        ("valkey-url", "", "expected redis://:PASSWORD@valkey:6379/0"),
        (
            "valkey-url",
            "redis://valkey:6379/0",
            "its password: expected 16 characters or more, received 0",
        ),
        (
            "valkey-url",
            "redis://:0fe1dc2ba3987654@valkey:6379/0",
            "the password that valkey-password has",
        ),
        ("valkey-url", "redis://[", "expected redis://:PASSWORD@valkey:6379/0"),
    ],
)
def test_examples_and_weak_ones_are_refused_and_replaced_aloud(folder, name, text, message):
    before = values(folder)
    replace(folder / name, text)
    finding = secret_files.check_secret(folder, name)
    assert finding.level == "problem"
    assert message in finding.message
    assert finding.remedy == "python3 deploy/docker/preflight.py --secrets"

    done = {finding.name: finding for finding in secret_files.make_secrets(folder)}
    assert done[f"secret {name}"].level == "warning"
    assert done[f"secret {name}"].message.startswith("replaced: ")
    assert {finding.level for finding in secret_files.check_secrets(folder)} == {"ok"}
    others = set(secret_files.NAMES) - {name, "valkey-url"}
    assert {other: values(folder)[other] for other in others} == {other: before[other] for other in others}


@pytest.mark.parametrize("name", secret_files.NAMES)
def test_one_that_is_missing_is_made(folder, name):
    (folder / name).unlink()
    assert secret_files.check_secret(folder, name).level == "problem"
    done = {finding.name: finding for finding in secret_files.make_secrets(folder)}
    assert done[f"secret {name}"].message.startswith("made")
    assert {finding.level for finding in secret_files.check_secrets(folder)} == {"ok"}


def test_a_new_password_goes_into_the_url(folder):
    (folder / "valkey-password").unlink()
    done = {finding.name: finding for finding in secret_files.make_secrets(folder)}
    assert done["secret valkey-url"].message.startswith("replaced: ")
    assert values(folder)["valkey-password"] in values(folder)["valkey-url"]


def test_a_server_elsewhere_has_a_password_of_its_own(folder):
    replace(folder / "valkey-url", "rediss://user:0fe1dc2ba3987654@queue.test:6380/0")
    assert secret_files.check_secret(folder, "valkey-url").level == "ok"


def test_what_is_wrong_is_said_without_the_secret(folder):
    replace(folder / "valkey-password", "hunter2-9Zq-hunter2-9Zq")
    replace(folder / "api-keys", "app:changeme-9Zq-changeme")
    for finding in [*secret_files.check_secrets(folder), *secret_files.make_secrets(folder)]:
        assert "9Zq" not in finding.message + finding.remedy


def test_a_folder_that_an_engine_made_in_a_files_place(folder):
    (folder / "valkey-url").unlink()
    (folder / "valkey-url").mkdir()
    assert "found a folder" in secret_files.check_secret(folder, "valkey-url").message
    secret_files.make_secrets(folder)
    assert secret_files.check_secret(folder, "valkey-url").level == "ok"


def test_a_folder_that_is_not_empty_is_left(folder):
    (folder / "valkey-url").unlink()
    (folder / "valkey-url" / "mine").mkdir(parents=True)
    assert levels(secret_files.make_secrets(folder))["secret valkey-url"] == "problem"


def test_modes_are_seen_and_set_right(folder):
    folder.chmod(0o755)
    (folder / "s3-root-user").chmod(0o600)
    found = {finding.name: finding for finding in secret_files.check_secrets(folder)}
    assert found["secrets"].remedy == "chmod 700 deploy/docker/secrets"
    assert found["secret s3-root-user"].remedy == "chmod 444 deploy/docker/secrets/s3-root-user"
    secret_files.make_secrets(folder)
    assert {finding.level for finding in secret_files.check_secrets(folder)} == {"ok"}


def test_files_of_another_user(folder, monkeypatch):
    def refuse(*_arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(secret_files, "fault_in", refuse)
    for found in (secret_files.check_secrets(folder)[1:], secret_files.make_secrets(folder)):
        assert {finding.level for finding in found} == {"problem"}
        assert all("chown" in finding.remedy for finding in found)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("", True),
        ("app:0fe1dc2ba3987654\nother:base64+/0fe1dc2ba39=\n", True),
        ("app:0fe1dc2ba3987654,other:fe1dc2ba39876540", True),
        ("0fe1dc2ba39876540fe1dc2ba3987654", False),
        ("app:short", False),
        ("app:changeme-changeme", False),
        ("app:0fe1dc2ba3987654,app:fe1dc2ba39876540", False),
        (":0fe1dc2ba3987654", False),
    ],
)
def test_api_keys_are_checked_and_never_replaced(folder, text, good):
    replace(folder / "api-keys", text)
    assert (secret_files.check_secret(folder, "api-keys").level == "ok") == good
    done = levels(secret_files.make_secrets(folder))
    assert done["secret api-keys"] == ("ok" if good else "problem")
    assert (folder / "api-keys").read_text() == text


def test_the_command_that_adds_a_key_does(root):
    subprocess.run(["sh", "-c", secret_files.ADD_KEY.replace("NAME", "app")], cwd=root, check=True)
    keys = root / secret_files.FOLDER / "api-keys"
    assert [line.partition(":")[0] for line in keys.read_text().splitlines()] == ["pikastack", "app"]
    assert secret_files.check_secret(keys.parent, "api-keys").level == "ok"
