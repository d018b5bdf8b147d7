#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Do the golden files give the same symbols here? For other machines, releases of PyTorch and accelerators.

    python tools/check_exactness.py

Decodes tests/golden/*.vgic and compares digests of the symbols with those in tests/golden/symbols.json. Once
with one thread, once with several, and once on each kind of accelerator that computes in float64. It needs
torch, numpy, safetensors and constriction, in any release; nothing has to be installed of VGIC itself. Exit
status: 0 all the same, 1 a difference.
"""

import json
import platform
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

import torch  # noqa: E402
from helpers.symbols import digest  # noqa: E402
from helpers.tiny_hyperprior import tiny_model  # noqa: E402

from vgic_lib.bitstream import container  # noqa: E402
from vgic_lib.bitstream.fixed_point import LARGEST_RESIDUAL, ExactNetworks, mirrored, receiver  # noqa: E402
from vgic_lib.bitstream.range_coding import Decoder, Tables  # noqa: E402
from vgic_lib.models import store  # noqa: E402
from vgic_lib.models.hyperprior import HyperpriorModel  # noqa: E402

GOLDEN = PROJECT / "tests" / "golden"


def symbols_digest(data, device="cpu"):
    """SHA-256 of the latents of a file; on an accelerator, None for a model that has no networks to check."""
    header, sections = container.unpack(data)
    model = find_model(header.model_id.to_bytes(4))
    setting, size = model.from_code(header.setting), (header.height, header.width)
    sections = sections[: len(sections) - (container.Layout.ALPHA in header.layout)]
    if device == "cpu":
        return digest(model.decode(sections, setting, size))
    if model.kind != HyperpriorModel.kind:
        return None
    receive = receiver(Decoder(sections[0], Tables(mirrored(model.frequencies), LARGEST_RESIDUAL)))

    def exchange(index, wanted):
        return receive(index.cpu(), wanted).to(device)

    networks = ExactNetworks(model.network).to(device)
    latents = networks.traverse(setting.network_quality, model.latent_shapes(setting, size), exchange)
    return digest([latent.float() for latent in latents])


def find_model(model_id):
    """The small model that tests make, or an installed one."""
    tiny = tiny_model()
    return tiny if model_id == tiny.model_id else store.find_model(model_id)


def check(label, device, expected):
    """Print one line for a device; returns whether all its files gave the expected symbols."""
    found = {name: symbols_digest((GOLDEN / f"{name}.vgic").read_bytes(), device) for name in expected}
    made = {name: value for name, value in found.items() if value is not None}
    wrong = [name for name, value in made.items() if value != expected[name]]
    verdict = f"FAIL {', '.join(wrong)}" if wrong else "pass"
    print(f"torch {torch.__version__:<14} {label:<28} {len(made)} files: {verdict}", flush=True)
    return not wrong


def main():
    expected = json.loads((GOLDEN / "symbols.json").read_text(encoding="utf-8"))
    cpu = platform.processor() or platform.machine()
    passed = []
    for threads in sorted({1, 2, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        passed.append(check(f"{cpu}, {threads} threads", "cpu", expected))
    for index in range(torch.cuda.device_count()):
        passed.append(check(torch.cuda.get_device_name(index), f"cuda:{index}", expected))
    if not torch.cuda.is_available():
        print("no accelerator with float64 here; the CPU alone was checked")
    sys.exit(not all(passed))


if __name__ == "__main__":
    main()
