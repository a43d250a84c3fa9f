"""The packaging; everything declarative stands in pyproject.toml.

`twisted/plugins/` has no `__init__.py`: it is a folder of modules that joins the package
`twisted.plugins` wherever smsgw is installed, so it is named here and not found by discovery.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["smsgw", "smsgw.*"]), "twisted.plugins"],
    package_data={"smsgw": ["py.typed", "**/*.xml"]},
)
