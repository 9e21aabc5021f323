"""Sampler of SNAS: the Concrete distribution (Xie et al., ICLR 2019, equation 5).

An edge's row is the softmax of alpha's log-probabilities plus Gumbel noise, over a temperature that falls:
all operations are computed, and the nearer to 0 the temperature, the nearer is the row to a sampled
operation's.
"""

from tf_darts.models.architecture import Architecture, softmax
from tf_darts.search.now import Now
from tf_darts.search.parts.gumbel import noisy_logits
from tf_darts.search.parts.search_part import SAMPLER, Rows, SearchPart, linear


class Concrete(SearchPart):
    """Soft rows, drawn for each half of a step anew."""

    kind = SAMPLER

    def sample(self, architecture: Architecture, now: Now, half: str) -> Rows | None:
        snas = self.config.snas
        temperature = linear(snas.temperature_start, snas.temperature_end, now)
        return {
            t: softmax(
                noisy_logits(architecture, t, now.draw_seed(f"snas/{half}/{t}")) / temperature,
                architecture.open_operations[t].read_value(),
            )
            for t in architecture.alpha
        }
