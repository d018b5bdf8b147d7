# SPDX-License-Identifier: MIT
"""One distance for all pictures of a setting, kept until its pictures are others."""

import numpy as np
import pytest
from helpers.distorted import photograph
from PIL import Image

from vgic_lib.evaluation import patch_distances, points
from vgic_lib.evaluation.bench import Bench, decode_file
from vgic_lib.evaluation.measure import make_picture, original_path
from vgic_lib.images import to_array
from vgic_lib.metrics.realism import patch_kernel_distance


@pytest.fixture
def pictures(context):
    places = {
        "one": ("astronaut", 64, 128),
        "two": ("chelsea", 70, 130, 90, 120),
        "small": ("coffee", 40, 90),
    }
    made = [make_picture(name, "test", Image.fromarray(photograph(*at))) for name, at in places.items()]
    for picture in made:
        path = original_path(context.folder, picture.name, picture.image_id)
        path.parent.mkdir(parents=True)
        picture.image.save(path)
    return made


def test_a_setting_has_one_distance(context, pictures, monkeypatch):
    folder = context.folder
    assert patch_distances.load(folder).empty
    rows = Bench(context).run(pictures, points.ladder_points(["jpeg"])[1:5:3], "classical codecs")
    found = patch_distances.measure(rows, folder)
    assert found["setting"].tolist() == ["q5", "q35"] and found["images"].tolist() == [2, 2]
    bad = [row for row in rows if row.setting == "q5" and row.image != "small"]  # no patch fits into that one
    originals = [np.asarray(picture.image) for picture in pictures[:2]]
    shown = [to_array(decode_file(row, folder)) for row in bad]
    expected = patch_kernel_distance(originals, shown, patch_distances.TRUNK)
    assert found["patch_distance"][0] == pytest.approx(expected, rel=1e-4)
    assert found["bpp"][0] == pytest.approx(np.mean([row.bpp for row in bad]), rel=1e-4)
    kept = patch_distances.load(folder)
    assert kept.equals(found)
    monkeypatch.setattr(patch_distances, "decode_file", lambda *_: pytest.fail("measured again"))
    assert patch_distances.measure(rows, folder).equals(found)
    with pytest.raises(pytest.fail.Exception, match="measured again"):  # since its pictures are others
        patch_distances.measure([row for row in rows[::-1] if row.setting == "q5"], folder)
    assert patch_distances.measure(rows[:1], folder).empty
