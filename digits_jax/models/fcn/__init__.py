"""The network as a fully convolutional network: exact response maps at stride 2.

features → dense_head (winograd) → tiling (sparse_tiles, pyramid) → response_maps
- `features`: layers 1–5 of all 28×28 windows of a tile, with zeros beyond each window's own edge.
- `dense_head`: layers 6–8 of these windows; `winograd` shares products between neighbours.
- `tiling`: cuts images, at the scales of a `pyramid`, into tiles and joins the tiles' results.
- `sparse_tiles`: computes only those tiles and subtiles that are needed and not blank.
- `response_maps`: the public function, from logits to probabilities, margin, entropy and label.
"""
