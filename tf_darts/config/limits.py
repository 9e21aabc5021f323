"""How large settings may be at most, and why: the upper ends of ranges, which messages show with the reason.

They stop what no machine can do and what fails far below with a message about something else. What depends on
the data or the machine (a batch, channels that fit in memory) is checked where both are known, before any
work: `tf_darts.search.setup.check`, `tf_darts.training.setup.check`.
"""

from tf_darts.config.bound import Bound

SEED = Bound(2**32 - 1, "a seed has 32 bits")
# Of images, batches and steps. TensorFlow's shapes and the numbers of steps are int32.
COUNT = Bound(2**31 - 1, "counts have 31 bits")
COST = Bound(10**30, "no network takes as much")
NUMBER = Bound(1e9, "products of such numbers stay finite in float32")
EPOCHS = Bound(100_000, "every epoch is planned ahead and has a row in metrics.jsonl and in the report")
CHANNELS = Bound(4096, "a convolution between four times as many takes 1 GB")
CELLS = Bound(1000, "each cell is traced into the graph for itself")
PIXELS = Bound(4096, "an image of that side takes 50 MB, and 200 MB as a network's input")
DEVICES = Bound(64, "each part of a CPU holds a supernet of its own")
THREADS = Bound(1024, "more than any machine has cores for")
NODES = Bound(32, "the edges of a cell, each a mixed operation, grow with the square of its nodes")
PARTS = Bound(100, "each adds to every step")
OPERATIONS = Bound(100, "each is a layer of every edge")
ATTACK_STEPS = Bound(1000, "each takes as long as a step of the search")
SUPERNETS = Bound(64, "each is a search of its own, and memory holds all of them")
DRAWS = Bound(1_000_000, "each takes at least a pass of the supernet")
ENTRIES = Bound(10_000, "the Hessian of so many takes 800 MB, and its eigenvalues an hour")
TRACED_STEPS = Bound(1000, "TensorBoard opens no larger trace")
TEXT = Bound(4096, "bytes: the longest path of a file")
NAME = Bound(200, "bytes: the longest name of a file has 255")
# Of all cells together.
SUPERNET = Bound(20_000, "tracing its graph takes half an hour")
FOLDER_NAME = 60  # letters in the name of a selection or training; each takes up to four bytes of 255
