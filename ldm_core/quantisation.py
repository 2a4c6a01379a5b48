"""ONNX graphs in fewer bits: weights in bfloat16, or weights and activations in int8 with ranges seen at real calls."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch

SMALLEST = 1024  # values of a weight that is worth storing in bfloat16
QUANTISED = ["Conv", "MatMul", "Gemm"]  # operations with nearly all the arithmetic
# Where rounding shows most and little is saved: the first and last layers, and the embeddings of time and of the text.
LEFT = ("/conv_in/", "/conv_out/", "/time_emb", "/add_embedding/", "/time_text_embed/")


def in_bfloat16(file: Path) -> None:
    """Store a graph's weights in bfloat16, each cast to float32 where it is used; in place."""
    graph = onnx.load(file)
    casts = []
    for weight in graph.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or np.prod(weight.dims) < SMALLEST:
            continue
        rounded = torch.from_numpy(onnx.numpy_helper.to_array(weight).copy()).bfloat16()
        name, stored = weight.name, f"{weight.name}.bfloat16"
        weight.CopyFrom(
            onnx.helper.make_tensor(
                stored,
                onnx.TensorProto.BFLOAT16,
                list(weight.dims),
                rounded.view(torch.int16).numpy().tobytes(),
                raw=True,
            )
        )
        casts.append(onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    onnx.save(graph, file)


def in_int8(file: Path, inputs: Sequence[dict[str, np.ndarray]]) -> None:
    """Quantise a graph statically, weights by channel, the ranges of activations those of the inputs; in place."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Inputs(CalibrationDataReader):
        """The calls one after another."""

        def __init__(self) -> None:
            self.left: Iterator[dict[str, np.ndarray]] = iter(inputs)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.left, None)

    names = [node.name for node in onnx.load(file).graph.node]
    logging.getLogger().setLevel(logging.ERROR)  # it advises its own preparation, which static shapes make needless
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, file.name)
        quantize_static(
            file,
            made,
            Inputs(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED,
            nodes_to_exclude=[name for name in names if any(part in name for part in LEFT)],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        file.write_bytes(made.read_bytes())
