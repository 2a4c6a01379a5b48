"""What a latent diffusion model does beside drawing from noise: one task a file."""
