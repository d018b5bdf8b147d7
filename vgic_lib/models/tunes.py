# SPDX-License-Identifier: MIT
"""What pictures are compressed for, the model that is used for each tune, and how real they shall look.

Nothing here is slow to import. What a search for a tune improves is in `search.objectives.TUNES`.
"""

from collections.abc import Collection

from vgic_lib.errors import ParameterError

DEFAULT_TUNE = "psnr"
TUNED_MODELS: dict[str, str] = {  # tune -> name of the model, where the user names none
    DEFAULT_TUNE: "hyperprior",
    "eye": "hyperprior-eye",
}
DEFAULT_MODEL = TUNED_MODELS[DEFAULT_TUNE]
USUAL_REALISM = 0.7  # of those who ask for realism and not for how much: most gain for little loss


def default_model(tune: str = DEFAULT_TUNE) -> str:
    """Name of the model for a tune. Raises ParameterError if there is no such tune."""
    check_tune(tune)
    return TUNED_MODELS[tune]


def check_tune(tune: str, known: Collection[str] = TUNED_MODELS) -> None:
    """Refuse a tune that is not among those `known`. Raises ParameterError."""
    if tune not in known:
        raise ParameterError(f"unknown tune {tune!r}; choose from {', '.join(known)}")


def check_realism(realism: float) -> None:
    """Refuse a share of the generative head that is none. Raises ParameterError."""
    if not 0 <= realism <= 1:
        raise ParameterError(f"realism {realism:g} is not in 0..1; choose a number in that range")
