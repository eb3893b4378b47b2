"""The tools that the stages call: found on the machine, or built once into a shared cache."""

from schedlab.toolchain.assembly import Toolchain, locate_tools, prepare_toolchain, toolchain_record
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.tools import Tool

__all__ = [
    "Cache",
    "Tool",
    "Toolchain",
    "locate_tools",
    "prepare_toolchain",
    "toolchain_record",
]
