"""Puts `configs/` into the package, as `tf_darts/configs`, and names wheels; more is in pyproject.toml."""

import pathlib
import sysconfig

from setuptools import find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel

# Compiled kernels, if `python -m tf_darts.native --carry` has put some there.
KERNELS = list(pathlib.Path(__file__).with_name("tf_darts").glob("native/built/*.so"))


class Wheel(bdist_wheel):
    """With compiled kernels a wheel is for this kind of machine, and still for every Python."""

    def finalize_options(self):
        """Name the platform, unless the command does."""
        if KERNELS and self.plat_name is None:
            self.plat_name = sysconfig.get_platform()
        super().finalize_options()


setup(
    packages=[*find_packages(include=["tf_darts", "tf_darts.*"]), "tf_darts.configs"],
    package_dir={"tf_darts.configs": "configs"},
    cmdclass={"bdist_wheel": Wheel},
)
