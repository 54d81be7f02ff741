"""Builds the compiled modules and nothing else; all metadata is in pyproject.toml.

PENSTOCK_SANITIZE=1 builds them with the address and undefined-behaviour sanitizers;
PENSTOCK_STEPS=FOLDER the core alone, with its C in that folder, so that a test can act between any
two of its accesses to shared memory; PENSTOCK_QUICK=1 without optimizing, which takes a fraction of
the time.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

sanitize = os.environ.get("PENSTOCK_SANITIZE") == "1"
stepped = os.environ.get("PENSTOCK_STEPS")
flags = ["-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter"]
# Python's own flags have -fwrapv, under which an overflow would not be one.
checks = ["-fsanitize=address,undefined", "-fno-wrapv", "-fno-omit-frame-pointer", "-g", "-O1"]
steps = ["-DPENSTOCK_STEPS", "-O0"]
usual = ["-O0" if os.environ.get("PENSTOCK_QUICK") == "1" else "-O3"]


def extension(name: str) -> Extension:
    return Extension(
        f"penstock.{name}",
        [f"src/{name}.pyx"],
        include_dirs=["src"],
        depends=["src/_atomics.h", *sorted(map(str, Path("src").glob("*.pxi")))],
        extra_compile_args=flags + (checks if sanitize else steps if stepped else usual),
        extra_link_args=["-fsanitize=address,undefined"] if sanitize else [],
    )


setup(
    ext_modules=cythonize(
        [extension("_core")] if stepped else [extension("_core"), extension("_wire")],
        build_dir=stepped or "build/cython",
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "embedsignature": True,
            "binding": False,  # functions as C has them: Python calls those faster
        },
    )
)
