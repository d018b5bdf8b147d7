# SPDX-License-Identifier: MIT
"""Time of the differentiable metrics beside that of the synthesis of the shipped model, in one run.

Each metric compares one decoded picture with prepared originals, as a step of latent search does, forward
and then forward and backward to the picture; the synthesis goes back to its latents, in float32 and, as the
search runs it, in bfloat16. All take turns, so what slows the machine slows them all: the ratios count. A
call of more than 3 seconds is made once. Below: whole steps of latent search by tune, with their share of
the checks of rounded latents.

    python benchmarks/eye_metrics.py [--rounds 5] [--size 768 512] [--device cpu]
"""

import argparse
import statistics
import time

import torch

from vgic_lib.metrics.ms_ssim import MsSsimReference
from vgic_lib.metrics.ssimulacra2 import Ssimulacra2Reference
from vgic_lib.metrics.st_lpips import StLpipsReference
from vgic_lib.models.store import load_model
from vgic_lib.search.latent_search import SearchConfig, search
from vgic_lib.search.objectives import TUNES

QUALITY = 40
SLOW_S = 3.0
ANCHOR = "synthesis, bfloat16"


def metric_calls(x, x_hat):
    """Functions from no argument to the value of a metric, by name."""
    references = {
        "MS-SSIM, RGB": MsSsimReference(x),
        "MS-SSIM, YCbCr": MsSsimReference(x, "ycbcr"),
        "SSIMULACRA2": Ssimulacra2Reference(x),
        "ST-LPIPS, alex": StLpipsReference(x, "alex"),
        "ST-LPIPS, vgg": StLpipsReference(x, "vgg"),
    }
    return {
        "squared error": lambda: (x_hat - x).square().mean(),
        **{name: lambda r=reference: r.score(x_hat) for name, reference in references.items()},
    }


def synthesis_calls(x):
    """The same for the picture that the shipped model makes of latents."""
    model = load_model("hyperprior").to(x.device)
    setting = model.setting(QUALITY)
    with torch.no_grad():
        latents, _ = model.quantise(model.analysis(x, setting), setting, torch.round)
    latents = tuple(latent.clone().requires_grad_() for latent in latents)

    def call(half):
        with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
            return model.synthesis(latents, setting, tuple(x.shape[2:])).float()

    return {"synthesis, float32": lambda: call(False), ANCHOR: lambda: call(True)}


def seconds(call, device, backward):
    begun = time.perf_counter()
    value = call()
    if backward:
        value.sum().backward()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def search_steps(x, rounds):
    """Print seconds of a step for each tune; tunes take turns, the first round warms up."""
    model, steps, times = load_model("hyperprior").to(x.device), 10, {tune: [] for tune in TUNES}
    for _ in range(rounds + 1):
        for tune, found in times.items():
            begun = time.perf_counter()
            search(model, x, model.setting(QUALITY), SearchConfig(steps, tune=tune))
            found.append((time.perf_counter() - begun) / steps)
    medians = {tune: statistics.median(found[1:]) for tune, found in times.items()}
    for tune, median in medians.items():
        print(f"search step, {tune:<7} {1e3 * median:7.0f} ms {median / medians['psnr']:6.2f}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, nargs=2, default=(768, 512), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    width, height = options.size
    torch.manual_seed(0)
    coarse = torch.rand(1, 3, height // 16, width // 16, device=options.device)
    x = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    x_hat = (x + 0.03 * torch.randn_like(x)).clamp(0, 1).requires_grad_()
    calls = synthesis_calls(x) | metric_calls(x, x_hat)
    times = {(name, backward): [] for name in calls for backward in (False, True)}
    for _ in range(options.rounds + 1):
        for (name, backward), found in times.items():
            if not found or max(found) < SLOW_S:
                found.append(seconds(calls[name], options.device, backward))
    for found in times.values():
        if len(found) > 1:
            del found[0]  # the first round warms up
    medians = {key: statistics.median(found) for key, found in times.items()}
    print(
        f"{width}x{height}, {options.device}, {torch.get_num_threads()} threads, torch {torch.__version__}, ",
        end="",
    )
    print(f"median of {options.rounds}; ratios to the synthesis in bfloat16")
    print(f"{'':<20} {'forward':>10} {'ratio':>6}   {'and backward':>12} {'ratio':>6}")
    for name in calls:
        forward, both = medians[name, False], medians[name, True]
        ratios = forward / medians[ANCHOR, False], both / medians[ANCHOR, True]
        print(f"{name:<20} {1e3 * forward:7.0f} ms {ratios[0]:6.2f}   {1e3 * both:9.0f} ms {ratios[1]:6.2f}")
    search_steps(x, options.rounds)


if __name__ == "__main__":
    main()
