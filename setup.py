"""Puts `configs/` into the package, as `tf_darts/configs`; everything else is in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["tf_darts", "tf_darts.*"]), "tf_darts.configs"],
    package_dir={"tf_darts.configs": "configs"},
)
