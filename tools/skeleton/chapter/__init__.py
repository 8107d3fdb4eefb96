"""What only chapter NN, My Model, needs: its checks, and later its judge, widgets, ablations."""
