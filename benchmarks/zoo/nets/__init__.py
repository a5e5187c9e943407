"""The classic networks, layer for layer as torchvision, ultralytics or PyTorch Hub define them."""
