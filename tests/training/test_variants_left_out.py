"""A form of the graph that fails or differs is left out of the bundle, and costs no training."""

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest

from models.bundle import Bundle
from models.errors import ExportError
from models.inspector import Inspector
from models.manifest import Variant
from models.session import open_session
from tests.tiny_bundle import encode, make_tiny_bundle
from tests.training.photos import painted_sample
from tests.training.small_trunk import SIZE, small_photos, small_trunk_graph
from training.summary import Record
from training.variants import fp16, int8
from training.variants.attempt import attempted
from training.variants.write import WrittenVariants, write_variants


def unfinished(folder: Path, graph: onnx.ModelProto) -> tuple[Bundle, list[Record]]:
    """A bundle around a graph, and what it says of some photos."""
    path = make_tiny_bundle(folder, size=SIZE)
    onnx.save(graph, path / "inspector.onnx")
    bundle = Bundle(path, Bundle.open(path, verify=False).manifest)
    inspector = Inspector(bundle, open_session(path / "inspector.onnx", "cpu", threads=1))
    records = []
    for index, photo in enumerate(small_photos(3, seed=3)):
        sample = painted_sample(folder / f"{index}.png", photo, "clean")
        records.append(Record(sample, inspector.inspect(encode(photo))[0], None))
    return bundle, records


def without_a_bias() -> onnx.ModelProto:
    """The small trunk, with a convolution that int8 cannot equalise."""
    graph = small_trunk_graph()
    node = next(
        node
        for node in graph.graph.node
        if node.input[1:] == ["trunk.layer1.0.conv2.weight", "trunk.layer1.0.conv2.weight_bias"]
    )
    del node.input[2]
    onnx.checker.check_model(graph, full_check=True)
    return graph


def test_what_cannot_be_quantised_leaves_out_int8_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle, records = unfinished(tmp_path, without_a_bias())
    with caplog.at_level(logging.WARNING):
        made = write_variants(bundle, records, small_photos(16), with_int8=True, seed=0)
    assert set(made.written) == {"fp16"}
    assert "IndexError" in made.left_out["int8"]
    assert "Traceback" in caplog.text
    assert not (bundle.path / int8.FILE).exists()
    assert (bundle.path / fp16.FILE).is_file()


def test_what_fails_while_it_is_judged_leaves_no_file(tmp_path: Path) -> None:
    bundle, records = unfinished(tmp_path, small_trunk_graph())
    (tmp_path / "2.png").unlink()
    made = write_variants(bundle, records, small_photos(16), with_int8=True, seed=0)
    assert made.written == {}
    assert set(made.left_out) == {"fp16", "int8"}
    assert all("FileNotFoundError" in reason for reason in made.left_out.values())
    assert all(str(tmp_path) not in reason for reason in made.left_out.values()), "no path of this machine"
    assert {path.name for path in bundle.path.glob("*.onnx")} == {"inspector.onnx"}


def test_what_differs_on_golden_photos_goes_with_its_file(tmp_path: Path) -> None:
    bundle, _ = unfinished(tmp_path, small_trunk_graph())
    for name in (int8.FILE, fp16.FILE):
        (bundle.path / name).write_bytes(b"graph")
    written = WrittenVariants(
        written={
            "int8": Variant(file=int8.FILE, precision="int8"),
            "fp16": Variant(file=fp16.FILE, precision="fp16"),
        }
    )
    found = written.without(bundle, {"int8": "golden/00_clean.png: scratched instead of clean"})
    assert set(found.written) == {"fp16"}
    assert found.left_out == {"int8": "golden/00_clean.png: scratched instead of clean"}
    assert not (bundle.path / int8.FILE).exists()
    assert (bundle.path / fp16.FILE).is_file()


def test_both_forms_are_rehearsed_under_their_own_name(tmp_path: Path) -> None:
    bundle, records = unfinished(tmp_path, small_trunk_graph())
    made = write_variants(bundle, records, small_photos(32), with_int8=True, seed=0)
    opened = {name: opening() for name, opening in made.rehearsals(bundle).items()}
    assert set(opened) == {"fp16", "int8"}
    photo = small_photos(1, seed=5)
    single = Inspector(bundle, open_session(bundle.path / "inspector.onnx", "cpu", threads=1)).run(photo)[0]
    for name, inspector in opened.items():
        assert inspector.variant.precision == name
        assert not np.array_equal(inspector.run(photo)[0].anomaly_map, single.anomaly_map), "rounded"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_is_no_fault_of_the_form_ends_the_training(kind: type[BaseException]) -> None:
    def interrupted() -> str:
        raise kind

    with pytest.raises(kind):
        attempted("int8", interrupted)


def test_a_reason_that_was_written_for_people_is_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    def refused() -> str:
        raise ExportError("There is no trunk.", "Report this.")

    assert attempted("fp16", refused) == "There is no trunk"
    assert "There is no trunk." in caplog.text
