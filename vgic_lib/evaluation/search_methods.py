# SPDX-License-Identifier: MIT
"""Latent searches over several photographs, operating points and methods, resumable: notebook 03."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from vgic_lib.errors import ParameterError
from vgic_lib.evaluation.keyed_table import KeyedTable
from vgic_lib.evaluation.measure import Picture
from vgic_lib.evaluation.points import OperatingPoint
from vgic_lib.evaluation.rate_distortion import bd_rate
from vgic_lib.images import to_tensor
from vgic_lib.models.base import LatentModel
from vgic_lib.models.tunes import DEFAULT_TUNE
from vgic_lib.progress import progress
from vgic_lib.search.latent_search import RELAXATIONS, SearchConfig, search

FROM_NOISE, AS_2020 = "from-noise", "2020"
KEY = ["image", "model", "model_id", "method", "setting", "steps", "trade"]
OWN_TRADE = (
    "lambda"  # of a model that knows what a bit is worth to it; else the dB that twice the bits must buy
)
NUMBERS = {"steps": int, "step": int, "time_s": float, "psnr_db": float, "bpp_estimated": float}
COLUMNS = (*KEY, "step", "time_s", "psnr_db", "bpp_estimated")
CURVE_POINTS = 15  # qualities of the curve without search


def run(
    model: LatentModel,
    points: Sequence[OperatingPoint],
    pictures: Iterable[Picture],
    methods: Sequence[str],
    path: Path,
    *,
    steps: int,
    doubling_gain_db: float,
    overwrite: bool = False,
    tune: str | None = None,
) -> pd.DataFrame:
    """Search what `path` (CSV) has no trace of yet, and add it there search by search.

    Args:
        model: frozen.
        points: its operating points.
        pictures: RGB.
        methods: names of relaxations; "from-noise": straight-through without the encoder; "2020": as
            there, from noise, without rounding, for distortion alone.
        path: of the traces.
        steps: of each search.
        doubling_gain_db: see SearchConfig; for models without a trade of their own.
        overwrite: search again what is there.
        tune: what the searches improve, a key of TUNES; None: what the model is for.

    Returns:
        The asked-for traces, one line for each step: what identifies the search (KEY), then step,
        time_s, psnr_db, bpp_estimated.

    Raises:
        ParameterError: unknown method or tune, or one that the model cannot do.
        StorageError: `path` cannot be written.
    """
    configs = check(model, points, methods, steps=steps, doubling_gain_db=doubling_gain_db, tune=tune)
    table = KeyedTable(path, COLUMNS, KEY, "notebook 03")
    wanted = {_key(model, *job, configs[job[2]]): job for job in product(pictures, points, methods)}
    todo = {key: job for key, job in wanted.items() if overwrite or key not in table}
    for key, (picture, point, method) in progress(todo.items(), "latent search", len(todo)):
        x = to_tensor(picture.image)
        named = dict(zip(KEY, key, strict=True))
        table.add(
            named | {name: getattr(at, name) for name in ("step", "time_s", "psnr_db")}
            | {"bpp_estimated": at.bits / (x.shape[2] * x.shape[3])}
            for at in search(model, x, point.setting, configs[method]).trace
        )  # fmt: skip
    table.rewrite()
    lines = (line for key in wanted for line in table[key])
    return pd.DataFrame(lines, columns=COLUMNS).astype(NUMBERS)


def check(
    model: LatentModel,
    points: Sequence[OperatingPoint],
    methods: Sequence[str],
    *,
    steps: int,
    doubling_gain_db: float,
    tune: str | None = None,
) -> dict[str, SearchConfig]:
    """Configuration of each method for a model; arguments as for `run`, which refuses the same.

    Raises:
        ParameterError: unknown method or tune, one that the model cannot do, or nothing to search.
    """
    if not points or not methods:
        raise ParameterError("nothing to search: name a method, and a quality or a bit depth")
    gain_db = doubling_gain_db if model.trade_off(model.setting(50)) is None else None
    configs = {name: replace(_config(name, steps, gain_db), tune=tune or model.tune) for name in methods}
    for name, config in configs.items():
        if config.start == "noise" and not model.starts_from_noise:
            raise ParameterError(f"{model.name} needs its encoder, so it has no method {name!r}")
    return configs


def gains(traces: pd.DataFrame, doubling_gain_db: float) -> pd.DataFrame:
    """Mean over photographs of what each method gained over the encoder's latent.

    Returns:
        For each method and operating point: PSNR gain in dB, change of the estimated rate in percent,
        gain of the objective in dB, seconds. From noise, the start is the encoder's latent too where
        another method tells it.
    """
    point = ["image", "setting"]
    by_encoder = ~traces["method"].isin([FROM_NOISE, AS_2020])
    encoder = traces[(traces["step"] == 0) & by_encoder].groupby(point).first()
    last = traces.groupby([*point, "method"], sort=False).last().reset_index()
    start = encoder.reindex(pd.MultiIndex.from_frame(last[point]))
    last["psnr_gain_db"] = last["psnr_db"].to_numpy() - start["psnr_db"].to_numpy()
    ratio = last["bpp_estimated"].to_numpy() / start["bpp_estimated"].to_numpy()
    last["rate_change_percent"] = 100 * (ratio - 1)
    last["objective_gain_db"] = last["psnr_gain_db"] - doubling_gain_db * np.log2(ratio)
    columns = ["psnr_gain_db", "rate_change_percent", "objective_gain_db", "time_s"]
    return last.groupby(["method", "setting"], sort=False)[columns].mean().round(2)


def encoder_curves(model: LatentModel, pictures: Iterable[Picture]) -> pd.DataFrame:
    """Rate and distortion without search over the whole range of qualities.

    Returns:
        image, bpp_estimated, psnr_db: CURVE_POINTS lines for each picture.
    """
    settings = [model.setting(quality) for quality in np.linspace(1, 100, CURVE_POINTS)]
    lines = []
    for picture in pictures:
        x = to_tensor(picture.image)
        for setting in settings:
            start = search(model, x, setting, SearchConfig(steps=0))
            lines.append((picture.name, start.bits / (x.shape[2] * x.shape[3]), start.psnr_db))
    return pd.DataFrame(lines, columns=["image", "bpp_estimated", "psnr_db"])


def savings(traces: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """`traces` with `saving_percent`: how much less they cost than no search does at the same PSNR.

    Log rate is interpolated linearly over PSNR between the points of `encoder_curves` and the starts of
    the searches; NaN beyond them.
    """
    starts = traces[traces["step"] == 0][["image", "bpp_estimated", "psnr_db"]]
    known = pd.concat([curves, starts]).sort_values("psnr_db")
    found = []
    for image, trace in traces.groupby("image", sort=False):
        curve = known[known["image"] == image]
        log_bpp = np.log(curve["bpp_estimated"])
        same = np.interp(trace["psnr_db"], curve["psnr_db"], log_bpp, left=np.nan, right=np.nan)
        saving = 100 * (1 - trace["bpp_estimated"] / np.exp(same))
        found.append(trace.assign(saving_percent=saving))
    return pd.concat(found)


def bd_rates(traces: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """BD-rate of each method against no search, and seconds a search; means over the photographs."""
    last = traces.groupby(["method", "image", "setting"], sort=False).last().reset_index()
    lines = []
    for (method, image), searched in last.groupby(["method", "image"], sort=False):
        anchor, test = (
            frame.rename(columns={"bpp_estimated": "bpp"})[["bpp", "psnr_db"]]
            for frame in (curves[curves["image"] == image], searched)
        )
        lines.append((method, bd_rate(anchor, test).percent, searched["time_s"].mean()))
    table = pd.DataFrame(lines, columns=["method", "bd_rate_percent", "time_s"])
    return table.groupby("method", sort=False).mean().round(2)


def savings_by_steps(traces: pd.DataFrame) -> pd.DataFrame:
    """What searches of several lengths saved in the end.

    Args:
        traces: as `savings` makes them.

    Returns:
        steps, time_s, saving_percent, searches: a line for each number of steps, fewest first; means over
        photographs and settings.
    """
    last = traces.groupby(["image", "setting", "steps"], sort=False).last().reset_index()
    groups = last.groupby("steps")
    means = groups[["time_s", "saving_percent"]].mean().round(2)
    return means.assign(searches=groups.size()).reset_index()


def _config(method: str, steps: int, doubling_gain_db: float | None) -> SearchConfig:
    if method == FROM_NOISE:
        return SearchConfig(steps, "straight-through", "noise", 0.03, doubling_gain_db)
    if method == AS_2020:
        return SearchConfig(steps, "continuous", start="noise", learning_rate=0.03, doubling_gain_db=0)
    if method not in RELAXATIONS:
        raise ParameterError(
            f"unknown method {method!r}; choose from {', '.join([*RELAXATIONS, FROM_NOISE, AS_2020])}"
        )
    return SearchConfig(steps, method, doubling_gain_db=doubling_gain_db)


def _key(
    model: LatentModel,
    picture: Picture,
    point: OperatingPoint,
    method: str,
    config: SearchConfig,
) -> tuple[str, ...]:
    gain_db = config.doubling_gain_db
    trade = OWN_TRADE if gain_db is None else f"{gain_db:g} dB"
    trade += "" if config.tune == DEFAULT_TUNE else f", tune {config.tune}"
    return picture.name, model.name, model.model_id.hex(), method, point.label, str(config.steps), trade
