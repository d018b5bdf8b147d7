# SPDX-License-Identifier: MIT
"""Teaches Pillow the .vgic format: after this import, `Image.open` and `Image.save` know it.

    import vgic_lib.pillow_plugin
    picture = Image.open("photo.vgic")
    picture.save("small.vgic", quality=60)

Pictures of models with a generative head may look more real than they are: set `picture.realism`, 0 to 1,
before the pixels are asked for. What is added is invented in part.

Options of `save` are those of `codec.compress`: quality, search_steps, tune, model, target_bytes,
target_psnr, target_ssimulacra2, max_error, lossless, exif, xmp. As Pillow's own formats do, it ignores other
options.

The import is needed: Pillow (up to version 13, checked in its source) loads the plug-ins on its own list,
`PIL._plugins`, and no others; it looks for neither entry points nor file names. The import is cheap, too:
networks are loaded when the first picture is decoded or saved.

Errors are those that users of Pillow expect: UnidentifiedImageError for what is no .vgic file, OSError for a
damaged file, a missing model or a picture that cannot be stored, ValueError for an impossible option.

A file is written in one piece after all work has succeeded, and Pillow removes a new file when saving fails.
But Pillow empties an existing file before it asks a plug-in for anything; where that matters, use `save` of
this module, which takes the same options and leaves the old file as it is until the new one is complete.
"""

from numbers import Integral, Real
from os import PathLike
from typing import IO

from PIL import Image, ImageFile

from vgic_lib.bitstream import container
from vgic_lib.bitstream.container import Layout
from vgic_lib.errors import BitstreamError, ParameterError, VgicError
from vgic_lib.files import write_bytes
from vgic_lib.models.tunes import check_realism

FORMAT = "VGIC"
EXTENSION = ".vgic"
MIME_TYPE = "image/vgic"
OPTIONS = {  # name -> what it may be, in types and in words
    "quality": ((Real, type(None)), "a number"),
    "search_steps": ((Integral,), "a whole number"),
    "tune": ((str,), "the name of a tune"),
    "model": ((str, type(None)), "the name of a model"),
    "target_bytes": ((Integral, type(None)), "a whole number"),
    "target_psnr": ((Real, type(None)), "a number"),
    "target_ssimulacra2": ((Real, type(None)), "a number"),
    "max_error": ((Integral, type(None)), "a whole number"),
    "lossless": ((bool,), "True or False"),
    "exif": ((bytes,), "bytes"),
    "xmp": ((bytes,), "bytes"),
}


class VgicImageFile(ImageFile.ImageFile):
    """An open .vgic file: size and mode come from its header, pixels are decoded when they are asked for."""

    format = FORMAT
    format_description = "Variational generative image compression"

    def _open(self) -> None:
        try:
            header = container.read_header(self.fp.read(container.LONGEST_HEADER))
        except BitstreamError as error:
            raise SyntaxError(str(error)) from error  # how plug-ins tell Pillow that a file is not theirs
        self._size = header.width, header.height
        self._mode = header.layout.mode
        self.realism = 0.0
        if Layout.METADATA in header.layout:
            self.info |= self._metadata()

    @property
    def realism(self) -> float:
        """How much of what the model's generative head adds is shown, 0 (nothing) to 1.

        Raises:
            ValueError: the new value is out of range, or the pixels are decoded already.
        """
        return self._realism

    @realism.setter
    def realism(self, value: float) -> None:
        try:
            check_realism(value)
        except ParameterError as error:
            raise ValueError(str(error)) from error
        if self._im is not None:
            raise ValueError("the picture is decoded already; set its realism right after opening it")
        self._realism = value
        self.tile = [ImageFile._Tile(FORMAT, (0, 0, *self._size), 0, (value,))]

    def _metadata(self) -> dict[str, bytes]:
        self.fp.seek(0)
        try:
            return container.unpack_metadata(container.unpack(self.fp.read()).metadata)
        except BitstreamError as error:
            raise SyntaxError(f"its metadata cannot be read: {error}") from error

    def load_read(self, size: int) -> bytes:
        """Read from the file; that this exists makes `ImageFile.Parser` wait for the whole file."""
        return self.fp.read(size)

    def verify(self) -> None:
        """Check the checksum and the sections without decoding. Raises OSError; call it right after open."""
        self.fp.seek(0)
        try:
            container.unpack(self.fp.read())
        except BitstreamError as error:
            raise OSError(str(error)) from error
        finally:
            super().verify()


class VgicDecoder(ImageFile.PyDecoder):
    """Decodes a whole file into the pixels of an open picture."""

    _pulls_fd = True  # reads the file itself instead of being fed

    def decode(self, buffer: bytes | Image.SupportsArrayInterface) -> tuple[int, int]:
        """Set all pixels; `buffer` is empty. Returns what Pillow expects: no bytes left to do, no error.

        Raises:
            OSError: the file is truncated or altered, its model is not installed, or another picture has
                taken its place.
        """
        from vgic_lib import codec  # imports torch

        try:
            picture = codec.decompress(self.fd.read(), realism=self.args[0])
        except VgicError as error:
            raise OSError(str(error)) from error
        if (picture.mode, picture.size) != (self.mode, self.im.size):
            raise OSError("the file has changed since it was opened; open it again")
        self.set_as_raw(picture.tobytes())
        return -1, 0


def _accept(prefix: bytes) -> bool | str:
    """Whether a file that starts with `prefix` is ours; of a newer version, the warning to show."""
    if not prefix.startswith(container.MAGIC):
        return False
    version = prefix[len(container.MAGIC) :][:1]
    if version > bytes([container.VERSION]):
        return f"the file has format version {version[0]} of VGIC; update vgic to read it"
    return True


def save(image: Image.Image, path: str | PathLike, **options: object) -> None:
    """Write `image` to the .vgic file `path` at once, or not at all; an earlier file stays until then.

    Options are those of `codec.compress`, as with `Image.save`.

    Raises:
        ValueError: an impossible option.
        OSError: a missing model, a picture that cannot be stored, or a file that cannot be written.
    """
    data = _compress(image, options)
    try:
        write_bytes(path, data)
    except VgicError as error:
        raise OSError(str(error)) from error


def _save(image: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    fp.write(_compress(image, image.encoderinfo))


def _compress(image: Image.Image, given: dict) -> bytes:
    """Content of a file. Raises OSError and ValueError, as users of Pillow expect."""
    from vgic_lib import codec  # imports torch

    options = {name: given[name] for name in OPTIONS if name in given}
    for name, value in options.items():
        types, words = OPTIONS[name]
        if not isinstance(value, types) and not hasattr(value, "model_id"):
            raise ValueError(f"{name} must be {words}, not {value!r}")
    try:
        return codec.compress(image, **options)
    except ParameterError as error:
        raise ValueError(str(error)) from error
    except VgicError as error:
        raise OSError(str(error)) from error


Image.register_open(FORMAT, VgicImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_decoder(FORMAT, VgicDecoder)
Image.register_extension(FORMAT, EXTENSION)
Image.register_mime(FORMAT, MIME_TYPE)
