"""One step of an LSTM as what it is: two products and a few gates.

PyTorch's CPU build runs a whole sequence through oneDNN, which sorts all weights anew at every
call: right for a sequence, and most of the time of a single step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FastLSTM(nn.LSTM):
    """``nn.LSTM`` with the same parameters; single steps without gradient take less CPU time."""

    @staticmethod
    def fits(lstm: nn.LSTM) -> bool:
        """Whether it is one layer that reads forwards, batch first."""
        plain = lstm.num_layers == 1 and not lstm.bidirectional and not lstm.proj_size
        return plain and lstm.bias and lstm.batch_first

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """[B, T, D] and the state, each [1, B, H] -> [B, T, H] and the new state."""
        slow = torch.is_grad_enabled() or x.device.type != "cpu" or x.ndim != 3
        if slow or x.shape[1] != 1 or torch.is_autocast_enabled("cpu"):
            return super().forward(x, state)
        if state is None:
            state = (x.new_zeros(1, len(x), self.hidden_size),) * 2
        h, c = torch.lstm_cell(
            x[:, 0],
            (state[0][0], state[1][0]),
            self.weight_ih_l0,
            self.weight_hh_l0,
            self.bias_ih_l0,
            self.bias_hh_l0,
        )
        return h[:, None], (h[None], c[None])
