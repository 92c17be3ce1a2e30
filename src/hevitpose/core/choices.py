"""What users choose by name, for functions of several packages and for the command line."""

from typing import Literal

PersonChoice = Literal["largest", "center"]
"""The one person that is kept: the one with the largest box, or the one nearest to the centre of the image."""
Smoothing = Literal["none", "online", "offline"]
"""How the keypoints of a clip are smoothed: by the frames before, or by the whole clip."""
ColorBy = Literal["person", "side"]
"""What the colours of a drawn clip tell apart."""
