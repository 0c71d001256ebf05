"""Bad and unusual files, through every entry point: each gives what their index says."""

import re

import pytest

# Pillow can read them, but we refuse more than 25 megapixels.
TOO_LARGE = {"real_huge_pixels_small_bytes.png", "real_huge_8000x4500.jpg"}
# Three names, one picture: stored once.
SAME_BYTES = {"UPPER CASE name with spaces.JPG", "ピカチュウ.jpg", "no_extension"}


@pytest.fixture(scope="module")
def odd_files(test_data):
    """Name → (bytes, whether the index says that it decodes)."""
    folder = test_data / "odd-files"
    index = {}
    for line in (folder / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) >= 6 and (name := re.fullmatch(r"`(.+)`", cells[1])):
            index[name[1]] = cells[4] == "yes"
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "README.md"}
    assert len(files) == 48
    return {name: (data, index[name] and name not in TOO_LARGE) for name, data in files.items()}


def test_each_odd_file_is_taken_or_refused_by_upload(stack, odd_files):
    ids = {}
    for name, (data, is_good) in odd_files.items():
        answer = stack.request("POST", "/images", body=data)
        if is_good:
            assert answer.status in {200, 201}, (name, answer.data)
            ids[name] = answer.json["pictures"][0]["id"]
        else:
            assert answer.status in {415, 422}, (name, answer.status, answer.data)
            assert answer.json["detail"], name
    assert len({ids[name] for name in SAME_BYTES}) == 1
    for name, picture_id in ids.items():
        assert stack.get(f"/images/{picture_id}?bucket=raw").data == odd_files[name][0], name


def test_many_odd_files_in_one_request_are_answered_in_order(stack, odd_files):
    fields = [("file", (name, data)) for name, (data, _good) in odd_files.items()]
    answer = stack.request("POST", "/images", fields=fields)
    assert answer.status in {200, 201}
    results = answer.json["pictures"]
    assert [("id" in result) for result in results] == [good for _data, good in odd_files.values()]


def test_each_odd_file_is_judged_or_refused(stack, classifier, odd_files):
    for name, (data, is_good) in odd_files.items():
        answer = stack.request("POST", "/is-pikachu", body=data)
        if is_good:
            assert answer.status == 200, (name, answer.data)
        else:
            assert answer.status in {415, 422}, (name, answer.status, answer.data)


def test_a_folder_of_odd_files_is_scraped_and_the_job_ends_well(stack, odd_files):
    folder = stack.scrape_root / "odd"
    folder.mkdir()
    for name, (data, _good) in odd_files.items():
        (folder / name).write_bytes(data)
    result = stack.job("/scrape", {"source": "folder", "location": str(folder)})
    assert result["looked_at"] == 48, result
    assert result["refused"] == sum(not good for _data, good in odd_files.values()), result
    assert result["taken"] + result["already_there"] + result["exact_duplicates"] == 48 - result["refused"]
