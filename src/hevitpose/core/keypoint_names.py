"""What the names of keypoints say: left and right, and when two spellings mean the same keypoint."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}


_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^A-Za-z]+")
"""left_knee, LKnee and kneeL are several words, leftear is one."""


def mirror_from_names(keypoints: Sequence[str]) -> tuple[int, ...]:
    """Mirror partners from names: left_knee and right_knee, LKnee and RKnee, leftear and rightear.

    A keypoint whose name has no side, or whose partner is absent, is its own.

    >>> mirror_from_names(["nose", "left_eye", "right_eye"])
    (0, 2, 1)
    """
    position = {name.lower(): k for k, name in enumerate(keypoints)}
    return tuple(position.get(_mirrored(name)[0], k) for k, name in enumerate(keypoints))


def side_of(name: str) -> Literal["left", "right"] | None:
    """The side that a keypoint's name says.

    >>> side_of("LKnee"), side_of("nose")
    ('left', None)
    """
    return _mirrored(name)[1]


@lru_cache(maxsize=1024)
def _mirrored(name: str) -> tuple[str, Literal["left", "right"] | None]:
    """The lower-case name with its side exchanged, and that side: a whole word, else either end of a word."""
    words = [word.lower() for word in _WORDS.findall(name)]
    for i, word in enumerate(words):
        if word in SIDES:
            words[i] = SIDES[word]
            return "".join(words), "left" if word in ("l", "left") else "right"
    for i, word in enumerate(words):
        for side in ("left", "right"):
            if word.startswith(side) or word.endswith(side):
                other = SIDES[side]
                words[i] = other + word[len(side) :] if word.startswith(side) else word[: -len(side)] + other
                return "".join(words), "left" if side == "left" else "right"
    return "".join(words), None


def normalize_name(name: str) -> str:
    """The name in lower-case words with its side first, the same for every way of writing it.

    >>> normalize_name("LKnee"), normalize_name("left_knee"), normalize_name("knee-l"), normalize_name("tail_2")
    ('left knee', 'left knee', 'left knee', 'tail 2')
    """
    words = " ".join(re.sub(r"[\W_]+", " ", word) for word in _WORDS.findall(name)).lower().split()
    side = side_of(name)
    if side is None:
        return " ".join(words)
    rest = [word if word not in SIDES else "" for word in words]
    joined = " ".join(word for word in rest if word)
    return f"{side} {joined.removeprefix(side).removesuffix(side).strip()}"


def match_names(names: Sequence[str], among: Sequence[str]) -> tuple[int | None, ...]:
    """The index among other keypoints of each of these, None where it is none of them, however they are spelled.

    >>> match_names(["LKnee", "nose"], ["l_hip", "l_knee"])
    (1, None)
    """
    index = {normalize_name(name): k for k, name in enumerate(among)} | {name: k for k, name in enumerate(among)}
    return tuple(index.get(name, index.get(normalize_name(name))) for name in names)
