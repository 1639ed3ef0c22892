"""Images: files, folders and pages; photo normalisation; MNIST's format."""
