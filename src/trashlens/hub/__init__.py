"""The Hugging Face Hub: the model repository with its card, the Space, and training jobs."""
