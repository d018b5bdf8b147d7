# SPDX-License-Identifier: MIT
"""What pictures are compressed for: the names of the tunes, and the model that is used for each.

Nothing here is slow to import. What a search for a tune improves is in `search.objectives.TUNES`.
"""

from collections.abc import Collection

from vgic_lib.errors import ParameterError

DEFAULT_TUNE = "psnr"
TUNED_MODELS: dict[str, str] = {  # tune -> name of the model, where the user names none
    DEFAULT_TUNE: "hyperprior",
    "eye": "hyperprior",
}
DEFAULT_MODEL = TUNED_MODELS[DEFAULT_TUNE]


def default_model(tune: str = DEFAULT_TUNE) -> str:
    """Name of the model for a tune. Raises ParameterError if there is no such tune."""
    check_tune(tune)
    return TUNED_MODELS[tune]


def check_tune(tune: str, known: Collection[str] = TUNED_MODELS) -> None:
    """Refuse a tune that is not among those `known`. Raises ParameterError."""
    if tune not in known:
        raise ParameterError(f"unknown tune {tune!r}; choose from {', '.join(known)}")
