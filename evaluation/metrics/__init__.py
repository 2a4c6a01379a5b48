"""The numbers: distances, scores of images against prompts, what an autoencoder keeps; their differences."""
