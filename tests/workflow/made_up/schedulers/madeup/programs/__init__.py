"""A program that the scheduler of the tests would have built."""

from pathlib import Path

from schedlab.schedulers.programs import ProgramGroup

PROGRAMS = ProgramGroup(
    name="madeup",
    folder=Path(__file__).parent,
    programs={"madeupd": "madeupd"},
    probe="madeupd",
    version_pattern=r"(\S+)",
    flags="",
    minutes=1,
)
