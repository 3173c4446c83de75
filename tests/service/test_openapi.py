"""The documentation says what is true: its examples have the shape of real answers."""

from typing import Any

from fastapi.testclient import TestClient

from service.http.answers import InspectionAnswer
from service.http.documentation import EXAMPLE_ANSWER, EXAMPLE_PROBLEM
from service.http.problems import Problem
from service.http.uploads import RAW_TYPES
from tests.tiny_bundle import encode, scratched_photo

JPEG = {"content-type": "image/jpeg"}


def shape(value: Any) -> Any:
    """The keys and JSON types of a value; maps from names, and lists by their first entry."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def test_the_example_answer_has_the_shape_of_a_real_one(client: TestClient) -> None:
    InspectionAnswer.model_validate(EXAMPLE_ANSWER)
    response = client.post(
        "/inspect?serial=A17&camera=cam3", content=encode(scratched_photo(), ".jpg"), headers=JPEG
    )
    assert shape(response.json()) == shape(EXAMPLE_ANSWER)


def test_the_example_problem_is_what_an_unknown_part_gets(client: TestClient) -> None:
    Problem.model_validate(EXAMPLE_PROBLEM)
    photo = encode(scratched_photo(), ".jpg")
    problem = client.post("/inspect?part=bolt", content=photo, headers=JPEG).json()
    assert {**problem, "id": ""} == {**EXAMPLE_PROBLEM, "id": ""}


def test_the_documentation_covers_every_body_and_every_field(client: TestClient) -> None:
    documented = client.get("/openapi.json").json()
    inspect = documented["paths"]["/inspect"]["post"]
    assert set(inspect["requestBody"]["content"]) == {*RAW_TYPES, "multipart/form-data"}
    names = {parameter["name"] for parameter in inspect["parameters"]}
    assert names == {"part", "serial", "camera", "overlay", "X-Deadline-Ms", "Idempotency-Key"}
    assert {"400", "404", "408", "413", "415", "422", "500", "503", "504"} < set(inspect["responses"])
    for status, response in inspect["responses"].items():
        wanted = "application/json" if status == "200" else "application/problem+json"
        assert wanted in response["content"], status
    assert client.get("/docs").status_code == 200


def test_the_index_names_paths_that_exist(client: TestClient) -> None:
    index = client.get("/api").json()
    assert client.get("/").json() == index
    for name in ("parts", "health", "readiness", "station", "documentation", "openapi"):
        assert client.get(index[name]).status_code == 200, name
