"""The config of a work directory as a config file: --config=tf_darts/cli/workdir_config.py:WORKDIR.

Where --config is left out, programs that go on in a work directory put this in its place (`entry.py`), so
that --config.FIELD=VALUE changes a field of what the work directory was started with.
"""

import os

import ml_collections

from tf_darts import config as config_lib
from tf_darts.workdir.records import recorded_config


def get_config(workdir: str) -> ml_collections.ConfigDict:
    """Return the config that a work directory was started with.

    Raises:
      UserError: there is none there, or this version does not allow it.
    """
    folder = os.path.expanduser(workdir)
    return config_lib.validate(recorded_config(folder), os.path.join(folder, "config.json"))
