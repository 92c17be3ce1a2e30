"""The networks of others, as files that `hevitpose benchmark` measures.

    python benchmarks/peers.py --output peers
    python benchmarks/peers.py --output peers --tfjs movenet-lightning.json movenet-thunder.json

Writes RTMPose-s and -m (Jiang et al., arXiv 2303.07399) with random weights as ONNX files, and says whether their
parameters and operations are the published ones. Graphs of TensorFlow.js (MoveNet) become TensorFlow graphs, which
OpenVINO reads; that needs the package tensorflow. Files of TensorFlow Lite (BlazePose) are measured as they are.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detector_peers import tfjs_weights
from hevitpose.models.cost import cost, total

SIZE_HW = (256, 192)
KEYPOINTS = 17
TOLERANCE = 0.02


@dataclass(frozen=True)
class Size:
    """Width and depth of the backbone in terms of CSPNeXt's; published parameters and multiply-accumulates."""

    width: float
    depth: float
    parameters: float
    operations: float


SIZES = {"rtmpose_s": Size(0.5, 0.33, 5.47e6, 0.68e9), "rtmpose_m": Size(0.75, 0.67, 13.59e6, 1.93e9)}


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, SiLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.SiLU())


class Block(nn.Module):
    """3 x 3, then depthwise 5 x 5 and 1 x 1."""

    def __init__(self, width: int, identity: bool) -> None:
        super().__init__()
        depthwise = conv(width, width, 5, groups=width)
        self.branch, self.identity = nn.Sequential(conv(width, width, 3), depthwise, conv(width, width, 1)), identity

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.branch(x)
        return out + x if self.identity else out


class CrossStage(nn.Module):
    """Half of the channels through the blocks, half past them, both weighted by channel attention."""

    def __init__(self, width: int, blocks: int, identity: bool) -> None:
        super().__init__()
        half = width // 2
        self.main = nn.Sequential(conv(width, half, 1), *(Block(half, identity) for _ in range(blocks)))
        self.short = conv(width, half, 1)
        self.attention = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width, 1), nn.Hardsigmoid())
        self.last = conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.main(x), self.short(x)], dim=1)
        out: Tensor = self.last(both * self.attention(both))
        return out


class PyramidPooling(nn.Module):
    """Maxima over squares of 5, 9 and 13 beside the map itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = conv(width, width // 2, 1), conv(2 * width, width, 1)
        self.pools = nn.ModuleList(nn.MaxPool2d(side, 1, side // 2) for side in (5, 9, 13))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        out: Tensor = self.last(torch.cat([x, *(pool(x) for pool in self.pools)], dim=1))
        return out


class ScaleNorm(nn.Module):
    """Vectors divided by the root of their mean square, times one learnt number."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x / x.square().mean(dim=-1, keepdim=True).sqrt().clamp(min=1e-5) * self.gain


class GatedAttention(nn.Module):
    """A gated attention unit over the keypoints (Hua et al., ICML 2022), softmax replaced by a squared ReLU."""

    def __init__(self, width: int = 256, inner: int = 512, key: int = 128) -> None:
        super().__init__()
        self.norm, self.split = ScaleNorm(), [inner, inner, key]
        self.expand = nn.Linear(width, sum(self.split), bias=False)
        self.query_key = nn.ParameterList(torch.rand(2, key) for _ in ("scale", "shift"))
        self.project, self.keep = nn.Linear(inner, width, bias=False), nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        gate, value, base = torch.split(F.silu(self.expand(self.norm(x))), self.split, dim=-1)
        scale, shift = self.query_key
        query, key = (base.unsqueeze(-2) * scale + shift).unbind(dim=-2)
        weights = F.relu(query @ key.transpose(1, 2) / self.split[2] ** 0.5).square()
        out: Tensor = self.project(gate * (weights @ value))
        return out + x * self.keep


class RTMPose(nn.Module):
    """Normalised RGB (N, 3, 256, 192) to scores of each half pixel in x (N, 17, 384) and in y (N, 17, 512)."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        widths = [int(size.width * width) for width in (64, 128, 256, 512, 1024)]
        half = widths[0] // 2
        layers: list[nn.Module] = [conv(3, half, 3, 2), conv(half, half, 3), conv(half, widths[0], 3)]
        for stage, blocks in enumerate((3, 6, 6, 3), start=1):
            last, width = stage == 4, widths[stage]
            layers += [conv(widths[stage - 1], width, 3, 2), *([PyramidPooling(width)] if last else [])]
            layers.append(CrossStage(width, max(1, round(size.depth * blocks)), identity=not last))
        self.backbone = nn.Sequential(*layers)
        self.maps = nn.Conv2d(widths[-1], KEYPOINTS, 7, padding=3)
        cells = SIZE_HW[0] * SIZE_HW[1] // 32**2
        self.embed, self.attention = nn.Sequential(ScaleNorm(), nn.Linear(cells, 256, bias=False)), GatedAttention()
        self.x, self.y = (nn.Linear(256, 2 * side, bias=False) for side in reversed(SIZE_HW))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.attention(self.embed(self.maps(self.backbone(images)).flatten(2)))
        return self.x(tokens), self.y(tokens)


def write_rtmpose(name: str, path: Path) -> dict[str, float]:
    """Write the ONNX file; parameters and multiply-accumulates, here and as published."""
    torch.manual_seed(0)
    model = RTMPose(SIZES[name]).eval()
    counted, published = total(cost(model, SIZE_HW)), SIZES[name]
    torch.onnx.export(
        model, (torch.zeros(1, 3, *SIZE_HW),), path, dynamo=True, external_data=False, verbose=False,
        input_names=["images"], output_names=["x", "y"], opset_version=18,
    )  # fmt: skip
    return {
        "parameters": sum(each.numel() for each in model.parameters()),
        "published_parameters": published.parameters,
        "multiply_accumulates": counted.multiply_accumulates,
        "published_operations": published.operations,
    }


def from_tfjs(source: Path, path: Path) -> None:
    """A graph of TensorFlow.js as one of TensorFlow, its fused convolutions taken apart, which OpenVINO needs."""
    import tensorflow as tf
    from google.protobuf import json_format

    content = json.loads(source.read_text())
    weights = tfjs_weights(content, source.parent)
    nodes = content["modelTopology"]["node"]
    for node in nodes:
        if node["op"] == "Const":
            del node["attr"]["value"]
    read = json_format.ParseDict({"node": nodes}, tf.compat.v1.GraphDef(), ignore_unknown_fields=True)
    graph = tf.compat.v1.GraphDef()
    for node in read.node:
        if node.op not in FUSED:
            copied = graph.node.add()
            copied.CopyFrom(node)
            if node.op == "Const":
                copied.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(weights[node.name]))
            continue
        inputs, rest = list(node.input[:2]), list(node.input[2:])
        steps = [FUSED[node.op], *(step.decode() for step in node.attr["fused_ops"].list.s)]
        for number, step in enumerate(steps):
            part = graph.node.add()
            part.op, part.name = step, f"{node.name}/{number}" if number < len(steps) - 1 else node.name
            part.input.extend(inputs + ([rest.pop(0)] if step == "BiasAdd" else []))
            for key in ("T", "strides", "padding", "dilations", "data_format") if number == 0 else ("T",):
                part.attr[key].CopyFrom(node.attr[key])
            inputs = [part.name]
    path.write_bytes(graph.SerializeToString())


FUSED = {"_FusedConv2D": "Conv2D", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, required=True, help="folder for the files")
    parser.add_argument("--tfjs", type=Path, nargs="*", default=[], help="graphs of TensorFlow.js, beside their .bin")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for name in SIZES:
        found = write_rtmpose(name, options.output / f"{name}.onnx")
        print(name, json.dumps(found))
        for ours, published in (("parameters",) * 2, ("multiply_accumulates", "operations")):
            if abs(found[ours] / found[f"published_{published}"] - 1) > TOLERANCE:
                raise SystemExit(f"{name}: {ours} differ by more than {TOLERANCE:.0%} from the published")
    for source in options.tfjs:
        from_tfjs(source, options.output / f"{source.stem}.pb")
        print(options.output / f"{source.stem}.pb")


if __name__ == "__main__":
    main()
