"""Your own images: a network is found, trained and exported within a budget and a time limit.

    bin/run --config=configs/own_images.py --workdir=runs/mine --data_dir=IMAGES --budget=200k --hours=1

Cost: from four minutes; the plan that is printed first says it for your images, or --hours limits it.
Result, three seeds of five classes of CIFAR-10, 600 images each: 80.1 % with 198,000 parameters, in seven
minutes of one core; the CNN of TensorFlow's tutorial has 76.0 % at the same size and cost.

What is searched is the cell of NAS-Bench-201, with the recipe of configs/recommended_small.py. Scale, epochs
and batches are picked from the images by the rules of docs/own_images.md. A flag --config.FIELD=VALUE sets a
field all the same.
"""

from tf_darts.config import files


def get_config():
    config = files.load("recommended_small")
    config.own_images.plan = True
    config.comparison.rivals = ("random_cell", "residual_network")
    config.data.source = "folder"
    config.data.downscale = 1
    config.data.crop_padding = 0  # the rules say more, but where images are streamed
    config.data.limit_train = 0
    config.training.update(
        {
            "learning_rate": 0.025,
            "weight_decay": 5e-4,
            "label_smoothing": 0.1,
            "evaluate_every": 5,
        }
    )
    return config
