"""Trained networks on the Hugging Face Hub, through its own mixin."""

import json
from os import PathLike
from pathlib import Path
from typing import Any, Self

from huggingface_hub import ModelCard, PyTorchModelHubMixin, constants
from torch import Tensor, nn

from hevitpose.core.errors import InputError
from hevitpose.core.model_config import KEY, model_config_from_metadata
from hevitpose.io.json_files import read_json
from hevitpose.models import weights
from hevitpose.models.registry import build_network, title_of

README = """---
{{ card_data }}
---

# {{ title }}, {{ keypoints }} keypoints

A network for human pose estimation or other keypoints, trained with hevitpose; input {{ size }}.
The paper: {{ paper_url }}

```python
from hevitpose import PoseEstimator
from hevitpose.models.hub import HubNetwork

HubNetwork.from_pretrained("USER/NAME").save("network.safetensors")
pose = PoseEstimator.from_pretrained("network.safetensors")("photo.jpg")
```

Terms of the training data: {{ terms }}
"""


class HubNetwork(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="hevitpose",
    license="other",
    pipeline_tag="keypoint-detection",
    tags=["pose-estimation", "hevitpose"],
    paper_url="https://arxiv.org/abs/2311.13615",
    model_card_template=README,
):
    """A network and the config of its weight file; `model.safetensors` on the Hub is such a file, too.

    `save_pretrained`, `push_to_hub` and `from_pretrained` are the mixin's. Only safetensors files are loaded.

        HubNetwork.from_file("runs/mine/best.safetensors").push_to_hub("me/my-pose")
        HubNetwork.from_pretrained("me/my-pose").save("my-pose.safetensors")
    """

    def __init__(self, config: dict[str, object], terms: str = "not stated") -> None:
        """A random network. `config` is as `ModelConfig.to_json` gives it; `terms` are the training data's.

        Raises InputError where the config is not one of hevitpose.
        """
        super().__init__()
        self.config, self.terms = model_config_from_metadata({KEY: json.dumps(config)}, "config.json"), terms
        self.network = build_network(self.config.architecture, self.config.skeleton.num_keypoints, self.config.variant)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised RGB (N, 3, H, W) to heatmaps (N, K, H/4, W/4)."""
        heatmaps: Tensor = self.network(pixels)
        return heatmaps

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Self:
        """The network of a .safetensors file, with the terms of the card beside it. Raises InputError."""
        source = Path(path)
        network, config = weights.load_model(source)
        cards = [path for path in (source.with_suffix(".json"), source.with_name("card.json")) if path.is_file()]
        card = read_json(cards[0]) if cards else None
        terms = card.get("terms") if isinstance(card, dict) else None
        hub_network = cls(config.to_json(), terms or "not stated")
        hub_network.network = network
        return hub_network.eval()

    def save(self, path: str | PathLike[str]) -> None:
        """Write a .safetensors file that all commands accept."""
        weights.save_model(Path(path), self.network.state_dict(), self.config)

    def generate_model_card(self, *_: Any, **more: Any) -> ModelCard:
        """The README of a repository; `more` overrides values of its template."""
        height, width = self.config.input_size
        said = {
            "title": title_of(self.config.architecture, self.config.variant),
            "keypoints": self.config.skeleton.num_keypoints,
            "size": f"{height} x {width}",
            "terms": self.terms,
        }
        return super().generate_model_card(**said | more)

    def _save_pretrained(self, save_directory: Path) -> None:
        self.save(save_directory / constants.SAFETENSORS_SINGLE_FILE)

    @classmethod
    def _load_as_safetensor(cls, model: Any, model_file: str, map_location: str, strict: bool) -> Any:  # noqa: ARG003 - the mixin's
        tensors, _ = weights.load(Path(model_file))
        weights.load_into(model.network, tensors, model_file)
        return model.eval().to(map_location)

    @classmethod
    def _load_as_pickle(cls, model: Any, model_file: str, map_location: str, strict: bool) -> Any:  # noqa: ARG003 - the mixin's
        raise InputError(model_file, "is not safetensors, the only form that is loaded")
