"""Networks that turn images into features and scores, their weights, references and caches."""
