# SPDX-License-Identifier: MIT
"""Rows, the measuring path, tables by channel count and BD-rates."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.fakes import FakeModel, install
from helpers.tiny_hyperprior import tiny_model
from PIL import Image
from skimage import data as photographs

from vgic_lib import codec
from vgic_lib.errors import DataError, ParameterError
from vgic_lib.evaluation import bench as bench_module
from vgic_lib.evaluation import measure, rate_distortion, results
from vgic_lib.evaluation.points import ladder_points, latent_points, numbers, operating_points, ratio_points
from vgic_lib.images import to_array
from vgic_lib.metrics import distortion
from vgic_lib.reporting import reconstructions, results_table, typeset


@pytest.fixture
def context(tmp_path: Path) -> measure.Context:
    return measure.Context("test", tmp_path, 3, "abc1234", "cpu")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    fake = FakeModel("fake-3")
    install(monkeypatch, fake)
    return fake


@pytest.fixture(scope="module")
def picture() -> measure.Picture:
    return measure.make_picture("astronaut", "test", Image.fromarray(photographs.astronaut()[:130, 180:330]))


@pytest.fixture
def make_row(context: measure.Context) -> Callable[..., results.Row]:
    def make(**values: object) -> results.Row:
        defaults = {field.name: field.type() for field in dataclasses.fields(results.Row)}
        return results.Row(**(defaults | {"image": "a", "codec": "jpeg"} | values))

    return make


def points_of(model: FakeModel, bits: list[int]) -> list[measure.Point]:
    return latent_points(model, operating_points(model, [50], bits), [], 0)


# measuring


def test_a_row_says_what_is_in_the_file(
    model: FakeModel, picture: measure.Picture, context: measure.Context
) -> None:
    point = points_of(model, [6])[0]
    row = measure.measure(picture, point, context)
    data = (context.folder / row.file).read_bytes()
    assert (row.width, row.height, row.bytes, row.bits, row.num_channels) == (150, 130, len(data), 6, 3)
    assert row.bpp == pytest.approx(8 * len(data) / (150 * 130))
    assert row.compression_ratio == pytest.approx(3 * 150 * 130 / len(data))
    assert row.nominal_cr == pytest.approx(3 * 150 * 130 / (3 * 38 * 33))
    assert 0 < row.bits_estimated < math.inf
    decoded = to_array(point.decode(data))
    assert row.psnr_db == distortion.psnr_db(to_array(picture.image), decoded)
    assert row.encode_s > 0 and row.decode_s > 0
    assert (row.run, row.seed, row.commit, row.device) == ("test", 3, "abc1234", "cpu")


def test_classical_rows_take_the_same_path(picture: measure.Picture, context: measure.Context) -> None:
    points = ladder_points(["jpeg", "webp"])
    rows = [measure.measure(picture, point, context) for point in points[::7]]
    assert {row.codec for row in rows} == {"jpeg", "webp"}
    for row in rows:
        with Image.open(context.folder / row.file) as decoded:
            assert row.psnr_db == distortion.psnr_db(to_array(picture.image), to_array(decoded))
        assert math.isnan(row.nominal_cr) and math.isnan(row.bits_estimated)


# rows on disk


def test_rows_survive_the_file_exactly(make_row: Callable[..., results.Row], tmp_path: Path) -> None:
    rows = [make_row(psnr_db=1 / 3, bytes=7, image='a, "b"'), make_row(codec="webp", nominal_cr=math.inf)]
    results.write_rows(tmp_path / "rows.csv", rows)
    assert results.read_rows(tmp_path / "rows.csv") == rows
    assert results.read_rows(tmp_path / "none.csv") == []


def test_appending_replaces_rows_of_the_same_key(
    make_row: Callable[..., results.Row], tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    results.append_rows(path, [make_row(setting="q5", bytes=1), make_row(setting="q6", bytes=2)])
    results.append_rows(path, [make_row(setting="q6", bytes=3), make_row(setting="q7", bytes=4)])
    assert [(row.setting, row.bytes) for row in results.read_rows(path)] == [("q5", 1), ("q6", 3), ("q7", 4)]


@pytest.mark.parametrize("damage", [lambda text: text[:-40], lambda text: text.replace("psnr_db", "psnr")])
def test_damaged_rows_are_refused(
    damage: Callable[[str], str], make_row: Callable[..., results.Row], tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    results.write_rows(path, [make_row()])
    path.write_text(damage(path.read_text()))
    with pytest.raises(DataError, match="notebook 04"):
        results.read_rows(path)


def test_mean_and_spread_are_over_pictures(make_row: Callable[..., results.Row]) -> None:
    rows = [make_row(image=name, setting="q5", psnr_db=psnr) for name, psnr in (("a", 20.0), ("b", 30.0))]
    matched = [
        make_row(image=name, setting=setting, matched_to="vaegan-2/b4-s0", psnr_db=25.0)
        for name, setting in (("a", "q8"), ("b", "q9"))
    ]
    means = results.aggregate(results.to_frame(rows + matched))
    assert len(means) == 2
    assert means["psnr_db"].tolist() == [25, 25] and means["psnr_db_std"].tolist() == [5, 0]
    assert means["images"].tolist() == [2, 2]
    alone = results.aggregate(results.to_frame(rows[:1]))
    assert alone["psnr_db"].tolist() == [20] and alone["psnr_db_std"].isna().all()


# the bench


def test_finished_work_is_not_done_again(
    model: FakeModel, picture: measure.Picture, context: measure.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = points_of(model, [4, 8])

    def measure_all(overwrite: bool = False) -> list[results.Row]:
        bench = bench_module.Bench(context, overwrite)
        ours = bench.run([picture], points, "ours")
        return ours + bench.match([picture], ["jpeg"], ours, "equal bytes")

    first = measure_all()
    calls = []
    monkeypatch.setattr(bench_module, "measure", lambda *a: calls.append(a) or measure.measure(*a))
    times = [(row.key, row.encode_s) for row in first]
    assert [(row.key, row.encode_s) for row in measure_all()] == times and not calls
    (context.folder / first[0].file).unlink()
    assert [row.key for row in measure_all()] == [row.key for row in first] and len(calls) == 1
    measure_all(overwrite=True)
    assert len(calls) == 1 + len(first)


def test_an_interrupted_bench_keeps_what_it_measured(
    model: FakeModel, picture: measure.Picture, context: measure.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = points_of(model, [4, 6, 8])
    stopped = dataclasses.replace(points[2], encode=lambda image: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        bench_module.Bench(context).run([picture], [*points[:2], stopped], "ours")
    assert [row.bits for row in results.read_rows(context.folder / "measured.csv")] == [4, 6]


def test_matched_files_are_as_long_as_their_targets(
    model: FakeModel, picture: measure.Picture, context: measure.Context
) -> None:
    bench = bench_module.Bench(context)
    targets = bench.run([picture], points_of(model, [6, 8]), "ours")
    matched = bench.match([picture], ["jpeg", "jp2"], targets, "equal bytes")
    assert {(row.codec, row.matched_to) for row in matched} == {
        (codec, f"fake-3/b{bits}-s0") for codec in ("jpeg", "jp2") for bits in (6, 8)
    }
    lengths = {f"{row.codec}/{row.setting}": row.bytes for row in targets}
    for row in matched:
        assert abs(row.bytes / lengths[row.matched_to] - 1) < 0.1
        assert row.model_id == model.model_id.hex()


def test_reconstructions_are_kept_as_decoded(
    model: FakeModel, picture: measure.Picture, context: measure.Context
) -> None:
    points = [points_of(model, [6])[0], ladder_points(["webp"])[5]]
    rows = bench_module.Bench(context).run([picture], points, "both")
    bench_module.keep_reconstructions(rows, context.folder)
    for row in rows:
        with Image.open(measure.reconstruction_path(row.file, context.folder)) as kept:
            assert distortion.psnr_db(to_array(picture.image), to_array(kept)) == row.psnr_db


def test_wrong_parameters_are_one_liners(model: FakeModel) -> None:
    with pytest.raises(ParameterError, match="5 bits; choose from 4, 6, 8"):
        operating_points(model, [], [5])
    with pytest.raises(ParameterError, match="like 15,43,71"):
        numbers("15;43")
    with pytest.raises(ParameterError, match="unknown split"):
        bench_module.select([], ["tset"])
    with pytest.raises(ParameterError, match="no photograph"):
        bench_module.select([], ["test"])


def test_no_search_points_without_steps(model: FakeModel) -> None:
    at, searched = (operating_points(model, [50], bits) for bits in ([4, 6], [6]))
    labels = [point.setting for point in latent_points(model, at, searched, 20)]
    assert labels == ["b4-s0", "b6-s0", "b6-s20"]
    assert len(latent_points(model, at, searched, 0)) == 2


def test_rows_of_the_codec_name_quality_code_and_steps(
    monkeypatch: pytest.MonkeyPatch, picture: measure.Picture, context: measure.Context
) -> None:
    model = tiny_model()
    install(monkeypatch, model)
    at = operating_points(model, numbers("1, 50.5,100"), [6])
    points = latent_points(model, at, at[1:2], 1)
    assert [point.setting for point in points] == ["q0-s0", "q448-s0", "q896-s0", "q448-s1"]
    rows = [measure.measure(picture, point, context) for point in points]
    assert [row.quality for row in rows] == [1, 50.5, 100, 50.5]
    for row in rows:
        assert (row.num_channels, row.bits, row.codec) == (0, 0, model.name)
        data = (context.folder / row.file).read_bytes()
        assert row.psnr_db == distortion.psnr_db(to_array(picture.image), to_array(codec.decompress(data)))
        assert 0.9 < 8 * row.bytes / (row.bits_estimated + 8 * 24) < 1.1


def test_the_codec_meets_real_compression_ratios(
    monkeypatch: pytest.MonkeyPatch, picture: measure.Picture, context: measure.Context, model: FakeModel
) -> None:
    assert ratio_points(model, [6.12], 0) == []  # bit depths are too far apart
    tiny = tiny_model()
    install(monkeypatch, tiny)
    pixel_bytes = 3 * picture.image.width * picture.image.height
    middle = measure.measure(picture, latent_points(
        tiny, operating_points(tiny, [50], []), [], 0)[0], context)  # fmt: skip
    points = ratio_points(tiny, [middle.compression_ratio * 0.99, 1.01, 1e4], 0)
    met, largest = (measure.measure(picture, point, context) for point in points[:2])
    assert met.setting.startswith("r") and np.isnan(met.quality)
    assert 0.97 * middle.bytes <= met.bytes <= pixel_bytes / (middle.compression_ratio * 0.99)
    assert largest.bytes == len(codec.compress(picture.image, model=tiny, quality=100)) < pixel_bytes / 1.01
    with pytest.raises(ParameterError, match="no file of at most"):
        measure.measure(picture, points[2], context)


def test_settings_that_ask_for_a_ratio_are_told_apart() -> None:
    settings = pd.Series([results.ratio_setting(12.24, 100), "q448-s100", "b6-s0", "q35", "r1.74-s0"])
    assert results.asked_ratio(settings).fillna(0).tolist() == [12.24, 0, 0, 0, 1.74]


# tables


@pytest.fixture
def rows(make_row: Callable[..., results.Row]) -> pd.DataFrame:
    """Two pictures, n = 2 and 8 at 6 bits with and without search, JPEG as a ladder and at equal bytes."""
    made = []
    for image, shift in (("a", 0.0), ("b", 4.0)):
        for quality, (bpp, psnr) in enumerate(((0.2, 20), (0.4, 24), (0.8, 28), (1.6, 32))):
            made.append(
                make_row(image=image, setting=f"q{quality}", bpp=bpp, psnr_db=psnr + shift, bytes=100)
            )
        for n, bpp in ((2, 0.3), (8, 1.0)):
            for steps in (0, 20):
                psnr = 24 + 4 * np.log2(bpp / 0.4) + shift + steps / 10
                ours = {"num_channels": n, "bits": 6, "search_steps": steps, "bytes": 100, "bpp": bpp}
                label = {"codec": f"vaegan-{n}", "setting": f"b6-s{steps}"}
                made.append(make_row(image=image, psnr_db=psnr, **ours, **label))
                target = f"vaegan-{n}/b6-s{steps}"
                length = {(2, 0): 100, (2, 20): 120, (8, 0): 80, (8, 20): 97}[n, steps]
                made.append(
                    make_row(image=image, setting="q7", matched_to=target, bytes=length, psnr_db=22.5)
                )
    return results.to_frame(made)


def test_results_table_by_channel_count(rows: pd.DataFrame) -> None:
    table = results_table.results_table(rows)
    assert table["channels"].tolist() == ["8"] * 4 + ["2"] * 4
    assert table["method"].tolist()[:4] == [
        "2020, as published", "2020, on RGB", "VAE-GAN, 6 bits", "VAE-GAN, 6 bits, 20 search steps",
    ]  # fmt: skip
    assert table["psnr_db"].tolist()[:2] == [24.06, 22.81] and table["nominal_cr"].tolist()[:2] == [
        6.12,
        6.12,
    ]
    assert table["psnr_db"][3] - table["psnr_db"][2] == pytest.approx(2)
    assert table["psnr_db_std"][2] == pytest.approx(2)
    assert table["psnr_db_jpeg"].tolist()[2:4] == [22.5, 22.5]
    assert table["note_jpeg"].tolist()[2] == "*" and table["note_jpeg"].tolist()[6] == ""


def test_table_files(rows: pd.DataFrame, tmp_path: Path) -> None:
    table = results_table.results_table(rows)
    written = typeset.write_table(
        table,
        tmp_path / "t",
        results_table.results_columns(table),
        "50% & more",
        "Notes_1.",
        group="channels",
    )
    lines = (tmp_path / "t.md").read_text().splitlines()
    assert written._repr_markdown_() == (tmp_path / "t.md").read_text()
    assert lines[0] == "50% & more"
    assert lines[2].startswith("| Channels | Method | Nominal CR |") and lines[2].endswith("| JPEG (dB) |")
    assert lines[4] == "| 8 | 2020, as published | 6.12 |  |  | 24.06 | 0.810 |  |"
    assert lines[6].startswith("|  | VAE-GAN, 6 bits |") and lines[6].endswith("| 22.50* |")
    assert lines[7].endswith("| 22.50 |") and lines[11].endswith("| 22.50† |")
    latex = (tmp_path / "t.tex").read_text()
    assert (
        r"\caption{50\% \& more}" in latex
        and r"Notes\_1." in latex
        and r"$\pm$" in latex
        and r"$\dagger$" in latex
    )
    columns = latex.split(r"\begin{tabular}{")[1].split("}")[0]
    body = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in body} == {len(columns) - 1} and latex.count(r"\addlinespace") == 1
    assert pd.read_csv(tmp_path / "t.csv")["psnr_db"].tolist() == pytest.approx(
        table["psnr_db"].tolist(), rel=1e-5
    )


@pytest.fixture
def codec_rows(rows: pd.DataFrame, make_row: Callable[..., results.Row]) -> pd.DataFrame:
    """The same, and the codec at five qualities, with search at four of them."""
    made = []
    for image in "ab":
        for quality in (1, 25, 50, 75, 100):
            for steps in (0, 300) if quality > 1 else (0,):
                values = {"quality": float(quality), "search_steps": steps, "bytes": 10 * quality}
                label = {"codec": "hyperprior", "setting": f"q{quality}-s{steps}"}
                made.append(
                    make_row(
                        image=image,
                        bpp=quality / 50 - steps / 1e4,
                        psnr_db=25 + quality / 8,
                        **values,
                        **label,
                    )
                )
                target = f"hyperprior/q{quality}-s{steps}"
                made.append(make_row(image=image, setting="q7", matched_to=target, bytes=10 * quality))
    return pd.concat([rows, results.to_frame(made)], ignore_index=True)


def test_results_of_the_codec_come_first_by_quality(codec_rows: pd.DataFrame) -> None:
    table = results_table.results_table(codec_rows)
    assert table["channels"].tolist() == [""] * 9 + ["8"] * 4 + ["2"] * 4
    assert table["method"].tolist()[:3] == [
        "VGIC, quality 1", "VGIC, quality 25", "VGIC, quality 25, 300 search steps",
    ]  # fmt: skip
    assert {"channels", "nominal_cr"} <= {column.name for column in results_table.results_columns(table)}
    assert "2020" in results_table.results_notes(table)


def test_results_of_the_codec_alone_need_no_column_of_channels(codec_rows: pd.DataFrame) -> None:
    of_codec = codec_rows["codec"].eq("hyperprior") | codec_rows["matched_to"].str.startswith("hyperprior")
    table = results_table.results_table(codec_rows[of_codec])
    names = [column.name for column in results_table.results_columns(table)]
    assert names[0] == "method" and {"encode_s", "decode_s", "psnr_db_jpeg"} <= set(names)
    assert not {"channels", "nominal_cr"} & set(names) and "2020" not in results_table.results_notes(table)


def test_files_of_a_real_ratio_stand_beside_2020_and_on_no_curve(
    codec_rows: pd.DataFrame, make_row: Callable[..., results.Row]
) -> None:
    label = {"codec": "hyperprior", "setting": "r24.49-s100", "search_steps": 100, "quality": float("nan")}
    made = [make_row(image=image, psnr_db=30.0, bytes=90, **label) for image in "ab"]
    beside = {"setting": "q7", "matched_to": "hyperprior/r24.49-s100", "bytes": 90, "psnr_db": 28.0}
    made += [make_row(image=image, **beside) for image in "ab"]
    rows = pd.concat([codec_rows, results.to_frame(made)], ignore_index=True)
    table = results_table.results_table(rows)
    line = table[table["method"] == "VGIC at that real CR, 100 search steps"].iloc[0]
    assert line["channels"] == "2" and (line["psnr_db"], line["psnr_db_jpeg"]) == (30, 28)
    assert results_table.results_table(codec_rows)["method"].tolist() == [
        method for method in table["method"] if "real CR" not in method
    ]
    assert len(rate_distortion.curves(rows)) == len(rate_distortion.curves(codec_rows))
    shown, of_codec = (reconstructions.showcase(kept, "a")["setting"].tolist() for kept in (rows, codec_rows))
    assert shown == of_codec


def test_showcase_of_the_codec_takes_the_lower_searched_qualities(codec_rows: pd.DataFrame) -> None:
    shown = reconstructions.showcase(codec_rows, "a")
    assert shown["quality"].tolist()[:3] == [25, 50, 75] and set(shown["search_steps"][:3]) == {300}
    assert shown["matched_to"].tolist()[3:] == [f"hyperprior/q{quality}-s300" for quality in (25, 50, 75)]


def test_showcase_takes_the_longest_search_of_the_nearest_depth(rows: pd.DataFrame) -> None:
    shown = reconstructions.showcase(rows, "b", bits=5)
    assert shown["image"].unique().tolist() == ["b"]
    assert shown["codec"].tolist() == ["vaegan-8", "vaegan-2", "jpeg", "jpeg"]
    assert shown["search_steps"].tolist()[:2] == [20, 20]
    assert shown["matched_to"].tolist()[2:] == ["vaegan-2/b6-s20", "vaegan-8/b6-s20"]
    with pytest.raises(ParameterError, match="'c' was not compressed"):
        reconstructions.showcase(rows, "c")
