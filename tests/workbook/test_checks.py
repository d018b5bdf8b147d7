# SPDX-License-Identifier: MIT
"""Values that notebooks refuse before any of them starts."""

import shutil
import subprocess
import sys

import pytest
from helpers import PROJECT
from helpers.workbook import HEAD, write_notebook, write_profile

from vgic_lib import paths
from vgic_lib.errors import ParameterError
from vgic_lib.workbook import checks, pipeline, profiles

REFUSING = """
from vgic_lib.errors import ParameterError
if steps > 5:
    raise ParameterError(f"{steps} steps are too many; at most 5")
"""


def test_no_notebook_starts_if_a_later_one_refuses_a_value(home, counting):
    write_notebook(home, "02_picky", HEAD, checks=REFUSING)
    write_profile(home, "01_count", "02_picky")
    with pytest.raises(ParameterError, match="^02_picky: 6 steps are too many; at most 5$"):
        pipeline.run("tiny", {"steps": 6})
    assert not (home / "outputs").exists()
    pipeline.run("tiny", {"steps": 6}, only=["01"])  # the other one is not asked
    assert counting.read_text() == "6\n"


def test_checks_run_where_the_notebook_does_and_again_in_it(home):
    here = "from pathlib import Path\nfolder = Path.cwd()"
    kept = HEAD + 'files.write_text(paths.data_dir(run) / "folder.txt", f"{folder} {steps}")'
    write_notebook(home, "01_here", kept, checks=here)
    write_profile(home, "01_here")
    pipeline.run("tiny")
    assert (home / "outputs/runs/tiny/data/folder.txt").read_text() == f"{home / 'notebooks'} 3"


def test_broken_checks_are_one_line(home):
    write_notebook(home, "01_broken", "", checks="steps.missing")
    write_profile(home, "01_broken")
    with pytest.raises(
        ParameterError, match="01_broken: its cell of checks failed: AttributeError"
    ) as caught:
        pipeline.run("tiny")
    assert "\n" not in str(caught.value)


@pytest.fixture
def workbook(home):
    """The notebooks of the project in a folder without data."""
    shutil.copytree(paths.PROJECT / "notebooks", home / "notebooks")
    return home


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("dataset", "imagenet", "01_data_preparation: unknown data set 'imagenet'; choose one of embedded"),
        ("folder", "photos", "01_data_preparation: a folder is given, but the data set is 'embedded'"),
        ("minimum_side", "0", "01_data_preparation: minimum_side must be at least 1"),
        ("limit", "-1", "'limit' of 01_data_preparation must be 0 or more, not -1"),
        ("model", "x", "02_training: unknown model 'x'; choose from vaegan, hyperprior"),
        ("num_channels", "2,x", "02_training: setting 'num_channels'"),
        ("batch", "0", "02_training: training: batch"),
        ("methods", "gumble", "03_latent_search: unknown method 'gumble'; choose from"),
        ("methods", "from-noise", "03_latent_search: hyperprior needs its encoder"),
        ("methods", " , ", "03_latent_search: nothing to search"),
        ("qualities", "20,101", "03_latent_search: quality 101 is not in 1..100"),
        ("qualities", "20;30", "03_latent_search: '20;30' is no list of numbers"),
        ("old_model", "vaegan-3", "03_latent_search: vaegan has no variant with 3 channels"),
        ("bits", "5", "03_latent_search: vaegan-8 has no setting with 5 bits; choose from 4, 6, 8"),
        ("doubling_gain_db", "nan", "'doubling_gain_db' of 03_latent_search must be 0 or more, not nan"),
        ("models", "hyperpriors", "04_compression: unknown model 'hyperpriors'; known models: hyperprior"),
        ("models", "", "04_compression: no model is named"),
        ("models", "no.safetensors", "04_compression: no weights at no.safetensors"),
        ("search_qualities", "0.5", "04_compression: quality 0.5 is not in 1..100"),
        ("search_bits", "9", "04_compression: vaegan-8 has no setting with 9 bits"),
        ("ratios", "6,0", "04_compression: 0 is no compression ratio"),
        ("splits", "tset", "04_compression: unknown split 'tset'; choose from train, validation, test"),
        ("classical", "jpg", "04_compression: unknown classical codec 'jpg'; choose from jpeg"),
        (
            "realism",
            "1",
            "04_compression: realism needs a model with a generative head, and hyperprior, vaegan-8",
        ),
        ("realism", "2", "04_compression: realism 2 is not in 0..1"),
        ("crop_bpp", "0", "04_compression: 0 is no rate of the figure of crops"),
        ("equal_bytes", "gif", "04_compression: unknown classical codec 'gif'"),
    ],
)
def test_the_workbook_refuses(workbook, name, value, message):
    with pytest.raises(ParameterError) as caught:
        pipeline.run("smoke", {name: value})
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not (workbook / "outputs").exists()


def test_the_workbook_takes_what_is_spaced_and_what_it_will_train(workbook):
    later = "../outputs/runs/mine/training/mine/mine.safetensors"
    overrides = {"classical": " jpeg , webp", "models": f"hyperprior, {later}"}
    checks.check(profiles.make_plan(profiles.load_profile("smoke"), overrides, "mine"))


@pytest.mark.parametrize("profile", profiles.list_profiles())
def test_profiles_pass(profile):
    checks.check(profiles.make_plan(profiles.load_profile(profile), {}, profile))


def test_plan_is_made_without_torch():
    program = (
        "import sys; from vgic_lib.workbook import pipeline, profiles;"
        "profiles.make_plan(profiles.load_profile('smoke'), {}, 'x'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=False).returncode == 0
