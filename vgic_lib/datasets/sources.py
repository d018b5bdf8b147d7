# SPDX-License-Identifier: MIT
"""Known data sets: where their photographs come from and under which licence."""

from collections.abc import Callable, Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

from vgic_lib import paths
from vgic_lib.datasets.downloads import fetch, unpack
from vgic_lib.files import atomic_path
from vgic_lib.images import read_image
from vgic_lib.progress import progress

EMBEDDED = {  # file inside the scikit-image package -> licence as its documentation states it
    "astronaut.png": "public domain (NASA)",
    "chelsea.png": "CC0",
    "coffee.png": "CC0",
    "hubble_deep_field.jpg": "public domain (NASA)",
    "ihc.png": "no known copyright restriction",
    "retina.jpg": "CC0",
    "rocket.jpg": "public domain (SpaceX)",
}

KODAK_URL = "http://r0k.us/graphics/kodak/kodak"
FLICKR8K_URL = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k/Flickr8k_Dataset.zip"
FLICKR30K_URL = "https://huggingface.co/datasets/nlphuji/flickr30k/resolve/main/flickr30k-images.zip"
KODAK_SHA256 = {
    "kodim01.png": "a56e27cbf5f843c048b6af1d6e090760e9c92fadba88b7dee0205918a37523bd",
    "kodim02.png": "4f4b74a79237e311d72cad958237b5f7088d8bce1c82305ebefe1a70e3022dfd",
    "kodim03.png": "e25ca1ff2f0c0cb5fdfd5f9b0a0bb21ac4c3de3c84a67f35b09a85d3306249db",
    "kodim04.png": "e3b946107c5d3441c022f678d0c3caf1e224d81b1604ba840a4f88e562de61aa",
    "kodim05.png": "10349e963c5c813d327852f82c1795fa4148d69fedffc4c589bee458e3ac3d53",
    "kodim06.png": "363510303b715d4cbc384e1ce227e466b613a09e1b71ae985882bf8e7fbd9b18",
    "kodim07.png": "b77d3f006f42414bb242222e0482e750c0fb9e5ee8d4bed2f6f11c5605fe54a4",
    "kodim08.png": "ba23983c76b4832ee0e8af0592664756841a16779acd69f792e268fb6d13d6e7",
    "kodim09.png": "6a4361c2fc194feb4edaa9f9a4a0620fb9943e460ac7fdf037fb0f6dd6607a7d",
    "kodim10.png": "9dfb70f5867c29ff9ed6313683f19b3d867849e40fbc0c4c54a4a89df341cf23",
    "kodim11.png": "7936814b58b5387fce2e4e2488b4ec830dadd95fa9520f358ddb30990b50f2b6",
    "kodim12.png": "d78c37c2f04f23761ed2367dd77e2db584ddd4c3950833fecf89f199a8126980",
    "kodim13.png": "bc34a3ce58dea09dce1704c997171602de90cb34d0c8503a988b77f473d39b08",
    "kodim14.png": "55a94550ff18f3246c4074fd32b77b0c74447c26b6ad274d564d999c0450ba6e",
    "kodim15.png": "7538cbb80cb9103606c48b806eae57d56c885c7f90b9b3be70a41160f9cbb683",
    "kodim16.png": "a89c7268ccd4718ba424a99fc4643c572cf692ca6eae887185ceb4e9f11d2e54",
    "kodim17.png": "37afcc89fbdcb76d9518e04b2fc011027e2f4cd14b3b2f83cefd721641a47c5b",
    "kodim18.png": "1a9258c365988961d87a0598725b609139c303ad48a5aad6c503c3b1a87849aa",
    "kodim19.png": "b7450b264b1b0a411390d8931b112c27905a992520fc90569dc4b920aa32bbdc",
    "kodim20.png": "3b46c71e3b92a563820ba32936be8330c586c41f938efd94be938386aae4328a",
    "kodim21.png": "ac958597c82073f6bb65129c68f72b651db5b9efd82e11547d07350214bc268b",
    "kodim22.png": "1cee58eb1f2d9c7ebb254d208a03c783ce6cf2c4d8c2cf45e235dd23b4ce1b29",
    "kodim23.png": "e3111a2fd4da24af15d6459ef9eacfe54106b38e27b4a21821b75c3f5d2d5baf",
    "kodim24.png": "1071c68372cc5a01435c2c225a5cf7d4bb803846ec08bb6b3d6721b156d7cb96",
}  # fmt: skip


class Source(NamedTuple):
    """Where the pictures of a data set come from; a new data set is a new entry of SOURCES."""

    locate: Callable[[], Path]  # folder of the pictures, downloaded if need be
    licence: str
    licences: Mapping[str, str] = {}  # by name, where they differ
    test_only: bool = False


def embedded() -> Path:
    """Folder of the colour photographs inside scikit-image, as PNG, written once.

    Those stored as JPEG are halved in size, which removes most of their compression artefacts.
    """
    folder = paths.data() / "embedded"
    for name in EMBEDDED:
        target = folder / f"{Path(name).stem}.png"
        if target.exists():
            continue
        with as_file(files("skimage") / "data" / name) as path:
            image = read_image(path)
        if name.endswith(".jpg"):
            image = image.reduce(2)
        with atomic_path(target) as temporary:
            image.save(temporary, format="PNG")
    return folder


def kodak() -> Path:
    """Folder of the 24 Kodak photographs; those that are not there are downloaded. Raises DataError."""
    folder = paths.data() / "kodak"
    for name, digest in progress(KODAK_SHA256.items(), "kodak", len(KODAK_SHA256)):
        fetch(f"{KODAK_URL}/{name}", digest, folder / name)
    return folder


def flickr8k() -> Path:
    """Folder of the Flickr8k photographs (1.1 GB), downloaded and unpacked once. Raises DataError."""
    return _archive("flickr8k", FLICKR8K_URL)


def flickr30k() -> Path:
    """Folder of the Flickr30k photographs (4.4 GB), downloaded and unpacked once. Raises DataError."""
    return _archive("flickr30k", FLICKR30K_URL)


def _archive(name: str, url: str) -> Path:
    folder = paths.data() / name
    if not folder.exists():
        target = paths.data() / "downloads" / url.rsplit("/", 1)[1]
        unpack(fetch(url, None, target, label=f"{name}, MiB"), folder)
    return folder


SOURCES = {
    "embedded": Source(embedded, "", {Path(name).stem: licence for name, licence in EMBEDDED.items()}),
    "kodak": Source(kodak, "unrestricted use (Eastman Kodak Company)", test_only=True),
    "flickr8k": Source(flickr8k, "research only; rights stay with the Flickr authors"),
    "flickr30k": Source(flickr30k, "research only; rights stay with the Flickr authors"),
}
