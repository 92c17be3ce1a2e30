"""Initial weights of a run: random ones, or those of a trained network, which may have other keypoints."""

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import nn

from hevitpose.core.architecture import network_spec
from hevitpose.core.errors import InputError
from hevitpose.core.keypoint_names import match_names
from hevitpose.core.skeleton import Skeleton
from hevitpose.inference.network import find_weights
from hevitpose.io import atomic
from hevitpose.models.baselines.efficientvit import EfficientViTPose
from hevitpose.models.hevitpose import HEViTPose
from hevitpose.models.imagenet import init_from_efficientvit
from hevitpose.models.registry import NETWORKS, build_network, title_of
from hevitpose.models.weights import load_into, load_model
from hevitpose.training.fabric import synchronize_batch_norms
from hevitpose.training.recipes import TIMM, Recipe

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeypointMatch:
    """The keypoints of a skeleton (`ours`) among those of trained weights (`theirs`), by name in any spelling."""

    ours: Skeleton
    theirs: Skeleton

    @cached_property
    def rows(self) -> tuple[int | None, ...]:
        """(K,): the index of each of ours among theirs; None if the head is initialized randomly for it."""
        return match_names(self.ours.keypoints, self.theirs.keypoints)

    @property
    def report(self) -> tuple[str, ...]:
        """One line each for the keypoints that are kept, renamed, initialized randomly and unused."""
        kept = [name for name in self.ours.keypoints if name in self.theirs.keypoints]
        pairs = list(zip(self.ours.keypoints, self.rows, strict=True))
        renamed = [
            f"{self.theirs.keypoints[row]} as {name}" for name, row in pairs if row is not None and name not in kept
        ]
        new = [name for name, row in pairs if row is None]
        unused = [name for row, name in enumerate(self.theirs.keypoints) if row not in self.rows]
        groups = (("kept", kept), ("renamed", renamed), ("initialized randomly", new), ("unused", unused))
        return tuple(f"{title}: {', '.join(names)}" for title, names in groups if names)


def init_network(recipe: Recipe, skeleton: Skeleton, fabric: Fabric, folder: Path | None) -> nn.Module:
    """The network with the weights that the recipe names, else with random ones from its seed.

    A report of what was loaded is written into `folder`. Without a folder nothing is loaded: a checkpoint will fill the
    network. Raises InputError.
    """
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.model, skeleton.num_keypoints, recipe.variant)
    report: dict[str, tuple[str, ...]] = {}
    if recipe.weights and folder:
        path = find_weights(recipe.weights, "torch")
        report["keypoints.txt"] = init_from_weights(network, path, skeleton).report
    elif recipe.imagenet and folder:
        report["imagenet.txt"] = init_from_imagenet(network, recipe)
    if folder and fabric.is_global_zero:
        for name, lines in report.items():
            atomic.write(folder / name, "".join(f"{line}\n" for line in lines))
            LOGGER.info("\n".join(lines))
    network = synchronize_batch_norms(network, fabric)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # unknown to torch's types
    return network


def init_from_imagenet(network: nn.Module, recipe: Recipe) -> tuple[str, ...]:
    """Fill the network with the ImageNet weights that the recipe names, and report what was loaded.

    Raises InputError if there are none for it.
    """
    name, given = title_of(recipe.model), recipe.imagenet or TIMM
    path = None if given == TIMM else find_weights(given, "torch")
    if not NETWORKS[recipe.model].pretrained:
        if not isinstance(network, HEViTPose | EfficientViTPose):
            raise InputError(name, "has no ImageNet weights")
        if path is None:
            raise InputError(name, "needs a file of timm's efficientvit_m0 (T), m2 (S) or m4: `imagenet=FILE`")
        return init_from_efficientvit(network, path)
    torch.manual_seed(recipe.seed)  # so that what the weights do not fill is what it was
    theirs = build_network(recipe.model, 1, recipe.variant, path or True).get_submodule("backbone")
    ours = network.get_submodule("backbone")
    pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
    loaded = sum(own.numel() for own, other in pairs if not torch.equal(own, other))
    if not loaded:
        raise InputError(given, f"has no tensor that fits {name}")
    ours.load_state_dict(theirs.state_dict())
    whole = sum(own.numel() for own, _ in pairs)
    return f"loaded: {loaded:,} of {whole:,} parameters of the backbone", "initialized randomly: head"


def init_from_weights(network: nn.Module, path: Path, skeleton: Skeleton) -> KeypointMatch:
    """Fill the network with the weights of a file, the rows of the head's last layer by keypoint name.

    A variant with tensors of the same shapes may use them too, as `t:query_reduction=true` does with T's. Raises
    InputError if the file is unusable or of another network.
    """
    trained, config = load_model(path)
    if learned_shapes(network) != learned_shapes(trained):
        named = network_spec(config.architecture, config.variant)
        raise InputError(path, f"holds {title_of(config.architecture, config.variant)}: use `model={named}`")
    match = KeypointMatch(skeleton, config.skeleton)
    (*_, (last_name, last)), theirs = network.get_submodule("head").named_children(), trained.get_submodule("head")
    own = [k for k, row in enumerate(match.rows) if row is not None]
    rows = [row for row in match.rows if row is not None]
    tensors = trained.state_dict()
    for name, parameter in last.named_parameters():
        filled = parameter.detach().clone()
        filled[own] = theirs.get_parameter(f"{last_name}.{name}").detach()[rows]
        tensors[f"head.{last_name}.{name}"] = filled
    with torch.no_grad():
        load_into(network, tensors, str(path))
    return match


def learned_shapes(network: nn.Module) -> dict[str, torch.Size]:
    """Shapes of all tensors by name, but for the head's last layer, which depends on the keypoints."""
    *_, (last, _) = network.get_submodule("head").named_children()
    return {k: v.shape for k, v in network.state_dict().items() if not k.startswith(f"head.{last}.")}
