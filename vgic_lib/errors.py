# SPDX-License-Identifier: MIT
"""Errors a user can cause, and one warning. Each message is one line: what is wrong, and what to do."""


class VgicError(Exception):
    """Base of all errors that the command line prints as one line, without a traceback."""


class ImageError(VgicError):
    """A picture is missing, unreadable or of a kind that is not supported."""


class BitstreamError(VgicError):
    """A .vgic file is truncated, altered, too new or otherwise not decodable."""


class ModelError(VgicError):
    """A model name, weights file or checkpoint is unknown or does not fit."""


class DataError(VgicError):
    """A data set is unknown, cannot be downloaded or holds no usable picture."""


class ParameterError(VgicError):
    """A setting, profile or notebook parameter is unknown or out of range."""


class StorageError(VgicError):
    """A file or folder cannot be read or written."""


class ClusterError(VgicError):
    """A scheduler or its workers are not there, are lost, or cannot do what is asked."""


class PictureWarning(UserWarning):
    """A picture was read, but not all that its file holds; `name` is the file, `text` says what."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name, self.text = name, text
