"""Every setting: its default, what is allowed, and what it means; and the check of a whole config.

`default()` is the DARTS space on CIFAR-10 with the published settings (DARTS-PT, section 5 and the
authors' release). A file in `configs/` says only what differs from it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections

from tf_darts import registry, spaces, trust
from tf_darts.config import checks, limits
from tf_darts.config import field as field_lib
from tf_darts.config.field import (
    Field,
    OneOf,
    flag_field,
    integer_field,
    name_field,
    number_field,
    one_of_field,
    text_field,
    tuple_field,
)
from tf_darts.errors import UserError, show
from tf_darts.registry import CRITERIA, EXTENSIBLE, PROXIES, SELECTIONS, Registry


def _extension(entries: Registry) -> Field:
    """Make a field for what a user adds to a registry: names, and where the things are."""
    allowed = "a dictionary of names and 'module:attribute' or 'FILE.py:attribute'"

    def plain(value: Any) -> dict[str, str] | None:
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            return None
        return {name: registry.absolute(item) for name, item in value.items()}

    return Field({}, f"names added as {entries.field}: {allowed}", allowed, lambda v: True, plain)


def _stages(default: tuple[int, ...], doc: str) -> Field:
    """Make a field with a number for each stage of a progressive search."""
    most = limits.OPERATIONS.most

    def check(value: tuple) -> bool:
        return len(value) <= most and all(type(n) is int and 1 <= n <= most for n in value)

    return Field(default, doc, f"a tuple of integers of at least 1 and at most {most}", check)


_STEM = (
    "what comes before the first cell. plain: one convolution; pooled: the same and a max pooling of stride"
    " 2, and such a pair between the stages of NAS-Bench-201; imagenet: three convolutions of stride 2"
)

FIELDS: dict[str, dict[str, Field]] = {
    "": {
        "seed": integer_field(0, "seed of every random draw", limit=limits.SEED),
        "space": one_of_field(
            "darts", "search space; custom: as custom_space describes it", *spaces.SPACES, spaces.custom.NAME
        ),
    },
    "extensions": {name: _extension(entries) for name, entries in EXTENSIBLE.items()},
    "custom_space": {  # for space "custom"; docs/extending.md
        "stacking": one_of_field(
            "darts", "how cells stack, and their inputs and types", *spaces.custom.STACKINGS
        ),
        "nodes": integer_field(4, "intermediate nodes of a cell", 1, limit=limits.NODES),
        "candidates": Field(
            None,
            "candidate operations: names for all edges, or by cell type ('normal', 'reduce'); instead of"
            " names also a list with names for each edge in order, or by edge ('2<-0')",
            "names of operations as tuples, by cell type and edge as dictionaries",
            lambda v: True,
            spaces.custom.plain_candidates,
        ),
        "kept_edges": integer_field(
            2, "input edges that a node of a genotype keeps; 0: all", limit=limits.NODES
        ),
        "output_nodes": tuple_field(
            int,
            "nodes whose concatenation is the cell's output; (): all (darts), the last (nas_bench_201)",
            "a tuple of nodes, as (2, 3)",
            limits.NODES,
        ),
        "batch_norm_after": tuple_field(
            str,
            "operations followed by a non-affine batch norm in the supernet (the published spaces: poolings)",
            "a tuple of names of operations, as ('max_pool_3x3',)",
            limits.OPERATIONS,
        ),
        "none_in_genotype": flag_field(False, "whether the operation none may be chosen"),
        "extra_selection_epoch": flag_field(
            True, "an epoch of fine-tuning before the last decision event too (DARTS; not NAS-Bench-201)"
        ),
    },
    "data": {
        "source": one_of_field("tfds", "where images come from", "digits", "tfds", "npz", "folder"),
        "name": text_field("cifar10", "tfds name, for source tfds"),
        "path": text_field("", "tfds data directory, .npz file, or folder of images by class"),
        "image_size": integer_field(
            32,
            "side to which source folder resizes its images, or of the crops with data.stream, pixels",
            1,
            limit=limits.PIXELS,
        ),
        "fit": one_of_field(
            "squeeze",
            "how source folder makes an image a square: all of it, squeezed; its middle; all of it, between"
            " black bars",
            "squeeze",
            "crop",
            "pad",
        ),
        "enlarge": one_of_field(
            "pad",
            "what a network does if it cannot halve height and width as often as it must: pad adds a border"
            " of the mean colour up to the next size, resize interpolates to that size",
            *spaces.ENLARGE,
        ),
        "test_fraction": number_field(
            0.2, "share of source folder held out where it has no test/", 0.01, 0.9
        ),
        "downscale": integer_field(
            1, "average squares of so many by so many pixels into one, after loading", 1, limit=limits.PIXELS
        ),
        "share": number_field(
            1.0,
            "share of the training images of each class that is used, drawn by the seed; of streamed tfds"
            " records, the first ones",
            1e-6,
            1.0,
        ),
        "limit_train": integer_field(0, "use only this many training images, the first ones; 0: all"),
        "limit_test": integer_field(0, "use only this many test images, the first ones; 0: all"),
        "train_fraction": number_field(0.5, "share of the training images that fits the weights", 0.01, 0.99),
        "training_only": number_field(
            0.0,
            "share of the training images that the search does not see, and that networks are trained on"
            " alone; 0: both have all of them",
            0.0,
            0.99,
        ),
        "split": one_of_field(
            "seed",
            "how halves are made: shuffled by seed; the same within each class; or in file order",
            "seed",
            "class",
            "order",
        ),
        "test_split": text_field("test", "tfds split, or folder beside train/, of the test images"),
        "stream": flag_field(
            False,
            "decode images for each batch and crop and colour them as ImageNet's, instead of holding them in"
            " memory; with source tfds or folder",
        ),
        "test_resize": integer_field(
            256,
            "with stream: the shorter side of test images, of which the centre is taken, pixels",
            1,
            limit=limits.PIXELS,
        ),
        "color_jitter": number_field(
            0.4, "with stream: largest change of brightness, contrast and saturation", 0.0, 1.0
        ),
        "hue_jitter": number_field(0.2, "with stream: largest change of hue, of the circle", 0.0, 0.5),
        "crop_padding": integer_field(
            4, "pixels of black padding before the random crop; 0: no crop", limit=limits.PIXELS
        ),
        "flip": flag_field(True, "random horizontal flips"),
    },
    "search": {
        "method": name_field(registry.METHODS, "darts", "how weights and alpha are fitted"),
        "parts": tuple_field(
            str,
            "what a step does otherwise, beside the method's own parts (docs/methods.md)",
            "a tuple of names of parts, as ('beta_decay',)",
            limits.PARTS,
        ),
        "channels": integer_field(16, "initial channels C of the supernet", 1, limit=limits.CHANNELS),
        "cells": integer_field(
            8, "depth: cells in all (DARTS) or per stage (NAS-Bench-201)", 1, limit=limits.CELLS
        ),
        "stem": one_of_field("plain", _STEM, *spaces.STEMS),
        "epochs": integer_field(50, "epochs of bilevel search", 1, limit=limits.EPOCHS),
        "stop_after": integer_field(
            0,
            "end the search after this many epochs, with the schedules of all epochs; 0: run them all",
            limit=limits.EPOCHS,
        ),
        "batch_size": integer_field(64, "global batch of both halves", 1),
        "learning_rate": number_field(0.025, "SGD learning rate in the first epoch (cosine per epoch)"),
        "learning_rate_min": number_field(0.001, "where the cosine ends"),
        "momentum": number_field(0.9, "SGD momentum", 0.0, 1.0),
        "weight_decay": number_field(3e-4, "L2 coefficient on the weights, added after clipping"),
        "clip_norm": number_field(5.0, "largest global norm of the weight gradient; 0: no clipping"),
        "cutout_length": integer_field(
            0, "side of the cutout square in both halves' batches, pixels; 0: none", limit=limits.PIXELS
        ),
        "alpha_learning_rate": number_field(3e-4, "Adam learning rate of alpha"),
        "alpha_beta1": number_field(0.5, "Adam decay of the first moment", 0.0, 0.9999),
        "alpha_beta2": number_field(0.999, "Adam decay of the second moment", 0.0, 0.99999),
        "alpha_epsilon": number_field(1e-8, "Adam epsilon, added after bias correction"),
        "alpha_weight_decay": number_field(1e-3, "L2 coefficient on alpha, added to its gradient"),
        "alpha_scale": number_field(1e-3, "standard deviation of alpha's start, where it is trained"),
        "fixed_alpha_scale": number_field(
            0.0, "the same for methods that never train it: 0 as the paper says; the authors' code has 1e-3"
        ),
        "alpha_warmup_epochs": integer_field(
            0, "first epochs, in which alpha is not trained (PC-DARTS: 15)", limit=limits.EPOCHS
        ),
        "evaluate_every": integer_field(
            1, "epochs between evaluations of the supernet; 0: never", limit=limits.EPOCHS
        ),
    },
    "early_stopping": {
        "window": integer_field(
            0,
            "epochs over which alpha's largest Hessian eigenvalue is averaged (RobustDARTS: 5); 0: no"
            " stopping",
            limit=limits.EPOCHS,
        ),
        "ratio": number_field(0.75, "stop where the earlier mean over the later one is below this", 0.0, 1.0),
    },
    "sdarts": {
        "radius_start": number_field(0.03, "radius of the perturbation in the first epoch", 0.0, 1.0),
        "radius_end": number_field(0.3, "where it ends, and in fine-tuning (linear)", 0.0, 1.0),
        "attack_steps": integer_field(7, "steps of the attack, for sdarts_adv", 1, limit=limits.ATTACK_STEPS),
    },
    "gdas": {
        "temperature_start": number_field(10.0, "temperature of the Gumbel-softmax at first", 1e-3),
        "temperature_end": number_field(0.1, "where it ends, and in fine-tuning (linear)", 1e-3),
    },
    "pc_darts": {
        "partial_channels": integer_field(
            4, "K: one in K channels goes through the operations", 1, limit=limits.CHANNELS
        ),
    },
    "beta_decay": {
        "factor_start": number_field(0.0, "factor on the mean logsumexp of alpha in the first epoch"),
        "factor_end": number_field(50.0, "where it ends, and in fine-tuning (linear)"),
    },
    "alpha_l2": {
        "factor_start": number_field(1e-3, "L2 coefficient of alpha in the first epoch"),
        "factor_end": number_field(1e-3, "where it ends, and in fine-tuning (linear)"),
    },
    "zero_one": {
        "factor_start": number_field(
            10.0, "factor on the mean of -(sigmoid(alpha) - 1/2)^2 in the first epoch"
        ),
        "factor_end": number_field(10.0, "where it ends, and in fine-tuning (linear)"),
    },
    "frozen_operations": {
        "threshold": number_field(
            0.4, "cosine similarity of both halves' gradients below which an operation is frozen", -1.0, 1.0
        ),
        "checks": integer_field(20, "steps over which it is averaged", 1),
    },
    "aligned_cells": {
        "factor": number_field(
            0.125, "factor on the alignment of cells in the last epoch; 0 in the first (linear)"
        ),
        "epsilon": number_field(
            1e-4, "length of the move of the mixing weights in the finite difference", 1e-8, 1.0
        ),
    },
    "snas": {
        "temperature_start": number_field(1.0, "temperature of the Concrete distribution at first", 1e-3),
        "temperature_end": number_field(0.33, "where it ends, and in fine-tuning (linear)", 1e-3),
    },
    "reinmax": {
        "temperature_start": number_field(1.0, "temperature of ReinMax at first", 1e-3),
        "temperature_end": number_field(1.0, "where it ends, and in fine-tuning (linear)", 1e-3),
    },
    "drnas": {
        "regularization": number_field(1e-3, "factor on the distance to the uniform Dirichlet distribution"),
    },
    "progressive": {
        "partial_channels": _stages(
            (4, 2),
            "of each stage, K: one in K channels goes through the operations (NAS-Bench-201; DARTS: 6, 4)",
        ),
        "operations": _stages(
            (5, 3), "operations of an edge in each stage, at most (NAS-Bench-201; DARTS: 7, 4)"
        ),
    },
    "shapley": {
        "warmup": number_field(
            0.5, "share of the epochs after which alpha moves for the first time, then after each", 0.0, 0.999
        ),
        "step_size": number_field(0.1, "alpha moves by so much of the values' running mean"),
        "momentum": number_field(0.8, "share of that mean that stays after an epoch", 0.0, 0.9999),
        "permutations": integer_field(
            10, "random orders in which all operations are removed after an epoch", 1, limit=limits.DRAWS
        ),
        "truncation": number_field(
            0.5,
            "an order is cut off where the accuracy is less than this share of the whole one's; 0: never",
            0.0,
            1.0,
        ),
        "batch_size": integer_field(1024, "validation images of an order, all the half at most", 1),
    },
    "sgas": {
        "warmup_epochs": integer_field(
            9, "epochs before the one that ends with the first decision", limit=limits.EPOCHS
        ),
        "interval": integer_field(5, "epochs between two decisions", 1, limit=limits.EPOCHS),
        "batch_increase": integer_field(8, "images by which the batch grows with each decision"),
        "criterion": Field(1, "scores of edges: 2 counts stability too", "1 or 2", lambda v: v in (1, 2)),
        "history": integer_field(
            4, "epochs that stability looks back on, for criterion 2", 1, limit=limits.EPOCHS
        ),
        "decision": name_field(CRITERIA, "magnitude", "what an edge's operation is judged by"),
    },
    "selection": {
        "method": name_field(SELECTIONS, "perturbation", "how the architecture is chosen"),
        "name": text_field(
            "", "name of the folder for the results, under selection/; empty: the method's", limits.NAME
        ),
        "criterion": name_field(
            CRITERIA, "accuracy", "what operations are judged by; magnitude: the paper's DARTS+PT-Mag"
        ),
        "topology_criterion": Field(
            "same",
            "what input edges are judged by",
            OneOf(CRITERIA, ("same (as selection.criterion)",)),
            lambda v: v == "same" or v in CRITERIA,
        ),
        "order": one_of_field(
            "random",
            "in which order edges and nodes are decided: random, as published, by index, or by the entropy of"
            " their mixing weights after the search: the largest (least_certain) or the smallest first",
            "random",
            "index",
            "least_certain",
            "most_certain",
        ),
        "topology_first": flag_field(
            False, "perturbation decides the input edges of all nodes before the operations of the others"
        ),
        "one_shot": flag_field(
            False, "make every decision from the searched supernet, without earlier decisions or fine-tuning"
        ),
        "supernets": integer_field(
            1,
            "supernets that are searched, each with its own seed; more than 1 with one_shot only, whose"
            " probes are judged by what they cost in all of them together; other methods take the first",
            1,
            limit=limits.SUPERNETS,
        ),
        "interval": integer_field(
            5, "epochs of fine-tuning between two decision events; 0: none", 0, limit=limits.EPOCHS
        ),
        "learning_rate": number_field(0.0025, "constant SGD learning rate of fine-tuning"),
        "weight_decay": number_field(3e-4, "L2 coefficient on the weights in fine-tuning"),
        "drop_path": number_field(
            0.0, "probability that a step of fine-tuning drops an operation's mixing weight", 0.0, 0.95
        ),
        "cutout_length": integer_field(
            0, "side of the cutout square in fine-tuning, pixels; 0: none", limit=limits.PIXELS
        ),
        "label_smoothing": number_field(0.0, "label smoothing in fine-tuning", 0.0, 0.99),
        "noise_radius": number_field(
            0.0,
            "radius of uniform noise on mixing weights in fine-tuning, as SDARTS has in the search",
            0.0,
            1.0,
        ),
        "threshold": number_field(
            0.0,
            "magnitude gives an edge `none` where no other operation has a larger mixing weight (FairDARTS:"
            " 0.85); 0: it judges `none` by its own",
            0.0,
            0.9999,
        ),
        "samples": integer_field(1000, "genotypes that supernet_ranking evaluates", 1, limit=limits.DRAWS),
        "permutations": integer_field(
            10, "random orders in which shapley removes all operations", 1, limit=limits.DRAWS
        ),
        "truncation": number_field(
            0.5,
            "shapley cuts an order off where the accuracy is less than this share of the whole supernet's; 0:"
            " never",
            0.0,
            1.0,
        ),
        "proxy": one_of_field("nwot", "zero-cost proxy by which zero_cost_pt decides", *PROXIES),
        "proposals": integer_field(10, "genotypes that zero_cost_pt proposes", 1, limit=limits.DRAWS),
        "proposal_batches": integer_field(
            100, "batches on which zero_cost_pt scores each proposal", 1, limit=limits.DRAWS
        ),
        "augment_probes": flag_field(True, "probe on augmented validation images, as published"),
        "measure_whole": flag_field(
            True,
            "also score the whole supernet beside the probes of an edge, to tell what each operation is"
            " worth: one more probe for each decision, which does not depend on it",
        ),
        "probe_images": integer_field(
            0, "probe on this many validation images, the first ones; 0: all, as published"
        ),
        "probe_batch_size": integer_field(
            0,
            "images in a batch of a probe, whose statistics it uses; every replica takes such batches; 0:"
            " search.batch_size, as published",
        ),
        "probe_statistics": one_of_field(
            "batch",
            "what batch norms normalise by in a probe: the batch's statistics, as published; running ones; or"
            " running ones that training images have moved without what the probe removes",
            "batch",
            "running",
            "recalibrated",
        ),
        "recalibration_batches": integer_field(
            50, "training batches that move them, of recalibrated probes", 1, limit=limits.DRAWS
        ),
        "racing_confidence": number_field(
            0.0,
            "stop a probe once it cannot, with this confidence, be the one that decides; 0: every probe sees"
            " all images, as published",
            0.0,
            0.9999,
        ),
        "max_parameters": integer_field(
            0,
            "most parameters that the network of `training` may have, auxiliary head left out; 0: no limit",
            limit=limits.COST,
        ),
        "max_multiply_adds": integer_field(
            0,
            "most multiply-adds that a forward pass of it may take for one image; 0: no limit",
            limit=limits.COST,
        ),
        "max_tflite_kilobytes": integer_field(
            0,
            "largest size of its TFLite file in float32, in units of 1000 bytes, as estimated; 0: no limit",
            limit=limits.COST,
        ),
        "max_latency_ms": number_field(
            0.0,
            "longest time, in milliseconds, of a call of that file with one image, as predicted; 0: no limit",
        ),
        "max_skips": integer_field(
            0,
            "most skip connections of a normal cell of the genotype (P-DARTS: 2); 0: no limit",
            limit=limits.COST,
        ),
        "latency_table": text_field(
            "",
            "table of bin/latency, perhaps filled in on another machine, that predicts latency; empty:"
            " measured on this machine if there is a limit",
        ),
        "compact": flag_field(
            True,
            "after each event, trace the functions anew without the operations that lost: the same results,"
            " faster; worth it if fine-tuning and probing between two events take longer than tracing",
        ),
    },
    "training": {
        "channels": integer_field(36, "initial channels C of the network", 1, limit=limits.CHANNELS),
        "cells": integer_field(
            20, "depth: cells in all (DARTS) or per stage (NAS-Bench-201)", 1, limit=limits.CELLS
        ),
        "stem": one_of_field("plain", _STEM, *spaces.STEMS),
        "epochs": integer_field(600, "epochs of training from scratch", 1, limit=limits.EPOCHS),
        "batch_size": integer_field(96, "global batch", 1),
        "learning_rate": number_field(0.025, "SGD learning rate at first"),
        "learning_rate_min": number_field(0.0, "where cosine and linear end"),
        "schedule": one_of_field("cosine", "how it falls, by epoch", "cosine", "linear", "exponential"),
        "decay": number_field(0.97, "factor after each epoch, for schedule exponential", 1e-6, 1.0),
        "warmup_epochs": integer_field(
            0, "first epochs, over which it rises in equal steps", limit=limits.EPOCHS
        ),
        "momentum": number_field(0.9, "SGD momentum", 0.0, 1.0),
        "weight_decay": number_field(3e-4, "L2 coefficient on all weights, added after clipping"),
        "clip_norm": number_field(5.0, "largest global norm of the gradient; 0: no clipping"),
        "auxiliary_weight": number_field(0.4, "weight of the auxiliary head's loss; 0: no auxiliary head"),
        "drop_path": number_field(0.2, "drop-path probability reached at the end (linear)", 0.0, 0.95),
        "cutout_length": integer_field(16, "side of the cutout square, pixels; 0: none", limit=limits.PIXELS),
        "label_smoothing": number_field(0.0, "label smoothing", 0.0, 0.99),
        "evaluate_every": integer_field(
            1, "epochs between test evaluations; the last is always done", 1, limit=limits.EPOCHS
        ),
    },
    # What an analysis depends on is in `tf_darts.registry.ANALYSIS_READS`.
    "analysis": {
        "edges": text_field(
            "",
            "edges for strength and perturbation, such as normal:3<-1 or normal:4, with commas; empty: all",
        ),
        "epochs": integer_field(
            20,
            "epochs in which strength trains the supernet again after an edge is discretised",
            1,
            limit=limits.EPOCHS,
        ),
        "learning_rate": number_field(0.0025, "SGD learning rate in the first of them (cosine per epoch)"),
        "learning_rate_min": number_field(0.0, "where the cosine ends"),
        "table_column": text_field(
            "c10_test200", "column of the NAS-Bench-201 table from which true accuracies are taken"
        ),
        "draws": integer_field(5, "random exchanges of each kind, for shuffle", 1, limit=limits.DRAWS),
        "batches": integer_field(4, "validation batches over which hessian averages", 1, limit=limits.DRAWS),
        "spectrum_entries": integer_field(
            100,
            "hessian computes every eigenvalue where alpha has at most this many entries",
            limit=limits.ENTRIES,
        ),
    },
    "runtime": {
        "strategy": one_of_field(
            "one_device",
            "where steps run: one device; all GPUs of the machine (or logical CPUs); several processes, as"
            " TF_CONFIG says; a TPU",
            "one_device",
            "mirrored",
            "multi_worker",
            "tpu",
        ),
        "tpu": text_field(
            "local", "for strategy tpu: local for the TPU of this machine, or the name or address of one"
        ),
        "logical_devices": integer_field(
            0, "split the CPU into this many devices, to try mirrored; 0: do not", limit=limits.DEVICES
        ),
        "precision": one_of_field(
            "float32",
            "of activations; with mixed_bfloat16 (GPU, TPU) variables, alpha, mixing weights, batch"
            " statistics and losses stay in float32; with float64 (CPU, slow) all of it is float64",
            "float32",
            "mixed_bfloat16",
            "float64",
        ),
        "kernels": one_of_field(
            "auto",
            "what computes edges on a CPU: native kernels of this package, compiled once; tensorflow; auto:"
            " native where search.channels is a multiple of 16, training.channels of 4 and at least 16",
            "auto",
            "native",
            "tensorflow",
        ),
        "xla": one_of_field(
            "auto",
            "whether XLA compiles each step to one program (docs/performance.md); auto: on the GPUs of one"
            " machine, not on a CPU; a TPU compiles everything",
            "auto",
            "on",
            "off",
        ),
        "sync_batch_norm": flag_field(
            False, "batch norm by the statistics of the global batch, not of each replica's share"
        ),
        "steps_per_call": integer_field(20, "compiled steps per call from the host", 1),
        "checkpoint_minutes": number_field(
            10.0, "time between checkpoints inside an epoch; each epoch ends with one"
        ),
        "skipped_steps": integer_field(
            0,
            "how many steps in a row may be skipped because loss or gradient is not finite; 0: none, stop",
        ),
        "deterministic": flag_field(True, "only operations whose result does not depend on timing"),
        "tensorboard": flag_field(True, "write TensorBoard events"),
        "profile_steps": integer_field(
            0,
            "trace so many steps (of search, fine-tuning, training) for TensorBoard's page Profile; 0: none",
            limit=limits.TRACED_STEPS,
        ),
    },
    # What a run picks itself, instead of other fields; no stage depends on this section.
    "own_images": {
        "plan": flag_field(
            False,
            "whether bin/run picks scale, epochs and batches from the images, by the rules of"
            " docs/own_images.md; what a flag sets is kept",
        ),
        "budget": text_field(
            "",
            "what the network may cost, such as 200k parameters, 300 kB, 2 ms; empty: as many parameters as"
            " the rules allow for the number of images",
        ),
        "hours": number_field(0.0, "time limit of the whole run; 0: none"),
    },
    # No stage depends on these sections: they may change from one command to the next.
    "comparison": {
        "rivals": Field(
            (),
            "what bin/run trains to compare with the network that was found: a random cell in the same way, a"
            " residual network of the same size for as many images as the whole search",
            f"a tuple of some of {', '.join(registry.RIVALS)}, each once",
            lambda v: all(v.count(name) == 1 and name in registry.RIVALS for name in v),
        ),
    },
    "report": {
        "table": text_field(
            "", "file of the whole NAS-Bench-201 table; empty: the accuracies that come with the package"
        ),
        "surrogate": text_field(
            "",
            "file of bin/convert_nas_bench_301, by which bin/study and bin/select predict accuracies in the"
            " DARTS space; empty: none",
        ),
    },
}

# All fields by their whole names, as flags and messages have them.
NAMES = tuple(f"{section}.{name}" if section else name for section, group in FIELDS.items() for name in group)


def default() -> ml_collections.ConfigDict:
    """Return the published settings for the DARTS space on CIFAR-10, a config that the caller may change."""
    config = ml_collections.ConfigDict()
    for section, group in FIELDS.items():
        values = {name: _initial(field) for name, field in group.items()}
        if section:
            config[section] = values
        else:
            config.update(values)
    return config


def _initial(field: Field) -> Any:
    """Return a field's default; where there is none, a place for a value of any type."""
    return ml_collections.config_dict.placeholder(object) if field.default is None else field.default


def _unknown(name: str, known: Sequence[str]) -> UserError:
    hint = registry.hint(name, known)
    more = "" if hint.startswith("did") else "; tf_darts/config/fields.py lists them"
    return UserError(f"config: unknown field {show(name)}; {hint}{more}")


def validate(config: ml_collections.ConfigDict, source: str = "config") -> ml_collections.ConfigDict:
    """Check a whole config, before any device is touched.

    Args:
      config: a config as a file in `configs/` returns it, with overrides applied.
      source: where it is from, for messages about code that it names.

    Returns:
      A frozen-type copy with every field present and of its declared type.

    Raises:
      UserError: an unknown or missing field, a wrong type, a value that is not allowed, or settings that
        contradict each other; the message names the field, its value and what is allowed.

    What `extensions` names is in the registries afterwards; it is loaded only where the user named it too
    (`allow_extensions`).
    """
    checked = default()
    # What extensions add is there before any other field names it.
    for top, value in sorted(config.items(), key=lambda item: item[0] != "extensions"):
        if top in FIELDS and top:
            if not isinstance(value, ml_collections.ConfigDict | dict):
                raise UserError(f"config: {top} is {show(value)}; allowed: a group of fields")
            for name, item in value.items():
                full = f"{top}.{name}"
                if name not in FIELDS[top]:
                    raise _unknown(full, NAMES)
                checked[top][name] = field_lib.checked(full, item, FIELDS[top][name])
            if top == "extensions":
                _extend(checked[top], source)
        elif top in FIELDS[""]:
            checked[top] = field_lib.checked(top, value, FIELDS[""][top])
        else:
            raise _unknown(top, (*NAMES, *filter(None, FIELDS)))
    checks.check(checked, FIELDS)
    return checked


def with_method(config: ml_collections.ConfigDict, method: str | None) -> ml_collections.ConfigDict:
    """Return a valid copy of a config with another selection method (None: the same)."""
    config = ml_collections.ConfigDict(config.to_dict())
    if method not in (None, config.selection.method):
        config.selection.method, config.selection.name = method, ""  # a name belongs to one selection
    return validate(config)


def allow_extensions(extensions: Any) -> None:
    """Let the code be loaded that a section `extensions` names, which the user has named or written.

    Args:
      extensions: by field, names and where the things are; anything else is left to `validate`.
    """
    groups = Mapping | ml_collections.ConfigDict
    for entries in extensions.values() if isinstance(extensions, groups) else ():
        for entry in entries.values() if isinstance(entries, groups) else ():
            if isinstance(entry, str):
                trust.allow_reference(entry)


def _extend(extensions: ml_collections.ConfigDict, source: str) -> None:
    """Add what a config names to the registries."""
    for field, entries in extensions.items():
        for name, entry in entries.items():
            try:
                EXTENSIBLE[field].register(name, entry, asked_by=source)
            except UserError as error:
                raise UserError(f"config: extensions.{field}: {error}") from None


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the fields in which two configs (plain nested dictionaries) differ, as `name: old -> new`."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key}: {a!r} -> {b!r}")
    return found
