"""Nothing in the sources can be made to run code by a file: no pickle, by whatever name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "jsonpickle",
}


def pickles_in(source: str) -> Iterator[str]:
    """Lines that import a pickle or load a file in a way that may hold one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").partition(".")[0]}
        elif isinstance(node, ast.Call):
            names = {"pickle"} if _may_unpickle(node) else set()
        else:
            continue
        if names & FORBIDDEN:
            yield f"line {node.lineno}: {ast.unparse(node)}"


def _may_unpickle(call: ast.Call) -> bool:
    called = ast.unparse(call.func)
    options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if called in {"torch.load", "load_state_dict_from_url", "torch.hub.load_state_dict_from_url"}:
        return options.get("weights_only") != "True"
    if called.rpartition(".")[2] in {"read_pickle", "to_pickle"}:
        return True
    return options.get("allow_pickle", "False") != "False" or "pickle_module" in options


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, pickle as p",
        "from pickle import loads",
        "from joblib.numpy_pickle import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "frame = pandas.read_pickle(path)",
    ],
)
def test_a_pickle_would_be_seen(source: str) -> None:
    assert list(pickles_in(source))


@pytest.mark.parametrize("source", ["torch.load(path, weights_only=True)", "np.load(path)", "import json"])
def test_what_is_no_pickle_is_not_taken_for_one(source: str) -> None:
    assert not list(pickles_in(source))


@pytest.mark.parametrize("package", ["models", "service", "training", "docker"])
def test_there_is_no_pickle(package: str) -> None:
    files = sorted((REPOSITORY / package).rglob("*.py"))
    assert files
    found = {str(file): lines for file in files if (lines := list(pickles_in(file.read_text())))}
    assert found == {}
