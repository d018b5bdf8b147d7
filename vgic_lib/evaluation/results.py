# SPDX-License-Identifier: MIT
"""One row per picture, codec and setting: what it holds, how it is kept, mean and spread.

Rates come from the length of the file, distortions from decoded 8-bit RGB. Columns that hold an
estimate, or the ratio of 2020 that counts elements and not bytes, say so in their name.
"""

import csv
import dataclasses
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from vgic_lib import files, paths
from vgic_lib.codec import DEFAULT_TUNE
from vgic_lib.errors import DataError
from vgic_lib.metrics.distortion import HIGHEST_DB

MEASURES = ("bytes", "bpp", "compression_ratio", "psnr_db", "ssim", "ms_ssim", "encode_s", "decode_s")


@dataclass(frozen=True)
class Row:
    """One measured file."""

    run: str
    image: str
    image_id: str  # first 8 hex digits of the SHA-256 of the pixels that were compressed
    split: str
    width: int
    height: int
    codec: str  # "hyperprior", "vaegan-8", "jpeg"
    setting: str  # "q448-s20": quality code, steps; "b6-s20-eye+r1": bits, tune, realism; "r6.12-s20"; "q35"
    quality: float  # that was asked for, in the codec's own unit; NaN for the VAE-GAN
    matched_to: str  # "vaegan-8/b6-s20": the file whose length this one was made to match; else empty
    model_id: str  # of the weights that made the file, or the file matched; of the head, where one decoded it
    num_channels: int  # latent channels of the VAE-GAN and bits for each of its elements; else 0
    bits: int
    search_steps: int  # 0 for classical codecs
    file: str  # relative to the folder of the rows
    bytes: int
    bpp: float  # 8 * bytes / pixels
    compression_ratio: float  # bytes of the pixels as 24-bit RGB / bytes of the file
    nominal_cr: float  # pixel values / latent elements, the "CR" of 2020; NaN for classical codecs
    bits_estimated: float  # by the model's probabilities; NaN for classical codecs
    psnr_db: float  # HIGHEST_DB for equal pictures
    ssim: float
    ms_ssim: float
    encode_s: float
    decode_s: float
    seed: int
    commit: str
    device: str

    @property
    def key(self) -> tuple[str, ...]:
        """What makes the row: the same key is never measured twice."""
        return row_key(self.image, self.image_id, self.codec, self.matched_to or self.setting, self.model_id)


COLUMNS = tuple(field.name for field in dataclasses.fields(Row))


def row_key(image: str, image_id: str, codec: str, setting: str, model_id: str) -> tuple[str, ...]:
    """Key of a row before it is measured; `setting` is the file to match, where there is one."""
    return (image, image_id, codec, setting, model_id)


def searched_setting(label: str, search_steps: int, tune: str = DEFAULT_TUNE) -> str:
    """Name of a setting with latent search; the usual tune, and one without a search, go unnamed."""
    return f"{label}-s{search_steps}" + (f"-{tune}" if search_steps and tune != DEFAULT_TUNE else "")


def searched_tune(setting: str) -> str:
    """The tune that a name of `searched_setting` tells."""
    found = re.search(r"-s[0-9]+-([^+]+)", setting)
    return found[1] if found else DEFAULT_TUNE


def realistic_setting(setting: str, realism: float) -> str:
    """Name of a setting whose files are shown with a realism above 0."""
    return f"{setting}+r{realism:g}"


def shown_realism(setting: str) -> float:
    """The realism with which files of a setting are decoded; 0 where its name tells none."""
    found = re.search(r"\+r([0-9.e-]+)$", setting)
    return float(found[1]) if found else 0.0


def faithful(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` without files that were decoded with realism, which invents: for all that measures fidelity."""
    return rows[rows["setting"].map(shown_realism) == 0]


def ratio_setting(ratio: float, search_steps: int, tune: str = DEFAULT_TUNE) -> str:
    """Name of the setting that a compression ratio of the whole file asks for."""
    return searched_setting(f"r{ratio:g}", search_steps, tune)


def asked_ratio(settings: pd.Series) -> pd.Series:
    """Compression ratio that each setting asks for; NaN for all that ask for something else."""
    return settings.str.extract(r"^r([0-9.]+)-s", expand=False).astype(float)


def from_text(record: Mapping[str, str]) -> Row:
    """The row that `record` holds as text. Raises ValueError."""
    return Row(**{field.name: field.type(record[field.name]) for field in dataclasses.fields(Row)})


def read_rows(path: str | Path) -> list[Row]:
    """Rows of a CSV file; none if there is no such file.

    Raises:
        DataError: the file does not have the columns of `Row`.
    """
    if not Path(path).exists():
        return []
    records = csv.DictReader(io.StringIO(files.read_bytes(path).decode()))
    if records.fieldnames != list(COLUMNS):
        raise DataError(f"{path} was written by another version of VGIC; delete it and run notebook 04 again")
    try:
        return list(map(from_text, records))
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}); delete it and run notebook 04 again") from error


def load(run: str) -> pd.DataFrame:
    """The rows of a run as a table. Raises DataError if it has none."""
    rows = read_rows(paths.compression_dir(run) / "rows.csv")
    if not rows:
        raise DataError(f"run {run!r} has no measured files; run notebook 04_compression for it first")
    return to_frame(rows)


def write_rows(path: str | Path, rows: Iterable[Row]) -> None:
    """Write a CSV file, at once. Raises StorageError."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(dataclasses.astuple(row) for row in rows)
    files.write_text(path, buffer.getvalue())


def to_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The same as a table; where an older version wrote an infinite PSNR, that of equal pictures."""
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.assign(psnr_db=frame["psnr_db"].clip(upper=HIGHEST_DB))


def aggregate(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over pictures of the per-picture values, one line per codec and setting.

    Files made to match another file's length are one setting, whatever quality each took. Columns:
    the labels, `images`, the means `quality` and `nominal_cr`, and for each of MEASURES the mean and
    `<metric>_std`, the standard deviation between pictures (NaN for one picture).
    """
    labels = ["codec", "setting", "matched_to", "num_channels", "bits", "search_steps"]
    rows = rows.assign(setting=rows["setting"].where(rows["matched_to"] == "", ""))
    groups = rows.groupby(labels, sort=False)
    spread = groups[list(MEASURES)].std(ddof=0).where(groups.size() > 1).add_suffix("_std")
    means = groups[[*MEASURES, "quality", "nominal_cr"]].mean()
    return pd.concat([groups.size().rename("images"), means, spread], axis=1).reset_index()
