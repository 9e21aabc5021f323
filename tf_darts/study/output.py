"""A study's output folder: where things are in it, and which of them are there already.

    OUTPUT/study.json                    the study's config, which jobs read
    OUTPUT/SEARCH-seedN/                 a work directory: search/, selection/SELECTION/, training/SELECTION/,
                                         analysis/ANALYSIS/
    OUTPUT/logs/SEARCH-seedN.log         what the job has said
    OUTPUT/results.csv, ...              what was collected (`collect`)

Nothing here needs TensorFlow.
"""

import contextlib
import pathlib
from collections.abc import Iterator

from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Genotype
from tf_darts.spaces import Space
from tf_darts.study import settings
from tf_darts.study.settings import Job, Study
from tf_darts.workdir import genotype_file, lock, stage_folders
from tf_darts.workdir.records import read_json, write_json
from tf_darts.workdir.stage_folder import StageFolder


class Output:
    """An output folder.

    Args:
      folder: the folder; nothing is made before `record`.

    Raises:
      UserError: it is a file, or cannot be one of work directories.
    """

    def __init__(self, folder: str | pathlib.Path):
        self.folder = pathlib.Path(folder).expanduser().absolute()
        stage_folders.check_folder("--output", str(self.folder), str(folder))

    def __truediv__(self, name: str) -> pathlib.Path:
        return self.folder / name

    def study(self) -> Study:
        """Return the study that was recorded here.

        Raises:
          UserError: there is none.
        """
        path = self / "study.json"
        if not path.exists():
            raise UserError(f"--output: {self.folder} has no study.json; give --config")
        return settings.validate(read_json(path)["config"], str(path))

    def record(self, study: Study) -> None:
        """Make the folder and write study.json.

        Raises:
          UserError: it cannot be made or written.
        """
        try:
            (self / "logs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--output: {self.folder} cannot be made: {error.strerror}") from None
        write_json(self / "study.json", {"config": study.config})

    def workdir(self, job: Job) -> pathlib.Path:
        """Return the job's work directory."""
        return self / job.name

    def log(self, name: str) -> pathlib.Path:
        """Return the log of the job of this name."""
        return self / "logs" / f"{name}.log"

    def search_stage(self, job: Job) -> StageFolder:
        """Return the folder of the job's search."""
        return stage_folders.search_stage(self.workdir(job), job.config)

    def selection_stage(self, job: Job, selection: str) -> StageFolder:
        """Return the folder of one of the job's selections."""
        return stage_folders.selection_stage(self.workdir(job), job.selections[selection])

    def training_folders(self, job: Job, selection: str) -> dict[str, pathlib.Path]:
        """Return the folders of the trainings of what a selection selects, by name of the training."""
        folder = self.workdir(job) / "training"
        return {name: folder / place for name, (place, _) in job.trained[selection].items()}

    def analysis_result(self, job: Job, analysis: str) -> pathlib.Path:
        """Return the file that says that an analysis of the job's supernet is finished."""
        return self.workdir(job) / "analysis" / analysis / "result.json"

    def check(self, job: Job) -> None:
        """Check that what is there of the job was made with its config.

        Raises:
          UserError: with another; the message names folder and fields.
        """
        stages = [self.search_stage(job)]
        stages += [self.selection_stage(job, selection) for selection in job.selections]
        for name, config in (training for of in job.trained.values() for training in of.values()):
            path = self.workdir(job) / "training" / name / "config.json"
            if path.exists():  # its genotype is checked when it is trained
                genotype = read_json(path)["config"].get("genotype")
                stages.append(stage_folders.training_stage(self.workdir(job), config, name, genotype))
        for stage in stages:
            try:
                stage.check()
            except UserError as error:
                raise UserError(str(error).replace("--workdir", "--output")) from None

    def genotype(self, job: Job, selection: str, space: Space) -> Genotype | None:
        """Return the selected genotype; None if there is none yet."""
        path = self.selection_stage(job, selection).path / "genotype.json"
        return genotype_file.load(path, space) if path.exists() else None

    def searched(self, job: Job) -> bool:
        """Return whether the search is finished."""
        return (self.search_stage(job).path / "result.json").exists()

    def finished(self, job: Job) -> bool:
        """Return whether nothing of the job is left to do."""
        selected = [self.selection_stage(job, name).path / "genotype.json" for name in job.selections]
        folders = [folder for name in job.trains for folder in self.training_folders(job, name).values()]
        trained = [folder / "result.json" for folder in folders]
        analysed = [self.analysis_result(job, name) for name in job.analyses]
        return self.searched(job) and all(path.exists() for path in (*selected, *trained, *analysed))

    @contextlib.contextmanager
    def alone(self, job: Job) -> Iterator[None]:
        """Keep other processes from the job while its block runs.

        Raises:
          UserError: another process is at work on it.
        """
        with lock.held(self.workdir(job)):
            yield
