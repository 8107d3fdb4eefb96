"""What only the chapter on UniSim needs: its data, the mixture, policies from dreams, shipping."""
