"""Training with everything on the device: what a step needs lies there, the step itself is recorded, and processes draw ahead.

A small model on a large GPU waits for all that is around it: for pictures and captions, for copies, for thousands of
launches a step. So worker processes make lessons (studio, drawing), which are copied beside the steps (pool) into tensors
that stay (rows); a step draws its own batch and noise there (lessons) and is replayed as one CUDA graph (step).
"""
