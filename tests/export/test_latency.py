"""Predictions of latency and file size against whole networks, converted and timed here."""

import pathlib

import pytest

from tf_darts import spaces
from tf_darts.export import formats, latency
from tf_darts.export.functional import functional
from tf_darts.models import genotype_costs, latency_table
from tf_darts.models.latency_table import NOTHING, LatencyTable
from tf_darts.models.network import Network

SIZES = {
    "nas_bench_201": (16, 1, 10, (16, 16, 3)),
    "darts": (16, 3, 10, (16, 16, 3)),
}


@pytest.mark.parametrize("name", ["nas_bench_201", pytest.param("darts", marks=pytest.mark.slow)])
def test_what_is_predicted_is_what_networks_take(name):
    space, size = spaces.get(name), SIZES[name]
    parts = genotype_costs.parts_of(space, *size)
    table = latency.measure(parts)
    assert table.ms.keys() == parts.keys() and min(table.ms.values()) > 0
    assert table.about["threads"] == "1" and table.about["processor"]
    (genotype,) = latency.random_genotypes(space, 0, 1)
    (found,) = latency.check(space, [genotype], *size, table)
    assert abs(found.size_error) < 0.06
    # On a machine that others use too; alone it is within a tenth.
    assert 0.5 < found.predicted_ms / found.measured_ms < 2
    assert found.genotype == genotype.to_text(space)
    assert found.genotype in str(found) and "none" not in found.genotype
    assert f"{found.parameters:,}" in latency.check_table([found])


def test_the_size_in_int8_is_known_too(tmp_path, images=(16, 16, 3)):
    space, size = spaces.get("nas_bench_201"), SIZES["nas_bench_201"]
    (genotype,) = latency.random_genotypes(space, 1, 1)
    estimate = genotype_costs.count(space, *size).of(genotype)
    network = Network(space, genotype, size[0], size[1], 10)
    model = functional(network, images, *latency._neutral(3))
    examples = latency.np.random.default_rng(0).integers(0, 255, (4, *images)).astype("uint8")
    path = tmp_path / "int8.tflite"
    formats.write_tflite_int8(model, path, examples)
    assert estimate.tflite_int8_bytes == pytest.approx(path.stat().st_size, rel=0.1)
    assert estimate.tflite_int8_bytes < estimate.tflite_bytes / 2


def test_only_what_is_not_known_is_measured(monkeypatch):
    from tf_darts import config as config_lib

    config = config_lib.default()
    config.space, config.training.channels, config.training.cells = "nas_bench_201", 4, 1
    space = spaces.get("nas_bench_201")
    parts = genotype_costs.parts_of(space, 4, 1, 10, (8, 8, 1))
    asked = []

    def measure(parts, threads):
        asked.append((set(parts), threads))
        return LatencyTable(dict.fromkeys(parts, 1.0), {"threads": str(threads)})

    monkeypatch.setattr(latency, "measure", measure)
    monkeypatch.setattr(latency, "scaled", lambda table, *_: table)
    whole = latency.of_config(config, space, 10, (8, 8, 1), threads=2)
    assert asked == [(set(parts), 2)] and whole.ms.keys() == parts.keys()
    assert latency.of_config(config, space, 10, (8, 8, 1), whole) is whole and len(asked) == 1
    known = LatencyTable({NOTHING: 0.25, latency_table.Part("x", 1, 1, 1, 1, 1): 2.0}, {"threads": "3"})
    more = latency.of_config(config, space, 10, (8, 8, 1), known)
    assert asked[1] == (set(parts) - {NOTHING}, 3)
    assert more.ms == {**dict.fromkeys(parts, 1.0), **known.ms} and more.about == known.about


def test_whole_networks_scale_a_table(monkeypatch):
    space, size = spaces.get("nas_bench_201"), (4, 1, 10, (8, 8, 1))
    table = LatencyTable(dict.fromkeys(genotype_costs.parts_of(space, *size), 0.5) | {NOTHING: 0.25})
    plain = latency.random_genotypes(space, 0, latency.SCALED_BY, "scale of latency")
    sums = [genotype_costs.count(space, *size, table).of(g).nanoseconds / 1e6 for g in plain]
    factors = [1.3, 1.1, 1.2]
    measured = [s * f / 1000 for s, f in zip(sums, factors, strict=True)]
    monkeypatch.setattr(latency, "seconds_of", lambda contents, threads: measured)
    scaled = latency.scaled(table, space, *size)
    assert scaled.scale == 1.2 and table.scale == 1.0 and scaled.ms == table.ms
    found = latency.check(space, plain, *size, scaled)
    assert found[2].predicted_ms == pytest.approx(found[2].measured_ms, rel=1e-4)


def test_files_for_another_machine_are_those_of_the_rows(tmp_path):
    place = pathlib.Path(tmp_path) / "phone" / "latency.csv"
    space = spaces.get("nas_bench_201")
    number = latency.write_files(place, space, 4, 1, 10, (4, 4, 1))
    files = sorted(place.parent.glob("*.tflite"))
    assert len(files) == number == len(genotype_costs.parts_of(space, 4, 1, 10, (4, 4, 1)))
    filled = "".join(
        f"{line}{0.5 if line.endswith(',') else ''}\n" for line in place.read_text().splitlines()
    )
    place.write_text(filled)
    table = latency_table.read(place)
    assert {f"{'_'.join(map(str, part))}.tflite" for part in table.ms} == {file.name for file in files}
    assert latency.seconds_of([files[0].read_bytes()])[0] > 0
