"""Collecting: from the work directories to the files of a study's results.

OUTPUT/results.csv, results.json     a row for every finished selection
OUTPUT/epochs.csv                    magnitude and the supernet after every epoch of every finished search
OUTPUT/alpha.csv                     alpha after every epoch of every finished search that trains it
OUTPUT/decisions.csv                 what every finished selection measured before each decision
OUTPUT/correlations.csv              how well measures of operations agree, for every finished analysis
OUTPUT/summary.json, summary.md      over the seeds: means, intervals, paired differences
OUTPUT/comparison.png, epochs.png, correlations.png
                                     the same as pictures
"""

import dataclasses

import tensorflow as tf

from tf_darts.study import collect, correlations, decisions, epochs, pictures
from tf_darts.study.collect import Tables
from tf_darts.study.output import Output
from tf_darts.study.report import report
from tf_darts.study.settings import Study
from tf_darts.study.summary import summarise
from tf_darts.workdir.files import write_atomically
from tf_darts.workdir.records import write_json


def conclude(study: Study, output: Output, tables: Tables) -> str:
    """Write all files from what is finished; return the text of summary.md."""
    tf.config.set_visible_devices([], "GPU")  # alpha is small, and the GPU may be at work for a job
    rows, by_epoch = collect.results(study, output, tables), epochs.epochs(study, output, tables)
    compared = correlations.correlations(study, output)
    collect.write(
        output,
        rows,
        {
            "epochs": by_epoch,
            "alpha": epochs.alpha(study, output),
            "decisions": decisions.decisions(study, output),
            "correlations": compared,
        },
    )
    summary, agreements = summarise(study, rows, tables.all()), correlations.agreements(compared)
    mechanism = {"agreements": [dataclasses.asdict(agreement) for agreement in agreements]}
    write_json(output / "summary.json", summary.to_json() | mechanism)
    text = report(study, summary, agreements)
    write_atomically(output / "summary.md", text.encode())
    made = {
        "comparison.png": pictures.comparison(study, summary),
        "epochs.png": pictures.over_epochs(study, by_epoch, summary),
        "correlations.png": pictures.correlations(study, agreements),
    }
    for name, picture in made.items():
        if picture is None:
            (output / name).unlink(missing_ok=True)  # it would be of another study
        else:
            write_atomically(output / name, picture)
    return text
