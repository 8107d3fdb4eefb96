"""What only the chapter on Sora needs: its judge, its measurements, how its checkpoint is made."""
