# SPDX-License-Identifier: MIT
"""Latent searches over several photographs, operating points and methods, resumable: notebook 03."""

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from vgic_lib.errors import ParameterError
from vgic_lib.files import atomic_path
from vgic_lib.images import to_tensor
from vgic_lib.latent_model import Setting, VaeGan
from vgic_lib.latent_search import RELAXATIONS, SearchConfig, search
from vgic_lib.progress import progress
from vgic_lib.results import Picture

FROM_NOISE, AS_2020 = "from-noise", "2020"
KEY = ["image", "model", "model_id", "method", "num_channels", "bits", "steps", "doubling_gain_db"]


def run(
    model: VaeGan,
    settings: Sequence[Setting],
    pictures: Iterable[Picture],
    methods: Sequence[str],
    path: Path,
    *,
    steps: int,
    doubling_gain_db: float,
    overwrite: bool = False,
) -> pd.DataFrame:
    """Search what `path` (CSV) has no trace of yet, and add it there search by search.

    Args:
        model: frozen.
        settings: its operating points.
        pictures: RGB.
        methods: names of relaxations; "from-noise": straight-through without the encoder; "2020": as
            there, from noise, without rounding, for distortion alone.
        path: of the traces.
        steps: of each search.
        doubling_gain_db: see SearchConfig.
        overwrite: search again what is there.

    Returns:
        The asked-for traces, one line for each step: what identifies the search (KEY), then step,
        time_s, psnr_db, bpp_estimated.

    Raises:
        ParameterError: unknown method, or a setting that the model does not have.
        StorageError: `path` cannot be written.
    """
    if unknown := set(settings) - set(model.settings):
        offered = ", ".join(f"n={s.num_channels} with {s.bits} bits" for s in model.settings)
        raise ParameterError(f"{model.name} does not offer {tuple(min(unknown))}; choose from {offered}")
    configs = {name: _config(name, steps, doubling_gain_db) for name in methods}
    keep = path.exists() and not overwrite
    frames = [pd.read_csv(path, dtype={"image": str, "model_id": str})] if keep else []
    finished = {key for frame in frames for key in frame[KEY].itertuples(index=False, name=None)}
    wanted = {_key(model, *job, configs[job[2]]): job for job in product(pictures, settings, methods)}
    todo = {key: job for key, job in wanted.items() if key not in finished}
    for key, (picture, setting, method) in progress(todo.items(), "latent search", len(todo)):
        x = to_tensor(picture.image)
        trace = pd.DataFrame(search(model, x, setting, configs[method]).trace)
        trace["bpp_estimated"] = trace["bits"] / (x.shape[2] * x.shape[3])
        values = trace[["step", "time_s", "psnr_db", "bpp_estimated"]]
        frames.append(pd.concat([pd.DataFrame([key] * len(trace), columns=KEY), values], axis=1))
        with atomic_path(path) as temporary:
            pd.concat(frames).to_csv(temporary, index=False)
    traces = pd.concat(frames)
    return traces[[key in wanted for key in traces[KEY].itertuples(index=False, name=None)]]


def gains(traces: pd.DataFrame, doubling_gain_db: float) -> pd.DataFrame:
    """Mean over photographs of what each method gained over the encoder's latent.

    Returns:
        For each method and operating point: PSNR gain in dB, change of the estimated rate in percent,
        gain of the objective in dB, seconds. From noise, the start is the encoder's latent too where
        another method tells it.
    """
    point = ["image", "num_channels", "bits"]
    by_encoder = ~traces["method"].isin([FROM_NOISE, AS_2020])
    encoder = traces[(traces["step"] == 0) & by_encoder].groupby(point).first()
    last = traces.groupby([*point, "method"], sort=False).last().reset_index()
    start = encoder.reindex(pd.MultiIndex.from_frame(last[point]))
    last["psnr_gain_db"] = last["psnr_db"].to_numpy() - start["psnr_db"].to_numpy()
    ratio = last["bpp_estimated"].to_numpy() / start["bpp_estimated"].to_numpy()
    last["rate_change_percent"] = 100 * (ratio - 1)
    last["objective_gain_db"] = last["psnr_gain_db"] - doubling_gain_db * np.log2(ratio)
    columns = ["psnr_gain_db", "rate_change_percent", "objective_gain_db", "time_s"]
    return last.groupby(["method", "num_channels", "bits"], sort=False)[columns].mean().round(2)


def _config(method: str, steps: int, doubling_gain_db: float) -> SearchConfig:
    if method == FROM_NOISE:
        return SearchConfig(steps, start="noise", learning_rate=0.03, doubling_gain_db=doubling_gain_db)
    if method == AS_2020:
        return SearchConfig(steps, "continuous", start="noise", learning_rate=0.03, doubling_gain_db=0)
    if method not in RELAXATIONS:
        raise ParameterError(
            f"unknown method {method!r}; choose from {', '.join([*RELAXATIONS, FROM_NOISE, AS_2020])}"
        )
    return SearchConfig(steps, method, doubling_gain_db=doubling_gain_db)


def _key(model: VaeGan, picture: Picture, setting: Setting, method: str, config: SearchConfig) -> tuple:
    return (
        picture.name, model.name, model.model_id.hex(), method, setting.num_channels, setting.bits,
        config.steps, config.doubling_gain_db,
    )  # fmt: skip
