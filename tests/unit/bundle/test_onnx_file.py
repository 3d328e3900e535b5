"""A tensor that lies in another file is found wherever in the model it stands."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto

from runtime.bundle.onnx_file import external_files, refers_elsewhere

pytestmark = pytest.mark.unit


def elsewhere() -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="offset", value="0")
    tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def in_attribute(node: NodeProto | AttributeProto) -> None:
    attribute = node.attribute.add(name="value") if isinstance(node, NodeProto) else node
    attribute.type = AttributeProto.TENSOR
    attribute.t.CopyFrom(elsewhere())


def in_subgraph(model: ModelProto) -> None:
    attribute = model.graph.node.add(op_type="If").attribute.add(name="then", type=AttributeProto.GRAPH)
    attribute.g.initializer.append(elsewhere())


PLACES: dict[str, Callable[[ModelProto], None]] = {
    "a weight": lambda model: model.graph.initializer.append(elsewhere()),
    "the values of a sparse weight": lambda model: model.graph.sparse_initializer.add().values.CopyFrom(
        elsewhere()
    ),
    "a constant": lambda model: in_attribute(model.graph.node.add(op_type="Constant")),
    "a graph in a graph": in_subgraph,
    "a constant of a function": lambda model: in_attribute(model.functions.add().node.add()),
    "a default of a function": lambda model: in_attribute(model.functions.add().attribute_proto.add()),
    "the training's graph": lambda model: model.training_info.add().initialization.initializer.append(
        elsewhere()
    ),
}


def model_with(put: Callable[[ModelProto], object] = lambda model: None) -> bytes:
    model = ModelProto(ir_version=10, producer_name="test")
    inside = model.graph.initializer.add(name="inside", data_type=TensorProto.FLOAT, dims=[1000])
    inside.raw_data = bytes(4000)
    put(model)
    return model.SerializeToString()


@pytest.mark.parametrize("place", PLACES)
def test_a_tensor_in_another_file_is_found_everywhere(place: str) -> None:
    data = model_with(PLACES[place])
    assert list(external_files(data)) == ["weights.bin"]
    assert refers_elsewhere(data)


def test_a_model_that_is_whole_names_no_file() -> None:
    assert not refers_elsewhere(model_with())


def test_every_message_that_may_hold_a_tensor_is_looked_into() -> None:
    """Against the ONNX package's own description: which of its fields lead to ``TensorProto``."""
    from runtime.bundle.onnx_file import _FIELDS  # noqa: PLC0415 - what is checked is private

    names = {
        "model": onnx.ModelProto,
        "graph": onnx.GraphProto,
        "function": onnx.FunctionProto,
        "node": onnx.NodeProto,
        "attribute": onnx.AttributeProto,
        "sparse": onnx.SparseTensorProto,
        "training": onnx.TrainingInfoProto,
        "tensor": onnx.TensorProto,
    }
    ours = {kind.DESCRIPTOR.name: name for name, kind in names.items()}
    for name, kind in names.items():
        leading = {
            field.number: ours[field.message_type.name]
            for field in kind.DESCRIPTOR.fields
            if field.message_type is not None and field.message_type.name in ours
        }
        assert _FIELDS[name] == leading, name


@given(st.integers(0, len(model_with(PLACES["a weight"])) - 1))
def test_a_model_that_is_cut_short_is_an_error_or_names_the_file(length: int) -> None:
    data = model_with(PLACES["a weight"])[:length]
    try:
        found = list(external_files(data))
    except ValueError:
        return
    # Cut between two fields it is a shorter model.
    assert found in ([], [""], ["weights.bin"])


@given(st.binary(max_size=300))
def test_other_bytes_are_no_model_or_one_without_a_file(data: bytes) -> None:
    try:
        found = list(external_files(data))
    except ValueError:
        return
    assert all(isinstance(name, str) for name in found)
