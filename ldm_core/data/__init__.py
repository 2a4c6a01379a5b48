"""Training data: the drawn world, without end, and Fashion-MNIST."""
