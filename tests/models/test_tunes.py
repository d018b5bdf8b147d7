# SPDX-License-Identifier: MIT
"""The names of the tunes: known without a search, and each with a model that is shipped."""

import subprocess
import sys

import pytest

from vgic_lib import paths
from vgic_lib.errors import ParameterError
from vgic_lib.models import store
from vgic_lib.models.tunes import DEFAULT_TUNE, TUNED_MODELS, check_tune, default_model


def test_each_tune_has_a_model_that_is_shipped():
    assert DEFAULT_TUNE in TUNED_MODELS
    for tune, name in TUNED_MODELS.items():
        assert default_model(tune) == name and (paths.WEIGHTS / f"{name}{store.SUFFIX}").is_file()


@pytest.mark.parametrize("ask", [check_tune, default_model])
def test_unknown_ones_are_refused(ask):
    with pytest.raises(ParameterError, match="unknown tune 'ear'; choose from psnr, eye"):
        ask("ear")
    with pytest.raises(ParameterError, match="choose from wide"):
        check_tune("psnr", ["wide"])


def test_the_names_need_no_networks():
    program = "import sys, vgic_lib.models.tunes; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
