"""Which files of this checkout a stage depends on. They are derived, not listed by hand."""

from __future__ import annotations

from pathlib import Path

from schedlab.sources.stages import Subject, files

__all__ = ["stage_files"]


def stage_files(
    stage: str, *, image: str = "", scheduler: str = "", kind: str = "", figure: str = ""
) -> list[Path]:
    """Source files of a stage, sorted.

    Parameters
    ----------
    stage : str
        The stage.
    image, scheduler, kind, figure : str
        What the job works on, if the stage's sources depend on it.
    """
    return list(files(Subject(stage, image, scheduler, kind, figure)))
