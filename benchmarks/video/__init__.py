"""What frames of real videos cost an image network on spikes that goes on from each to the next."""
