"""The label log: the latest label counts, undo appends, nothing is lost."""

import io
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from classifier_samples import drawn, put_images

from pika_classifier.labels.archive import export_zip, import_zip
from pika_classifier.labels.leases import Leases
from pika_classifier.labels.log import (
    Label,
    LabelSet,
    NothingToUndo,
    NotUndone,
    UnknownEntry,
    UnknownPictures,
    counts,
)
from pika_classifier.labels.queue import choose_next
from pika_kit.images import sha256
from pika_kit.pictures import PictureBucket
from pika_kit.png import encode_png
from pika_kit.stages import Bucket
from pika_kit.testing import MemoryStore
from pika_kit.withdrawn import withdraw
from pika_kit.zips import BadZip


@pytest.fixture
def labels(memory_store) -> LabelSet:
    return LabelSet(memory_store)


@pytest.fixture
def ids(memory_store) -> list[str]:
    return put_images(memory_store, drawn(3, is_yellow=True, seed=1))


def as_zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_labelled_picture_is_copied_into_the_set(labels, memory_store, ids):
    labels.add([Label(ids[0], "pikachu", "trains")], "ann")
    assert labels.pictures.bytes(ids[0]) == PictureBucket(memory_store, Bucket.IMAGES).bytes(ids[0])
    assert labels.pictures.provenance(ids[0]) == {"source": "drawn by a test"}
    assert labels.current()[ids[0]] | {"at": ""} == {
        "label": "pikachu", "split": "trains", "why": None, "annotator": "ann", "at": "",
    }  # fmt: skip


def test_the_latest_label_holds_and_the_log_keeps_all(labels, memory_store, ids):
    for label in ("pikachu", "others"):
        labels.add([Label(ids[0], label, "trains")], "ann")
    assert labels.current()[ids[0]]["label"] == "others"
    assert len(list(memory_store.list(Bucket.LABELS, "log/"))) == 2


def held(labels: LabelSet) -> dict[str, str]:
    return {picture_id: label["label"] for picture_id, label in labels.current().items()}


def test_undo_appends_and_brings_the_label_before_back(labels, memory_store, ids):
    labels.add([Label(ids[0], "pikachu", "trains")], "ann")
    labels.add([Label(ids[0], "others", "valids"), Label(ids[1], "others", "trains")], "ann")
    undone = labels.undo("ann")
    assert [label["id"] for label in undone["labels"]] == ids[:2]
    assert held(labels) == {ids[0]: "pikachu"}
    labels.undo("ann")
    assert labels.current() == {}
    assert len(list(memory_store.list(Bucket.LABELS, "log/"))) == 4
    with pytest.raises(NothingToUndo):
        labels.undo("ann")


def test_undo_leaves_other_annotators_labels_alone(labels, ids):
    labels.add([Label(ids[0], "pikachu", "trains")], "ann")
    labels.add([Label(picture_id, "others", "trains") for picture_id in ids[1:]], "bob")
    assert [label["id"] for label in labels.undo("ann")["labels"]] == [ids[0]]
    with pytest.raises(NothingToUndo):
        labels.undo("ann")
    assert held(labels) == dict.fromkeys(ids[1:], "others")


def test_an_import_in_several_parts_is_taken_back_as_a_whole(labels, ids):
    labels.add([Label(ids[0], "others", "trains")], "ann")
    labels.add([Label(ids[0], "pikachu", "trains")], "ann", unit="import-1")
    labels.add([Label(ids[1], "pikachu", "trains")], "bob", unit="import-1")
    labels.add([Label(ids[2], "pikachu", "trains")], "ann", unit="import-1")
    assert {label["id"] for label in labels.undo("ann")["labels"]} == {ids[0], ids[2]}
    assert held(labels) == {ids[0]: "others", ids[1]: "pikachu"}


def test_what_was_taken_back_can_be_restored_and_taken_back_again(labels, ids):
    labels.add([Label(ids[0], "pikachu", "trains")], "ann")
    labels.add([Label(ids[0], "others", "trains")], "bob")
    (entry,) = labels.undo("bob")["entries"]
    labels.restore(entry, "bob")
    assert held(labels) == {ids[0]: "others"}
    with pytest.raises(NotUndone):
        labels.restore(entry, "bob")
    with pytest.raises(UnknownEntry):
        labels.restore(f"{'0' * 20}-00000000", "bob")
    assert labels.undo("bob")["entries"] == [entry]
    assert held(labels) == {ids[0]: "pikachu"}


def test_undos_at_the_same_time_take_back_one_entry_each(labels, memory_store, ids):
    for picture_id in ids:
        labels.add([Label(picture_id, "pikachu", "trains")], "ann")
    processes = [LabelSet(memory_store) for _ in ids]
    for process in processes:
        process.current()
    start = threading.Barrier(len(ids))

    def undo(process: LabelSet) -> list[str]:
        start.wait()
        return process.undo("ann")["entries"]

    with ThreadPoolExecutor(len(ids)) as pool:
        undone = [name for entries in pool.map(undo, processes) for name in entries]
    assert len(set(undone)) == len(undone) == len(ids)
    assert labels.current() == {}


def test_another_process_sees_the_same(labels, memory_store, ids):
    other = LabelSet(memory_store)
    assert other.current() == {}
    labels.add([Label(ids[0], "pikachu", "valids")], "ann")
    assert counts(other.current()) == {
        "trains": {"pikachu": 0, "others": 0},
        "valids": {"pikachu": 1, "others": 0},
    }


def test_unknown_pictures_leave_everything_as_it_was(labels, memory_store, ids):
    with pytest.raises(UnknownPictures) as raised:
        labels.add([Label(ids[0], "pikachu", "trains"), *2 * [Label("0" * 64, "pikachu", "trains")]], "ann")
    assert raised.value.ids == ["0" * 64], "each once"
    assert list(memory_store.list(Bucket.LABELS)) == []


def test_a_label_is_one_of_the_known_words():
    with pytest.raises(ValueError, match="expected one of pikachu, others, received 'raichu'"):
        Label("0" * 64, "raichu", "trains")


def test_a_zip_in_the_articles_layout_is_imported(labels):
    yellow, blue = (encode_png(drawn(1, is_yellow=kind, seed=9)[0]) for kind in (True, False))
    files = {
        "labeled/trains/pikachu/one.png": yellow,
        "labeled/valids/others/two.png": blue,
        "labeled/trains/pikachu/same again.png": yellow,
        "labeled/valids/pikachu/contradiction.png": yellow,
        "labeled/trains/others/broken.jpg": b"\xff\xd8\xff\xe0 and no more",
        "labeled/trains/others/page.jpg": b"<html></html>",
        "labeled/readme.txt": b"hello",
        "__MACOSX/trains/pikachu/._one.png": b"left behind",
    }
    report = import_zip(as_zip(files), labels, "ann").to_json()
    assert {name: report[name] for name in ("files", "imported", "unchanged", "duplicates", "refused")} == {
        "files": 7, "imported": 2, "unchanged": 0, "duplicates": 1, "refused": 4,
    }  # fmt: skip
    reasons = {refused["file"].rpartition("/")[2]: refused["reason"] for refused in report["refused_files"]}
    assert reasons == {
        "contradiction.png": "contradiction",
        "broken.jpg": "damaged",
        "page.jpg": "not_a_picture",
        "readme.txt": "outside_layout",
    }
    assert labels.current()[sha256(blue)]["split"] == "valids"
    again = import_zip(as_zip(files), labels, "ann")
    assert (again.imported, again.unchanged) == (0, 2)


def test_what_is_no_zip_changes_nothing(labels, memory_store):
    with pytest.raises(BadZip, match="expected a zip"):
        import_zip(b"hello", labels, "ann")
    assert list(memory_store.list(Bucket.LABELS)) == []


def test_without_a_model_chance_decides_what_is_next(memory_store, ids):
    chosen = choose_next(memory_store, {ids[0]: {}}, None, 5, seed=0)
    assert chosen["order"] == "random"
    assert {picture["id"] for picture in chosen["pictures"]} == set(ids[1:])
    assert chosen["unlabelled"] == 2


def test_disagreements_name_who_said_what(labels, ids):
    labels.add([Label(ids[0], "pikachu", "trains"), Label(ids[1], "pikachu", "trains")], "ann")
    labels.add([Label(ids[0], "others", "trains"), Label(ids[1], "others", "trains")], "bob")
    labels.add([Label(ids[1], "others", "trains")], "ann")  # ann's turn again
    (disagreement,) = labels.disagreements()
    assert disagreement["id"] == ids[0]
    assert [(said["annotator"], said["label"]) for said in disagreement["labels"]] == [
        ("ann", "pikachu"),
        ("bob", "others"),
    ]
    labels.undo("bob")
    assert [disagreement["id"] for disagreement in labels.disagreements()] == []


def test_what_is_exported_is_imported_again(labels, memory_store, ids):
    labels.add([Label(ids[0], "pikachu", "trains"), Label(ids[1], "others", "valids")], "ann")
    file = io.BytesIO()
    assert export_zip(labels, file) == 2
    with zipfile.ZipFile(file) as archive:
        assert sorted(archive.namelist()) == sorted(
            [f"trains/pikachu/{ids[0]}.png", f"valids/others/{ids[1]}.png"]
        )
    other = LabelSet(MemoryStore())
    report = import_zip(file.getvalue(), other, "bob")
    assert (report.imported, report.refused) == (2, [])
    kept = {picture_id: (label["label"], label["split"]) for picture_id, label in other.current().items()}
    assert kept == {ids[0]: ("pikachu", "trains"), ids[1]: ("others", "valids")}


def test_a_leased_picture_is_nobody_elses_for_a_while(memory_store, ids):
    now = [900.0 * 1000]
    leases = Leases(memory_store, lambda: now[0])
    assert leases.take(ids[:2], "ann") == set(ids[:2])
    assert leases.take(ids[1:3], "bob") == {ids[2]}
    assert leases.held() == set(ids[:3])
    now[0] += 900
    assert leases.held() == set(ids[:3])
    now[0] += 900
    assert leases.held() == set()
    assert not list(memory_store.list(Bucket.LABELS, "leases/"))


def test_withdrawn_pictures_leave_the_set_and_do_not_come_back(labels, memory_store, ids):
    data = encode_png(drawn(1, is_yellow=True, seed=9)[0])
    zipped = as_zip({"trains/pikachu/a.png": data})
    labels.add([Label(picture_id, "pikachu", "trains") for picture_id in ids], "ann")
    import_zip(zipped, labels, "ann")
    for picture_id in (ids[0], sha256(data)):
        withdraw(memory_store, picture_id, "")
    assert set(labels.current()) == set(ids[1:])
    assert labels.remove_withdrawn() == sorted([ids[0], sha256(data)])
    assert labels.remove_withdrawn() == []
    assert set(labels.pictures.ids()) == set(ids[1:])
    report = import_zip(zipped, labels, "ann")
    assert (report.imported, set(labels.pictures.ids())) == (0, set(ids[1:]))
