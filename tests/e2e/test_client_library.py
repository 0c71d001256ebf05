"""The Python client against a whole stack."""

import io

import pytest
from PIL import Image

from pikastack.client import Client, JobError, ServiceError


@pytest.fixture
def client(stack) -> Client:
    return Client(stack.url)


def test_pictures_are_drawn_saved_and_drawn_again(client, generator, tmp_path):
    pictures = client.generate(3, seed=7, size=32, format="webp", return_latents=True)
    assert [picture.seed for picture in pictures] == [7, 8, 9]
    path = pictures[0].save(tmp_path / "a.webp")
    with Image.open(path) as image:
        assert (image.format, image.size) == ("WEBP", (32, 32))
    again = client.generate(latents=[pictures[0].latent], size=32, format="webp")
    assert again[0].data == pictures[0].data
    assert again[0].seed is None
    assert [picture.seed for picture in client.generate(seeds=[4, 2])] == [4, 2]
    with Image.open(io.BytesIO(client.sheet(4, seed=1, size=16))) as image:
        assert image.size == (34, 34)


def test_candidates_reach_the_service(client, generator):
    with pytest.raises(ServiceError, match="candidates: expected 1") as raised:
        client.generate(1, candidates=2)  # the preset tiny has no critic
    assert raised.value.kind == "no-critic"


def test_pictures_are_asked_about(client, classifier, drawn):
    folder, _ = drawn
    pikachu, other = (next((folder / "labels" / "trains" / name).iterdir()) for name in ("pikachu", "others"))
    verdict = client.is_pikachu(pikachu)
    assert verdict.is_pikachu
    assert client.is_pikachu(pikachu.read_bytes(), threshold=0.999999).threshold == 0.999999
    answers = client.are_pikachu([pikachu, b"no picture", other])
    assert [getattr(one, "is_pikachu", None) for one in answers] == [True, None, False]
    assert isinstance(answers[1], ServiceError)
    assert answers[1].status == 415
    with pytest.raises(ServiceError, match=r".+") as raised:
        client.is_pikachu(b"no picture")
    assert raised.value.kind == "not-a-picture"


def test_jobs_are_started_and_waited_for(client, generator):
    seen = []
    result = client.wait(client.train_gan(preset="tiny", steps=20, activate=False), seen.append)
    assert result["steps"] == 20
    assert {view["status"] for view in seen} <= {"queued", "running", "finished"}
    assert client.models("gan")[-1]["version"] == result["model_version"]
    assert client.activate("gan", generator["model_version"])["version"] == generator["model_version"]
    with pytest.raises(JobError, match="there is no"):
        client.wait(client.filter(model_version="v99"))


def test_a_picture_is_projected(client, generator):
    (picture,) = client.generate(seed=3)
    projection = client.project(picture.data)
    assert projection.distance < 0.05
    assert len(projection.latent) == 16
