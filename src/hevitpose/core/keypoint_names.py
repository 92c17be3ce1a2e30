"""What the names of keypoints say: left and right, and when two spellings mean the same keypoint."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from hevitpose.core.errors import InputError

Side = Literal["left", "right"]
OTHER = {"left": "right", "right": "left", "l": "r", "r": "l"}

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^A-Za-z]+")
"""left_knee, LKnee and kneeL are several words, leftear is one."""


class _Mirrored(NamedTuple):
    """A name with its sides exchanged, the first of them, and whether the name alone says so."""

    name: str
    side: Side
    certain: bool


def mirror_from_names(keypoints: Sequence[str]) -> tuple[int, ...]:
    """Mirror partners from names: left_knee and right_knee, LKnee and RKnee, leftear and rightear, LF and RF.

    A name of two sides changes both: left_eye_left_corner and right_eye_right_corner. A keypoint without a side, or
    without a partner, is its own.

    >>> mirror_from_names(["nose", "left_eye", "right_eye"])
    (0, 2, 1)
    >>> mirror_from_names(["tail", "Lhindpaw", "Rhindpaw", "hipr", "hipl"])
    (0, 2, 1, 4, 3)
    """
    lower = Counter(name.lower() for name in keypoints)
    position = {name.lower(): k for k, name in enumerate(keypoints) if lower[name.lower()] == 1}
    position |= {name: k for k, name in enumerate(keypoints)}

    def partner(k: int) -> int:
        for mirrored in _mirrored(keypoints[k]):
            found = position.get(mirrored.name, position.get(mirrored.name.lower()))
            if found is not None:
                return found
        return k

    partners = [partner(k) for k in range(len(keypoints))]
    return tuple(p if partners[p] == k else k for k, p in enumerate(partners))


def side_of(name: str, partner: str | None = None) -> Side | None:
    """The side that a keypoint's name says, alone or beside the name of its mirror partner.

    >>> side_of("LKnee"), side_of("nose"), side_of("LF"), side_of("LF", "RF")
    ('left', None, None, 'left')
    """
    for mirrored in _mirrored(name):
        if mirrored.certain if partner is None else mirrored.name.lower() == partner.lower():
            return mirrored.side
    return None


@lru_cache(maxsize=1024)
def _mirrored(name: str) -> tuple[_Mirrored, ...]:
    """The names that a partner may have, the most likely first."""
    return tuple(_candidates(_WORDS.findall(name)))


def _candidates(words: list[str]) -> Iterator[_Mirrored]:
    whole = {i: OTHER[word.lower()] for i, word in enumerate(words) if word.lower() in OTHER}
    spelled_out = {i: other for i, other in whole.items() if len(words[i]) > 1}
    attached: dict[int, str] = {}
    for i, word in enumerate(words):
        for side in ("left", "right"):
            if i not in whole and word.lower().startswith(side):
                attached[i] = OTHER[side] + word[len(side) :]
            elif i not in whole and word.lower().endswith(side):
                attached[i] = word[: -len(side)] + OTHER[side]
    # left_eye_l1 may be a left eye's lower point, and bright_spot is on no side.
    choices = [whole, spelled_out, whole | attached, attached]
    for choice in filter(None, choices):
        yield _exchange(words, choice, certain=True)
    for i, word in enumerate(words):  # LF, Lhindpaw, hipl: a side only where there is such a partner
        first, last = OTHER.get(word[0].lower()), OTHER.get(word[-1].lower())
        if first and i not in whole:
            yield _exchange(words, {i: first + word[1:]}, certain=False)
        if last and i not in whole:
            yield _exchange(words, {i: word[:-1] + last}, certain=False)


def _exchange(words: list[str], choice: dict[int, str], certain: bool) -> _Mirrored:
    first = min(choice)
    new = [_like(word, choice[i]) if i in choice else word for i, word in enumerate(words)]
    differs = next(a for a, b in zip(choice[first].lower(), words[first].lower(), strict=False) if a != b)
    return _Mirrored("".join(new), "right" if differs == "l" else "left", certain)


def _like(word: str, other: str) -> str:
    """`other` in the letter case of `word`: Left and right, LEFT and right, L and r."""
    if word.isupper():
        return other.upper()
    return other[0].upper() + other[1:] if word[0].isupper() else other


@lru_cache(maxsize=1024)
def normalize_name(name: str) -> str:
    """The name in lower-case words with its side first, the same for every way of writing it.

    >>> normalize_name("LKnee"), normalize_name("left_knee"), normalize_name("knee-l"), normalize_name("tail_2")
    ('left knee', 'left knee', 'left knee', 'tail 2')
    """
    words = " ".join(re.sub(r"[\W_]+", " ", word) for word in _WORDS.findall(name)).lower().split()
    side = side_of(name)
    if side is None:
        return " ".join(words)
    own = next((i for i, word in enumerate(words) if word in OTHER), None)
    if own is not None:
        return " ".join([side, *words[:own], *words[own + 1 :]])
    return f"{side} {' '.join(words).removeprefix(side).removesuffix(side).strip()}"


def index_of_names(names: Sequence[str]) -> dict[str, int]:
    """The index of each name, normalized.

    >>> index_of_names(["LKnee", "nose"])
    {'left knee': 0, 'nose': 1}
    """
    return {normalize_name(name): k for k, name in enumerate(names)}


def match_names(names: Sequence[str], among: Sequence[str]) -> tuple[int | None, ...]:
    """The index of each of these names among other keypoints, in any spelling; None where it is missing.

    >>> match_names(["LKnee", "nose"], ["l_hip", "l_knee"])
    (1, None)
    """
    spellings = Counter(normalize_name(name) for name in among)
    index = {text: k for k, name in enumerate(among) if spellings[text := normalize_name(name)] == 1}
    index |= {name: k for k, name in enumerate(among)}
    return tuple(index.get(name, index.get(normalize_name(name))) for name in names)


def require_names(names: Sequence[str], among: Sequence[str], whose: str, source: str) -> list[int]:
    """The index of each of these names, keypoints of `whose`, among those of `source`, in any spelling.

    Raises InputError where `source` does not have all.

    >>> require_names(["LKnee", "tail"], ["l_hip", "l_knee"], "cats", "mine")
    Traceback (most recent call last):
    hevitpose.core.errors.InputError: mine: lacks tail, keypoints of cats
    """
    found = match_names(names, among)
    if missing := [name for name, index in zip(names, found, strict=True) if index is None]:
        raise InputError(source, f"lacks {', '.join(missing)}, keypoints of {whose}")
    return [index for index in found if index is not None]
