"""Jobs as tasks of Ray, where Ray is installed; else that its absence is said."""

import importlib.util

import pytest

from tests.study.small import CONFIG, small
from tf_darts.study import settings
from tf_darts.study.output import Output


def test_ray_runs_jobs(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: the extra ray")
    from tf_darts.study import on_ray

    output = Output(tmp_path / "out")
    output.record(settings.validate(small()))
    said, names = [], ["darts-seed8", "darts-seed9"]  # not of the study: they end at once
    ends = {ended.name: ended.reason for ended in on_ray.run(names, output, 2, said.append)}
    assert ends.keys() == set(names) and said == [f"ray: 2 jobs, their logs are in {output / 'logs'}"]
    for name, reason in ends.items():
        assert reason.startswith(f"job '{name}' is not one of the study; allowed: darts-seed0, ")
        assert output.log(name).read_text().splitlines()[-1] == f"error: {reason}"


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_that_is_said_at_once(call, tmp_path):
    (tmp_path / "config.py").write_text(CONFIG)
    status, out, err = call(tmp_path, "--config=config.py", "--output=out", "--engine=ray")
    assert (status, out) == (2, "") and not (tmp_path / "out").exists()
    assert err == "error: --engine=ray: Ray is missing; run: pip install -e '.[ray]'\n"
