"""What a stage took, in seconds.json: by the clock, and of all cores."""

import json
import subprocess
import sys
import time

import pytest

from tf_darts.workdir import seconds

BURN = "import time\nwhile time.process_time() < {}: pass"


def burn(amount):
    start = time.process_time()
    while time.process_time() - start < amount:
        pass


def content(folder):
    return json.loads((folder / seconds.NAME).read_text())


def test_seconds_of_all_cores_are_those_of_the_process_and_its_children(tmp_path):
    with seconds.recorded(tmp_path):
        time.sleep(0.3)
        burn(0.1)
    first = content(tmp_path)["cpu_seconds"]
    assert 0.09 <= first < content(tmp_path)["seconds"]
    with pytest.raises(KeyError), seconds.recorded(tmp_path):  # added up over starts, whatever ends them
        subprocess.run([sys.executable, "-S", "-c", BURN.format(0.2)], check=True)
        raise KeyError
    # The system counts in hundredths.
    assert content(tmp_path)["cpu_seconds"] - first > 0.185 and content(tmp_path)["starts"] == 2


def test_a_stage_begun_without_them_has_none(tmp_path):
    (tmp_path / seconds.NAME).write_text(json.dumps({"schema_version": 1, "seconds": 5.0, "starts": 1}))
    with seconds.recorded(tmp_path):
        pass
    assert "cpu_seconds" not in content(tmp_path) and content(tmp_path)["starts"] == 2
