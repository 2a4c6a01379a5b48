"""What a latent can do beside being drawn from noise: a file a task, each also a method of the model."""
