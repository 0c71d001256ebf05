"""Seeds as text, and the combinations of parameters that make no sense."""

import pytest
from pydantic import ValidationError

from pika_gan.http.schemas import GanTrainRequest, GenerateQuery, GenerateRequest, parse_seeds
from pika_kit.model_views import CurrentModelRequest


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0", [0]), ("0,4-6", [0, 4, 5, 6]), (" 7 , 3-3 ", [7, 3]), ("2,2", [2, 2]), ("0-63", list(range(64)))],
)
def test_seeds_are_read(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["", ",", "a", "1-", "-1", "3-1", "1;2", "0-64", "0-9999999999", "1.5", "4--6"]
)
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match="expected"):
        parse_seeds(text)


def test_json_is_the_default_for_several_pictures_alone():
    assert not GenerateRequest().is_json
    assert GenerateRequest(n=2).is_json
    assert not GenerateRequest(n=2, grid=True).is_json
    assert GenerateRequest(seeds="1-3").num_pictures == 3
    assert GenerateRequest(seeds=[1, 2]).seeds == [1, 2]
    assert GenerateQuery(seeds="5,1").seeds == [5, 1]


@pytest.mark.parametrize(
    "parameters",
    [
        {"n": 0},
        {"n": 65},
        {"seed": -1},
        {"seed": 2**32},
        {"seed": 2**32 - 1, "n": 2},
        {"seed": 1, "seeds": "1"},
        {"seeds": "0-64"},
        {"seeds": []},
        {"seeds": [2**40]},
        {"n": 3, "seeds": "1,2"},
        {"size": 100},
        {"size": 1024},
        {"format": "gif"},
        {"quality": 0},
        {"truncation": -1},
        {"n": 2, "response_format": "image"},
        {"return_latents": True},
        {"surprise": 1},
    ],
)
def test_what_makes_no_sense_is_refused(parameters):
    with pytest.raises(ValidationError):
        GenerateRequest(**parameters)


def test_training_takes_known_presets_only():
    with pytest.raises(ValidationError, match="Input should be 'article', 'fastgan-32', 'cpu-32'"):
        GanTrainRequest(preset="gpu-1024")
    with pytest.raises(ValidationError):
        GanTrainRequest(minutes=0)


@pytest.mark.parametrize("body", [{}, {"version": "v1", "rollback": True}])
def test_choosing_a_model_takes_one_of_two(body):
    with pytest.raises(ValidationError, match="rollback"):
        CurrentModelRequest(**body)
