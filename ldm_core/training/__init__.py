"""Training, in two stages: the autoencoder first, then the denoiser and its text encoder on cached latents."""
