"""Training data: the everyday world, drawn without end, Fashion-MNIST and photographs."""
