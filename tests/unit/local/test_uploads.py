import io
import os
import zipfile

from pikastack.cli.uploads import list_files, zip_batches


def _names(batch) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(batch.data)).namelist()


def test_files_keep_their_paths_and_hidden_ones_stay_out(tmp_path):
    for name in ("b/two.png", "a.png", ".hidden.png", ".git/three.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    files = list_files(tmp_path)
    (batch,) = zip_batches(files, tmp_path)
    assert _names(batch) == ["a.png", "b/two.png"]


def test_batches_stay_below_the_limit_and_hold_every_file_once(tmp_path):
    for number in range(10):
        (tmp_path / f"{number}.png").write_bytes(os.urandom(1000))
    batches = list(zip_batches(list_files(tmp_path), tmp_path, batch_bytes=3500))
    assert [batch.num_files for batch in batches] == [3, 3, 3, 1]
    assert [name for batch in batches for name in _names(batch)] == [f"{number}.png" for number in range(10)]


def test_a_file_larger_than_a_batch_is_a_batch_of_its_own(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "b.png").write_bytes(b"x" * 100)
    batches = list(zip_batches(list_files(tmp_path), tmp_path, batch_bytes=10))
    assert [batch.num_files for batch in batches] == [1, 1]


def test_a_name_that_is_not_utf8_is_zipped(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    (batch,) = zip_batches(list_files(tmp_path), tmp_path)
    assert _names(batch) == ["caf\ufffd.png"]
