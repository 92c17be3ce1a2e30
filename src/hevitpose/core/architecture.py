"""In what a network differs from the one that the paper's name stands for: the knobs of tables 4 and 5, three switches.

As text, on the command line and in files, a variant follows the network's name: `b:groups=2-2-2:shared_weights=false`.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from hevitpose.core.errors import InputError

NetworkName = Literal[
    "t",
    "s",
    "b",
    "shufflenet_v2",
    "mobilenet_v2",
    "resnest50",
    "resnet50",
    "resnext50",
    "hrnet_w32",
    "pvt_s",
    "swin_s",
    "efficientvit_m4",
    "pvtv2_b2",
    "vitpose_b",
]
"""The networks that can be trained, by the names that commands and files know them by (models/networks.py)."""

ALIASES = {
    "hevitpose_t": "t",
    "hevitpose_s": "s",
    "hevitpose_b": "b",
    "hevitpose_t_fast": "t:query_reduction=true",
    "hevitpose_b_fast": "b:query_reduction=true",
    "b-g222": "b:groups=2-2-2",
    "b-g888": "b:groups=8-8-8",
    "b-r421": "b:reductions=4-2-1",
    "b-r421-h124": "b:reductions=4-2-1:heads=1-2-4",
    "b-r1684": "b:reductions=16-8-4",
    "efficientvit_m4-peow3": "efficientvit_m4:embedding=conv7",
    "efficientvit_m4-peow7": "efficientvit_m4:embedding=conv15-deconv4",
    "efficientvit_m4-peow3-twice": "efficientvit_m4:embedding=conv7-conv7",
}
"""Other names of networks: those that are not the paper's (`_fast`), and the rows of tables 4 to 6.

Row a of table 6 is `efficientvit_m4`, row c `b`.
"""

PatchEmbedding = Literal["conv3-conv3", "conv7", "conv15-deconv4", "conv7-conv7"]
"""The rows of table 4: what makes H/4 x W/4 of the image."""
Stages = tuple[int, int, int]
"""One number for each stage."""


@dataclass(frozen=True)
class Variant:
    """Arguments of the network (`HEViTPose` says what they are) that are not its own; None where they are.

    >>> str(Variant(groups=(2, 2, 2), shared_weights=False))
    'groups=2-2-2:shared_weights=false'
    """

    groups: Stages | None = None
    reductions: Stages | None = None
    heads: Stages | None = None
    embedding: PatchEmbedding | None = None
    shared_weights: bool | None = None
    relu_projection: bool | None = None
    query_reduction: bool | None = None

    @property
    def options(self) -> dict[str, object]:
        """The arguments that are given."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def __str__(self) -> str:
        return ":".join(f"{name}={_text(value)}" for name, value in self.options.items())


PLAIN = Variant()
"""The network as its name says."""


def parse_variant(text: str, source: str) -> Variant:
    """The variant that `str` spells so. Raises InputError, about `source`, on another form."""
    return variant_from_settings(parse_settings(text, source), source)


def variant_from_settings(settings: Mapping[str, str], source: str) -> Variant:
    """The variant of these names and values. Raises InputError, about `source`."""
    return Variant(**{name: _value(name, text, source) for name, text in settings.items()})


def parse_network(
    text: str, source: str, other_settings: Collection[str] = ()
) -> tuple[NetworkName, Variant, dict[str, str]]:
    """Name, variant and other settings of a network such as "b-g222" or "t:shared_weights=false:sigma=1".

    `other_settings` names the settings that are allowed beside those of `Variant`; their values come back as text.
    Raises InputError, about `source`, for an unknown network or setting.

    >>> name, variant, others = parse_network("b-g222:sigma=1", "here", ["sigma"])
    >>> name, str(variant), others
    ('b', 'groups=2-2-2', {'sigma': '1'})
    """
    name, *rest = resolve_alias(text).split(":")
    network: NetworkName | None = next((known for known in get_args(NetworkName) if known == name), None)
    if network is None:
        raise InputError(source, f"no network {name!r} (known: {', '.join((*get_args(NetworkName), *ALIASES))})")
    settings = parse_settings(":".join(rest), source)
    known = (*Variant.__dataclass_fields__, *other_settings)
    if unknown := [setting for setting in settings if setting not in known]:
        raise InputError(source, f"no such setting {unknown[0]!r} (known: {', '.join(known)})")
    others = {setting: settings.pop(setting) for setting in other_settings if setting in settings}
    return network, variant_from_settings(settings, source), others


def resolve_alias(text: str) -> str:
    """The same network without a name of `ALIASES`.

    >>> resolve_alias("b-g222:sigma=1")
    'b:groups=2-2-2:sigma=1'
    """
    name, colon, rest = text.partition(":")
    return ALIASES.get(name, name) + colon + rest


def parse_settings(text: str, source: str) -> dict[str, str]:
    """Names and values of "groups=2-2-2:sigma=1"; none of "". Raises InputError on another form."""
    settings: dict[str, str] = {}
    for part in filter(None, text.split(":")):
        name, equals, value = part.partition("=")
        if not equals or name in settings:
            raise InputError(source, f"{part!r} is not of the form name=value, each name once")
        settings[name] = value
    return settings


def network_spec(network: str, variant: Variant) -> str:
    """The name of a network and its variant, as the command line takes it."""
    return ":".join(filter(None, (network, str(variant))))


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    return str(value).lower()


def _value(name: str, text: str, source: str) -> Any:
    if name in ("groups", "reductions", "heads"):
        if not re.fullmatch(r"[1-9]\d*(-[1-9]\d*){2}", text):
            raise InputError(source, f"{name} must be three numbers, as 4-4-4, not {text!r}")
        return tuple(map(int, text.split("-")))
    if name == "embedding":
        if text not in get_args(PatchEmbedding):
            raise InputError(source, f"embedding must be one of {', '.join(get_args(PatchEmbedding))}, not {text!r}")
        return text
    if name not in Variant.__dataclass_fields__:
        raise InputError(source, f"no such setting {name!r} (known: {', '.join(Variant.__dataclass_fields__)})")
    if text not in ("true", "false"):
        raise InputError(source, f"{name} must be true or false, not {text!r}")
    return text == "true"
