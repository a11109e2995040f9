"""Writes OUT/types.gguf with random blocks of every type, and OUT/NAME.f32 with the values that gguf reads from them."""
import sys

import gguf
import numpy as np

out = sys.argv[1]
random = np.random.default_rng(7)
writer = gguf.GGUFWriter(out + "/types.gguf", "llama")
writer.add_block_count(1)
for name in sys.argv[2:]:
    kind = gguf.GGMLQuantizationType[name]
    values, size = gguf.GGML_QUANT_SIZES[kind]
    rows, columns = 7, 512
    blocks = random.integers(0, 256, (rows, columns // values * size), dtype=np.uint8)
    reference = gguf.quants.dequantize(blocks, kind)
    # blocks with a scale that is no number are written as zeros
    bad = ~np.isfinite(reference).reshape(rows, columns // values, values).all(axis=2)
    blocks.reshape(rows, columns // values, size)[bad] = 0
    reference = gguf.quants.dequantize(blocks, kind)
    writer.add_tensor(name, blocks, raw_shape=blocks.shape, raw_dtype=kind)
    reference.astype("<f4").tofile(f"{out}/{name}.f32")
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
